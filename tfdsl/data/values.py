"""One value of an example, as a field wants it, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdsl.data.source import Record
from tfdsl.data.table import Array
from tfdsl.diagnostics import Diagnostic


class Unfit(Exception):
    """A value is not what its field wants; the message goes on from the name of its column."""

    def diagnostic(self, record: Record, column: str) -> Diagnostic:
        """Return what to say of the value."""
        return Diagnostic("R743", f"`{column}` of {record.place} {self}", label="a broken example")


def held(record: Record, column: str) -> Any:
    """Return a value of an example; raises Unfit where it has none."""
    if column not in record.values:
        raise Unfit("is missing")
    return record.values[column]


def named(value: Any) -> str:
    """Say what a value is: `a number`, `a list`."""
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        return f"an array {list(value.shape)} of {value.dtype}"
    return names.get(type(value), "a mapping" if isinstance(value, Mapping) else f"of type {type(value).__name__}")


def text(value: Any) -> str:
    """Return a text; raises Unfit."""
    if not isinstance(value, str):
        raise Unfit(f"is {named(value)}, not a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Unfit(
                f"holds half of a character (\\u{ord(value[error.start]):04x}) at character {error.start}"
            ) from None
    return value


def label(value: Any, known: tuple[str, ...]) -> str:
    """Return the name of a class: a text, a whole number, or true or false; raises Unfit.

    A number is the place of a name, where the source names its classes: these are `known`.
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | np.integer):
        if known and not 0 <= value < len(known):
            raise Unfit(f"is {value}, and the classes are numbered from 0 to {len(known) - 1}")
        return known[int(value)] if known else str(int(value))
    if isinstance(value, float | np.floating) and value == value // 1:  # as tables write them that have gaps
        return label(int(value), known)
    if isinstance(value, np.ndarray):
        if value.ndim:
            raise Unfit(f"is {named(value)}, not a class: a text or a whole number")
        return label(value.item(), known)
    if value == "":
        raise Unfit("is empty, not a class: a text or a whole number")
    if isinstance(value, str):
        return value
    raise Unfit(f"is {named(value)}, not a class: a text or a whole number")


def image(value: Any) -> Array:
    """Return an image as uint8 [1 or 3, height, width]; raises Unfit."""
    if not isinstance(value, np.ndarray):
        raise Unfit(f"is {named(value)}, not an image")
    if value.dtype != np.uint8:
        raise Unfit(f"is {named(value)}: an image is whole numbers from 0 to 255 (uint8)")
    if value.ndim == 2:
        return value[None]
    if value.ndim != 3 or not {value.shape[0], value.shape[2]} & {1, 3}:
        raise Unfit(f"is {named(value)}, not [channels, height, width] of 1 or 3 channels")
    return value if value.shape[0] in (1, 3) else value.transpose(2, 0, 1)


def numbers(value: Any) -> Array:
    """Return numbers of any one shape as float32; raises Unfit."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise Unfit("is a list of lists of different lengths") from None
    if array.dtype.kind not in "fiub" or not array.size:
        raise Unfit(f"is {named(value)}, not numbers")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise Unfit("holds what is not a finite number")
    return array


def turns(value: Any) -> tuple[tuple[int, int], ...]:
    """Return stretches of a conversation, as it tells them itself; raises Unfit for a column of that name."""
    if not isinstance(value, tuple):
        raise Unfit(f"is {named(value)}: which answers came earlier is told by `messages` alone")
    return value  # pyright: ignore[reportUnknownVariableType]


def stretch(value: Any, passage: str) -> tuple[int, int]:
    """Return the first and the last character of a stretch of `passage`; raises Unfit.

    It is told as that pair, as the very text, or as in SQuAD: `{text: […], answer_start: […]}` (the first answer).
    """
    if isinstance(value, Mapping):
        said, starts = (
            np.atleast_1d(np.asarray(value.get(key, []), object)).tolist() for key in ("text", "answer_start")
        )
        if not said or not starts:
            raise Unfit("has no answer: `text` and `answer_start` are empty")
        if not isinstance(said[0], str) or not isinstance(starts[0], int) or isinstance(starts[0], bool):
            raise Unfit(
                f"has {named(said[0])} that starts at {named(starts[0])}, not a text that starts at a character"
            )
        first, last = starts[0], starts[0] + len(said[0]) - 1
        if passage[first : last + 1] != said[0]:
            raise Unfit(f"is not in the text at character {first}")
    elif isinstance(value, str):
        first = passage.find(value) if value else -1
        if first < 0:
            raise Unfit("is not in the text")
        last = first + len(value) - 1
    else:
        pair = list(value) if isinstance(value, list | tuple | np.ndarray) else []
        if len(pair) != 2 or not all(
            isinstance(each, int | np.integer) and not isinstance(each, bool) for each in pair
        ):
            raise Unfit(f"is {named(value)}, not the first and the last character of a stretch")
        first, last = (int(each) for each in pair)
    if not 0 <= first <= last < len(passage):
        raise Unfit(f"goes from character {first} to {last} of a text of {len(passage)}")
    return first, last
