"""Beam search: the best of all texts where it sees all, and what `transformers` finds where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import foreign
from tests.sampling import tables
from tfdsl.sampling.beam import Beams, Found, search

Text = tuple[int, ...]


def unchanged(_: Sequence[Sequence[int]], __: int, logits_BV: Tensor) -> Tensor:
    return logits_BV


def all_texts(table: Tensor, prompt: Text, length: int, end: int) -> list[tuple[Text, float]]:
    """Return every text that may follow, up to its end or of full length, and its log-probability."""
    found, going = list[tuple[Text, float]](), [(prompt, 0.0)]
    for _ in range(length):
        going = [
            ((*text, token), total + more)
            for text, total in going
            for token, more in enumerate(table[text[-2], text[-1]].double().log_softmax(0).tolist())
        ]
        found += [(text, total) for text, total in going if text[-1] == end]
        going = [(text, total) for text, total in going if text[-1] != end]
    return [(text[len(prompt) :], total) for text, total in found + going]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_as_many_beams_as_texts_find_the_best(penalty: float, seed: int) -> None:
    table = tables.table(3, seed)
    wanted = {text: total / len(text) ** penalty for text, total in all_texts(table, (1, 2), 4, 0)}
    (found,) = search(
        tables.opener(table), [(1, 2)], unchanged, Beams(81, penalty, "never"), room=20, length=4, ends={0}
    )
    scores = {(*each.tokens, *([] if each.ended is None else [each.ended])): each.score for each in found}
    assert scores == pytest.approx(wanted, rel=1e-12)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_one_beam_is_greedy(seed: int) -> None:
    table, text = tables.table(5, seed), [4, 2]
    (found,) = search(tables.opener(table), [(4, 2)], unchanged, Beams(1), room=20, length=7)
    for _ in range(7):
        text.append(int(table[text[-2], text[-1]].argmax()))
    assert [list(each.tokens) for each in found] == [text[2:]]


@pytest.mark.parametrize("stopping", ["enough", "likely", "never"])
def test_prompts_side_by_side_are_as_each_alone(stopping: Any) -> None:
    table, prompts = tables.table(6, 3), [(1, 2, 3), (4,), (0, 5), (2, 2, 2, 2)]
    beams = Beams(3, 1.0, stopping)
    together = search(tables.opener(table), prompts, unchanged, beams, room=20, length=9, ends={0, 4})
    alone = [
        search(tables.opener(table), [prompt], unchanged, beams, room=20, length=9, ends={0, 4})[0]
        for prompt in prompts
    ]
    assert together == alone
    assert {each.ended for found in together for each in found} <= {0, 4, None}


def test_a_text_of_no_chance_is_not_found() -> None:
    def only_one(_: Sequence[Sequence[int]], __: int, logits_BV: Tensor) -> Tensor:
        return logits_BV.index_fill(1, torch.tensor([0, 2, 3]), -torch.inf)

    (found,) = search(tables.opener(tables.table(4, 0)), [(1,)], only_one, Beams(3), room=20, length=4)
    assert found == [Found((1, 1, 1, 1), 0.0, 0.0, None)]


def test_the_chain_sees_each_beginning() -> None:
    def once(texts: Sequence[Sequence[int]], _: int, logits_BV: Tensor) -> Tensor:
        seen = torch.zeros_like(logits_BV, dtype=torch.bool)
        for row, text in enumerate(texts):
            seen[row, list(text)] = True
        return logits_BV.masked_fill(seen, -torch.inf)

    found = search(tables.opener(tables.table(6, 0)), [(1,), (2, 3)], once, Beams(4), room=20, length=4)
    for prompt, texts in zip([(1,), (2, 3)], found, strict=True):
        assert len(texts) == 4
        assert all(sorted({*prompt, *each.tokens}) == sorted([*prompt, *each.tokens]) for each in texts)


def test_what_has_room_for_less_writes_less() -> None:
    def short(prompts: Sequence[Sequence[int]], room: int) -> Any:
        return tables.opener(tables.table(4, 1))(prompts, min(room, 5))

    (found,) = search(short, [(1, 2, 3)], unchanged, Beams(2), room=20, length=9)
    assert [len(each.tokens) for each in found] == [3, 3]  # the fifth position still foretells one


class Whole:
    """A reader that gives a model of `transformers` all that it has read, each time."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], source: Tensor | None = None) -> None:
        self.model, self.seen_BT, self.source = model, torch.tensor(prompts), source

    @property
    def rows(self) -> int:
        return len(self.seen_BT)

    left = None

    def read(self, tokens_BT: Tensor, last: int = 1) -> Tensor:
        self.seen_BT = torch.cat((self.seen_BT, tokens_BT), 1)
        return self.logits(last)

    def logits(self, last: int) -> Tensor:
        with torch.inference_mode():
            if self.source is None:
                return self.model(self.seen_BT, use_cache=False).logits[:, -last:]
            return self.model(self.source, decoder_input_ids=self.seen_BT, use_cache=False).logits[:, -last:]

    def pick(self, rows_N: Tensor) -> None:
        self.seen_BT = self.seen_BT[rows_N]
        self.source = self.source[rows_N] if self.source is not None else None

    def mark(self) -> None:
        pass

    def back(self, count: int) -> None:
        self.seen_BT = self.seen_BT[:, :-count]


@cache
def causal() -> Any:
    config = foreign.config(
        "GPT2Config", n_layer=2, n_head=2, n_embd=16, vocab_size=23, n_positions=40, bos_token_id=0, eos_token_id=0
    )
    return foreign.tiny("GPT2LMHeadModel", config)


@cache
def answering() -> Any:
    config = foreign.config(
        "T5Config", num_layers=1, num_heads=2, d_model=16, d_kv=8, d_ff=16, vocab_size=23, decoder_start_token_id=0
    )
    return foreign.tiny("T5ForConditionalGeneration", config)


STOPPING = {"enough": True, "likely": False, "never": "never"}
SETTINGS = [
    (beams, penalty, stopping, ends)
    for beams, penalty, ends in [(2, 1.0, [3]), (4, 0.0, [3]), (4, 2.0, [3, 5]), (5, -1.0, [3, 5, 8]), (3, 0.6, [])]
    for stopping in STOPPING
]


def theirs(
    model: Any, given: Tensor, setting: tuple[int, float, str, list[int]], length: int
) -> list[tuple[Text, float]]:
    beams, penalty, stopping, ends = setting
    with foreign.widened():
        out = model.generate(
            given, num_beams=beams, num_return_sequences=beams, length_penalty=penalty, do_sample=False,
            early_stopping=STOPPING[stopping], eos_token_id=ends or None, pad_token_id=22, max_new_tokens=length,
            return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
    first = 1 if model.config.is_encoder_decoder else given.size(1)
    texts: list[Text] = []
    for row in out.sequences[:, first:].tolist():
        stop = next((place for place, token in enumerate(row) if token in ends), len(row))
        texts.append(tuple(row[:stop]))
    return list(zip(texts, out.sequences_scores.tolist(), strict=True))


def told(found: list[list[Found]]) -> list[tuple[Text, Any]]:
    """Return the texts of all beams with their scores, which equal what is near them."""
    return [(each.tokens, pytest.approx(each.score, rel=1e-5)) for texts in found for each in texts]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_a_causal_model_writes_what_transformers_finds(setting: tuple[int, float, Any, list[int]]) -> None:
    prompts = [(1, 2, 4), (9, 8, 7), (11, 20, 6)]
    beams, penalty, stopping, ends = setting
    with foreign.widened():
        reader = Whole(causal(), prompts)
        found = search(
            lambda *_: (reader, reader.logits(1)[:, -1]),
            prompts, unchanged, Beams(beams, penalty, stopping), room=20, length=12, ends=ends,
        )  # fmt: skip
    assert told(found) == theirs(causal(), torch.tensor(prompts), setting, 12)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_a_text_to_text_model_writes_what_transformers_finds(setting: tuple[int, float, Any, list[int]]) -> None:
    sources = torch.tensor([[1, 2, 4, 9], [9, 8, 7, 2]])
    beams, penalty, stopping, ends = setting
    with foreign.widened():
        reader = Whole(answering(), [[0], [0]], sources)
        found = search(
            lambda *_: (reader, reader.logits(1)[:, -1]),
            [[0], [0]], unchanged, Beams(beams, penalty, stopping), room=20, length=9, ends=ends,
        )  # fmt: skip
    assert told(found) == theirs(answering(), sources, setting, 9)


@pytest.mark.parametrize("seed", range(20))
def test_beams_that_hold_every_beginning_are_never_below_greedy(seed: int) -> None:
    """With fewer beams greedy may be better: its text may fall out of the beams. With all beginnings, never."""
    table = tables.table(3, seed, spread=3.0)
    (found,) = search(tables.opener(table), [(1, 2)], unchanged, Beams(9, 0.0), room=20, length=3, ends={0})
    ((greedy,),) = search(tables.opener(table), [(1, 2)], unchanged, Beams(1, 0.0), room=20, length=3, ends={0})
    assert found[0].logprob >= greedy.logprob
