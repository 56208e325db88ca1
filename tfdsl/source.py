"""YAML text to values, each with the place where it was written."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfdsl.diagnostics import Diagnostic, Span

Plain = None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain or quoted scalar: `text` as written, `value` by the YAML 1.2 core schema."""

    text: str
    value: Plain
    span: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping: its keys in the order in which they were written, each a scalar with its own span."""

    entries: tuple[tuple[Scalar, Value], ...]
    span: Span
    index: dict[str, Value] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {key.text: value for key, value in self.entries})


Value = Scalar | Sequence | Mapping


def parse(text: str | bytes, file: str) -> tuple[Value | None, list[Diagnostic]]:
    """Read one YAML document; return its value (None where there is none to be had) and what is wrong with it."""
    raise NotImplementedError
