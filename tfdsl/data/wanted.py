"""What an objective asks of the data: fields of an example, and tokens that mark something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["pad", "start", "end", "mask", "first", "separator"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an example, and what becomes of it.

    `text` becomes tokens; `label` the number of its class; `image` uint8 [channels, height, width]; `numbers` float32
    of any one shape; `stretch` a pair of whole numbers, the first and the last character of a stretch of the field
    `of`, which become its first and last token; `turns` several stretches of it (pairs of their first place and the one
    behind them), which are made into tokens apart from the rest. A text that `begins` a row gets the marks that a
    loaded tokenizer puts before a text, as a prompt does when the model is asked.
    """

    name: str
    kind: Literal["text", "label", "image", "numbers", "stretch", "turns"] = "text"
    optional: bool = False
    of: str = ""
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """The fields of an example, or several ways to have them, the first that the data has; and marks among the tokens.

    `marks` must be in the vocabulary; a tokenizer that is made here has them, another one may lack the `spare` ones of
    them, which are then left out. `extras` more are numbered marks, as span
    corruption puts them in place of what it cuts out. `whole` says that the texts are one long text, which may be cut
    anywhere (with the mark `end` between documents, where the vocabulary has it).
    """

    ways: tuple[tuple[Field, ...], ...]
    marks: tuple[Mark, ...] = ()
    extras: int = 0
    whole: bool = False
    spare: tuple[Mark, ...] = ()
