"""Text as arrays of tokens, and the bytes that each token writes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tfdsl.tokens.marks import END

Tokens = NDArray[np.unsignedinteger]


def byte_letters() -> list[str]:
    """Return the printable letter that stands for each byte in a byte-level vocabulary (Radford et al., 2019)."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]


def size(tokenizer: Tokenizer) -> int:
    """Return how many tokens a model must take for this tokenizer: the highest number and one."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def width(tokenizer: Tokenizer) -> type[np.unsignedinteger]:
    """Return the type that tokens are kept in: uint16 where they fit."""
    return np.uint16 if size(tokenizer) <= 2**16 else np.uint32


def encode(tokenizer: Tokenizer, documents: Sequence[str], end: Sequence[int] = ()) -> Tokens:
    """Return the tokens of all documents in a row; the first of `end` follows each, or `<|end|>` where it is known."""
    mark = tokenizer.token_to_id(END)
    dtype = width(tokenizer)
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


def strange(tokenizer: Tokenizer) -> int | None:
    """Return the token of what a vocabulary does not have, where it has one."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return None if model.get("unk_token") is None else tokenizer.token_to_id(model["unk_token"])


def pieces(tokenizer: Tokenizer) -> list[bytes]:
    """Return the bytes that each token writes, by token; the mark `<|end|>` and a model's own marks write none."""
    vocab = tokenizer.get_vocab()
    written = [b""] * size(tokenizer)
    added = tokenizer.get_added_tokens_decoder()
    steps = _steps(tokenizer)
    for piece, token in vocab.items():
        if piece == END or (token in added and added[token].special):
            continue
        written[token] = piece.encode() if token in added else _written(piece, steps)
    return written


def _written(piece: str, steps: list[str]) -> bytes:
    """Return what one piece writes, by the steps of its vocabulary's decoder."""
    if "ByteLevel" in steps:
        return b"".join(bytes([_BYTE_OF[each]]) if each in _BYTE_OF else each.encode() for each in piece)
    if "WordPiece" in steps:  # a word begins with a space, and goes on with `##`
        return piece[2:].encode() if piece.startswith("##") else b" " + piece.encode()
    if "Metaspace" in steps or "Replace" in steps:
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace("\u2581", " ").encode()
    return piece.encode()


_BYTE_OF = {letter: byte for byte, letter in enumerate(byte_letters())}
_BYTE = re.compile("<0x([0-9A-F]{2})>")  # a byte as the vocabularies of SentencePiece have it


def _steps(tokenizer: Tokenizer) -> list[str]:
    """Return the names of what makes text of a tokenizer's tokens."""
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    return [each["type"] for each in decoder.get("decoders", [decoder]) if "type" in each]
