"""A prompt and what is answered to it, in a row: the answer's tokens alone are to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from tfdsl import tokens
from tfdsl.data.chat import EARLIER
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.binding import Problems
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.text_to_text import Tokens, filled

PROMPT = "prompt"
ASKED = Field(PROMPT, begins=True)


@dataclass(frozen=True, slots=True)
class Answers:
    """How prompts and answers become rows: one behind the other, the mark `end` behind the answer.

    Of a conversation the earlier answers are targets too, each with its `end`, which stands in no input: a row reads
    what was said as it is read when the conversation goes on.
    """

    end: int
    pad: int

    def rows(self, table: Table, places: Sequence[int], answer: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is read, which of it is real, and what is to be written (else IGNORED), each [B, T].

        A row is filled up behind its end, which what looks back alone never sees.
        """
        inputs: list[Tokens] = []
        targets: list[Tokens] = []
        for place in places:
            asked, told = self.text(table, PROMPT, place), np.append(self.text(table, answer, place), self.end)
            row = np.concatenate((asked, told))
            inputs.append(row[:-1])
            targets.append(np.concatenate((self._earlier(table, place, asked), told[len(asked) == 0 :])))
        read_BT, keep_BT = filled(inputs, self.pad)
        return read_BT, keep_BT, filled(targets, IGNORED)[0]

    def _earlier(self, table: Table, place: int, asked: Tokens) -> Tokens:
        """Return what is to be written within a prompt: the answers of the assistant, each with its end."""
        targets = np.full(max(0, len(asked) - 1), IGNORED)
        for first, last in turns(table, place):
            targets[first - 1 : last - 1] = asked[first:last]
            targets[last - 1] = self.end
        return targets

    def text(self, table: Table, name: str, place: int) -> Tokens:
        """Return the tokens of a text without the mark that the data may have put behind it."""
        row = column(table, name)[place].astype(np.int64)
        return row[:-1] if len(row) and row[-1] == self.end else row


def column(table: Table, name: str) -> Ragged:
    """Return a column of texts."""
    found = table.columns[name]
    assert isinstance(found, Ragged), "a text is a column of tokens"
    return found


def turns(table: Table, place: int) -> NDArray[np.int64]:
    """Return the stretches [N, 2] of a prompt that are earlier answers: their first token and the one behind them."""
    return column(table, EARLIER)[place].reshape(-1, 2) if EARLIER in table.columns else np.zeros((0, 2), np.int64)


def bytes_a_token(table: Table, answer: str, tokenizer: Tokenizer) -> float:
    """Return how many bytes of text a token of the answers stands for, earlier ones of conversations among them."""
    earlier = [
        column(table, PROMPT)[place][first:last] for place in range(len(table)) for first, last in turns(table, place)
    ]
    size = sum(len(tokenizer.decode(each.tolist()).encode()) for each in earlier)
    count = sum(map(len, earlier)) + int(lengths(table, answer).sum())
    return (table.sizes[answer] + size) / max(1, count)


def lengths(table: Table, *names: str) -> NDArray[np.int64]:
    """Return how many tokens each example has in all of some columns."""
    return sum((np.diff(column(table, name).offsets) for name in names), np.zeros(len(table), np.int64))


def against(data: Prepared, answers: Sequence[str], context: int) -> Problems:
    """Say where answers have no end that could be learned, and where examples are too long."""
    found: Problems = []
    if data.tokenizer is None or tokens.marks(data.tokenizer).end is None:
        help_ = "take a `bpe` tokenizer, which has one, or a `file` with `<|end|>` or `</s>`"
        message = "the tokenizer has no mark for the end of an answer, so the model could not learn to stop"
        found.append(("train.tokenizer", Diagnostic("R795", message, label="has no `end`", help=help_)))
    for answer in answers:
        sizes = np.concatenate([lengths(table, PROMPT, answer) for table in (data.train, data.held_out)])
        if sizes.max() > context:
            many, longest = int((sizes > context).sum()), int(sizes.max())
            message = f"`prompt` and `{answer}` have up to {longest:,} tokens, the model is to read {context:,}"
            reach = f"or set `train.context` to {longest} where the model's positions reach that far"
            help_ = f"{many:,} of {len(sizes):,} examples are longer: leave them out, {reach}"
            found.append(("train.context", Diagnostic("R793", message, label="too short", help=help_)))
    return found


def all_right(right_N: Tensor, targets_BT: Tensor) -> Tensor:
    """Return for each row whether all of its targets that count are right, given which of them, in a row, are.

    That is what greedy decoding gives: it leaves the answer where the first likeliest token is another one.
    """
    keep_BT = targets_BT != IGNORED
    wrong_BT = torch.zeros_like(keep_BT)
    wrong_BT[keep_BT] = ~right_N
    return ~wrong_BT.any(1)
