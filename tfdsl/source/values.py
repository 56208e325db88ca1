"""Values and where each was written, and the walks over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tfdsl.diagnostics import Span

Plain = None | bool | int | float | str
Tree = Plain | list["Tree"] | dict[str | int, "Tree"]
Path = tuple[str | int, ...]


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


def step(value: Value, name: str | int) -> tuple[Scalar | None, Value]:
    """Return the key (None in a list) and the value one step down, or `value` itself where there is no such step."""
    if isinstance(value, Mapping):
        for key, child in value.entries:
            if key.text == str(name):
                return key, child
    elif isinstance(value, Sequence) and isinstance(name, int) and 0 <= name < len(value.items):
        return None, value.items[name]
    return None, value


def find(value: Value, path: Path) -> Value:
    """Return the value at `path`; a step that the text does not have (a headline form) stays where it is."""
    for name in path:
        value = step(value, name)[1]
    return value


def key_span(value: Value, path: Path) -> Span:
    """Return the span of the last key of `path`, or of the value there where no such key was written."""
    key: Scalar | None = None
    for name in path:
        key, value = step(value, name)
    return key.span if key is not None else value.span


def plain(value: Value) -> Tree:
    """Return the value as Python's own dicts, lists and scalars."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, Sequence):
        return [plain(item) for item in value.items]
    return {name(key): plain(child) for key, child in value.entries}


def name(key: Scalar) -> str | int:
    """Return a key as it is meant: a name, also where YAML takes it for a truth or nothing, or a whole number."""
    whole = isinstance(key.value, int) and not isinstance(key.value, bool)
    return key.value if whole else key.text  # type: ignore[return-value]


def scalars(value: Value, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Yield every scalar in a value (keys left out), with its place below the value."""
    if isinstance(value, Scalar):
        yield path, value
    elif isinstance(value, Sequence):
        for index, item in enumerate(value.items):
            yield from scalars(item, (*path, index))
    else:
        for key, child in value.entries:
            yield from scalars(child, (*path, key.text))


def merge(base: Value, over: Value) -> Value:
    """Return `base` with `over` laid on it: mappings merge by key, everything else is replaced; every span is kept.

    A key of `base` for which `over` says null goes, as if nobody had said it.
    """
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    mine = {key.text: (key, value) for key, value in over.entries}
    entries: list[tuple[Scalar, Value]] = []
    for key, value in base.entries:
        if key.text in mine:
            own, replacement = mine.pop(key.text)
            if not (isinstance(replacement, Scalar) and replacement.value is None):
                entries.append((own, merge(value, replacement)))
        else:
            entries.append((key, value))
    return Mapping((*entries, *mine.values()), over.span)
