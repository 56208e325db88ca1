"""Tokenizers (bytes, characters, byte pairs) made from text, and text as arrays of tokens."""

from __future__ import annotations

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


def encode(tokenizer: Tokenizer, documents: Sequence[str]) -> Tokens:
    """Return the tokens of all documents in a row; `<|end|>` follows each where the vocabulary has it."""
    end = tokenizer.token_to_id(END)
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    tail = [] if end is None else [end]
    pieces = (
        np.fromiter(chain(encoding.ids, tail), dtype)
        for start in range(0, len(documents), 256)
        for encoding in tokenizer.encode_batch_fast(list(documents[start : start + 256]))
    )
    return np.concatenate([np.empty(0, dtype), *pieces])


def unknown(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the characters of `text` that a character vocabulary does not hold."""
    vocab = tokenizer.get_vocab()
    return [] if _holds_bytes(tokenizer) else sorted({letter for letter in text if letter not in vocab})


def pieces(tokenizer: Tokenizer) -> list[bytes]:
    """Return the bytes that each token writes, by token; the mark `<|end|>` writes none."""
    vocab = tokenizer.get_vocab()
    written = [b""] * (max(vocab.values()) + 1)
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    level = _holds_bytes(tokenizer)
    for piece, token in vocab.items():
        if piece != END:
            written[token] = bytes(byte_of[letter] for letter in piece) if level else piece.encode()
    return written


def _holds_bytes(tokenizer: Tokenizer) -> bool:
    return isinstance(tokenizer.decoder, decoders.ByteLevel)


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
