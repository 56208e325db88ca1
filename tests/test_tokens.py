"""Tokenizers: what goes in comes out, and the arrays are what the pieces say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tfdsl import settings, tokens

SOME = ["to be, or not to be\n", "that is the question: naïve Ω 😀\n"]


def made(kind: str, vocab: int = 300) -> Tokenizer:
    return tokens.make(settings.Tokenizer.model_validate({"type": kind}), SOME, vocab)


@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe"])
def test_pieces_of_the_tokens_are_the_text(kind: str) -> None:
    tokenizer = made(kind)
    encoded = tokens.encode(tokenizer, SOME)
    assert b"".join(tokens.pieces(tokenizer)[token] for token in encoded).decode() == "".join(SOME)
    again = Tokenizer.from_str(tokenizer.to_str())
    assert np.array_equal(tokens.encode(again, SOME), encoded)


@limits(max_examples=60, deadline=None)
@given(st.text())
def test_bytes_are_their_own_tokens(text: str) -> None:
    assert bytes(tokens.encode(made("bytes"), [text]).astype(np.uint8)) == text.encode()


@limits(max_examples=60, deadline=None)
@given(st.text())
def test_pairs_lose_nothing(text: str) -> None:
    tokenizer = made("bpe")
    pieces = tokens.pieces(tokenizer)
    assert b"".join(pieces[token] for token in tokens.encode(tokenizer, [text])) == text.encode().replace(
        b"<|end|>", b""
    )


def test_sizes() -> None:
    assert made("bytes").get_vocab_size() == 256
    assert made("characters").get_vocab_size() == len(set("".join(SOME)))
    assert made("bpe", vocab=280).get_vocab_size() == 280


def test_documents_of_pairs_end_in_a_mark() -> None:
    tokenizer = made("bpe")
    end = tokenizer.token_to_id(tokens.END)
    encoded = tokens.encode(tokenizer, SOME).tolist()
    assert encoded.count(end) == 2
    assert encoded[-1] == end
    assert tokens.END not in made("characters").get_vocab()


def test_a_training_is_repeatable() -> None:
    assert made("bpe").to_str() == made("bpe").to_str()


def test_unknown_characters_are_told() -> None:
    assert tokens.unknown(made("characters"), "to Zoë 😀") == ["Z", "ë"]
    assert tokens.unknown(made("bytes"), "to Zoë 😀") == []
