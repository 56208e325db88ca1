"""Text to tokens, many texts at a time: the fast ways where a vocabulary has one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from tokenizers import Tokenizer, models

from tfdsl import tokens
from tfdsl.tokens import Tokens


class Encoder:
    """Makes tokens of texts; `made` says that the tokenizer was made here, so that no text is ever read as a mark.

    A tokenizer that was loaded reads `<|im_start|>` in a text as the mark; `special` lets it add its own.
    """

    def __init__(self, tokenizer: Tokenizer, made: bool, special: bool = False) -> None:
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        tokens.plain(self.tokenizer)
        self.tokenizer.encode_special_tokens = made
        self.dtype = tokens.width(tokenizer)
        self._special = special and not made
        self._bytes = _byte_table(tokenizer) if made else None
        self._head = [] if made or self._special else _head(self.tokenizer)

    def __call__(self, texts: Sequence[str], begin: bool = False) -> list[Tokens]:
        """Return the tokens of each text; those that `begin` a row have the marks that stand before a text."""
        if self._bytes is not None:
            return [self._bytes[np.frombuffer(text.encode(), np.uint8)] for text in texts]
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=self._special)
        head = self._head if begin else []
        return [np.array([*head, *each.ids], self.dtype) for each in found]

    def stretch(self, text: str, first: int, last: int) -> tuple[int, int] | None:
        """Return the first and the last token of a stretch of characters, None where no token has any of it."""
        found = self.tokenizer.encode(text, add_special_tokens=self._special)
        begin = next((t for c in range(first, last + 1) if (t := found.char_to_token(c)) is not None), None)
        end = next((t for c in range(last, first - 1, -1) if (t := found.char_to_token(c)) is not None), None)
        return None if begin is None or end is None else (begin, end)


def _head(tokenizer: Tokenizer) -> list[int]:
    """Return the marks that a tokenizer puts before a text."""
    found = tokenizer.encode("a")
    return [
        token for token, _ in takewhile(lambda each: each[1], zip(found.ids, found.special_tokens_mask, strict=True))
    ]


def _byte_table(tokenizer: Tokenizer) -> Tokens | None:
    """Return the token of each byte, where the vocabulary merges none and so has no other tokens for text."""
    letters = tokens.byte_letters()
    model = tokenizer.model
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    special = {token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    plain = (
        isinstance(model, models.BPE) and tokenizer.pre_tokenizer is not None and all(each in vocab for each in letters)
    )
    if not plain or len(vocab) - len(special) != 256 or tokenizer.normalizer is not None:
        return None
    return np.array([vocab[each] for each in letters], tokens.width(tokenizer))
