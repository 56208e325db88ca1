"""The marks of a tokenizer: tokens that stand for no text, found by how published vocabularies spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer

END = "<|end|>"
PAD, START, MASK, FIRST, SEPARATOR, UNKNOWN = (
    "<|pad|>",
    "<|start|>",
    "<|mask|>",
    "<|first|>",
    "<|separator|>",
    "<|unk|>",
)
EXTRA = "<|extra_{}|>"
# The first that a vocabulary holds is the mark. `</s>` ends a text, and parts two where nothing else does.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "pad": (PAD, "[PAD]", "<pad>", "<|finetune_right_pad_id|>", "<｜▁pad▁｜>"),
    "start": (START, "<s>", "<bos>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>"),
    "end": (END, "</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<｜end▁of▁sentence｜>"),
    "mask": (MASK, "[MASK]", "<mask>"),
    "first": (FIRST, "[CLS]", "<cls>", "<s>"),
    "separator": (SEPARATOR, "[SEP]", "<sep>", "</s>"),
}
NUMBERED = re.compile(r"<\|extra_([0-9]+)\|>|<extra_id_([0-9]+)>")


@dataclass(frozen=True, slots=True)
class Marks:
    """The token of each mark, None where the vocabulary has no such mark; `extras` are the numbered ones, in order."""

    pad: int | None = None
    start: int | None = None
    end: int | None = None
    mask: int | None = None
    first: int | None = None
    separator: int | None = None
    extras: tuple[int, ...] = ()


def marks(tokenizer: Tokenizer) -> Marks:
    """Return the marks that a vocabulary has, by their known spellings."""
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    found: dict[str, int | None] = {}
    for name, spellings in SPELLINGS.items():
        found[name] = next((vocab[each] for each in spellings if each in vocab), None)
    if found["start"] is None and found["pad"] is not None and "<extra_id_0>" in vocab:
        found["start"] = found["pad"]  # T5 starts a text with its pad
    numbered = {
        int(match[1] or match[2]): token for piece, token in vocab.items() if (match := NUMBERED.fullmatch(piece))
    }
    extras = tuple(numbered[number] for number in sorted(numbered))
    return Marks(**found, extras=extras)
