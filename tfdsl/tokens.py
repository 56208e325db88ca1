"""Tokenizers (bytes, characters, byte pairs) made from text, and text as arrays of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tfdsl import settings

END = "<|end|>"
Tokens = NDArray[np.unsignedinteger]


def byte_letters() -> list[str]:
    """Return the printable letter that stands for each byte in a byte-level vocabulary (Radford et al., 2019)."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]


def make(chosen: settings.Tokenizer, documents: Sequence[str], vocab: int) -> Tokenizer:
    """Return the tokenizer that the settings choose, trained on `documents`; `vocab` is the model's token count."""
    if chosen.type == "bytes":
        return _bytes()
    if chosen.type == "characters":
        return _characters(documents)
    return _pairs(documents, chosen.vocab_size or vocab)


def encode(tokenizer: Tokenizer, documents: Sequence[str], end: Sequence[int] = ()) -> Tokens:
    """Return the tokens of all documents in a row; the first of `end` follows each, or `<|end|>` where it is known."""
    mark = tokenizer.token_to_id(END)
    dtype = np.uint16 if max(tokenizer.get_vocab().values(), default=0) < 2**16 else np.uint32
    tail = list(end[:1]) or ([] if mark is None else [mark])
    pieces = (
        np.fromiter(chain(encoding.ids, tail), dtype)
        for start in range(0, len(documents), 256)
        for encoding in tokenizer.encode_batch_fast(list(documents[start : start + 256]))
    )
    return np.concatenate([np.empty(0, dtype), *pieces])


def unknown(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the characters of `text` that a character vocabulary does not hold."""
    vocab = tokenizer.get_vocab()
    return sorted({letter for letter in text if letter not in vocab}) if _steps(tokenizer) == ["Fuse"] else []


def pieces(tokenizer: Tokenizer) -> list[bytes]:
    """Return the bytes that each token writes, by token; the mark `<|end|>` and a model's own marks write none."""
    vocab = tokenizer.get_vocab()
    written = [b""] * (max(vocab.values()) + 1)
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    added = tokenizer.get_added_tokens_decoder()
    steps = _steps(tokenizer)
    level, sentence = "ByteLevel" in steps, "Metaspace" in steps or "Replace" in steps
    for piece, token in vocab.items():
        if piece == END or (token in added and added[token].special):
            continue
        if token in added or not (level or sentence):
            written[token] = piece.encode()
        elif level:
            written[token] = b"".join(bytes([byte_of[each]]) if each in byte_of else each.encode() for each in piece)
        else:
            byte = _BYTE.fullmatch(piece)
            written[token] = bytes([int(byte[1], 16)]) if byte else piece.replace("\u2581", " ").encode()
    return written


_BYTE = re.compile("<0x([0-9A-F]{2})>")  # a byte as the vocabularies of SentencePiece have it


def _steps(tokenizer: Tokenizer) -> list[str]:
    """Return the names of what makes text of a tokenizer's tokens."""
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    return [each["type"] for each in decoder.get("decoders", [decoder]) if "type" in each]


def _bytes() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({letter: byte for byte, letter in enumerate(byte_letters())}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _characters(documents: Sequence[str]) -> Tokenizer:
    letters = sorted(set().union(*documents))
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, []))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _pairs(documents: Sequence[str], size: int) -> Tokenizer:
    """Train byte-level byte-pair encoding (Sennrich et al., 2016)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=sorted(byte_letters()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    return tokenizer
