"""Tokenizers: made from text or loaded, the marks that they have, and text as arrays of tokens and back."""

from tfdsl.tokens.make import MARKS, make, opened, plain
from tfdsl.tokens.marks import END, Marks, marks
from tfdsl.tokens.pieces import Tokens, byte_letters, encode, pieces, size, strange, unknown, width

__all__ = [
    "END",
    "MARKS",
    "Marks",
    "Tokens",
    "byte_letters",
    "encode",
    "make",
    "marks",
    "opened",
    "pieces",
    "plain",
    "size",
    "strange",
    "unknown",
    "width",
]
