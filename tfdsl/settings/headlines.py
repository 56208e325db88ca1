"""What a value that stands alone means in a section of settings: `data: text.txt` is its `source`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from tfdsl.parts import Choice, Part
from tfdsl.settings.sample import Sample
from tfdsl.settings.train import Train

SECTIONS: dict[str, type[Part]] = {"train": Train, "sample": Sample}


def headline(path: tuple[str, ...]) -> str:
    """Return the field that a value alone at `path` stands for (`train.data`: `source`), or nothing."""
    found = _at(path)
    if any(issubclass(each, Choice) for each in found):
        return "type"
    return next((each.headline for each in found if each.headline is not None), "")


def meaningless(path: tuple[str, ...], old: str | None, new: str) -> frozenset[str]:
    """Return the fields at `path` that the type `old` (None: the one that holds unsaid) has and the type `new` lacks.

    There are none where either is no type there.
    """
    for each in _at(path):
        if issubclass(each, Choice) and new in each.types and (old or each.default_type) in each.types:
            before, after = each.types[str(old or each.default_type)], each.types[new]
            return frozenset(before.model_fields) - frozenset(after.model_fields)
    return frozenset()


def _at(path: tuple[str, ...]) -> list[type[Part]]:
    """Return the parts that may stand at `path`."""
    found = [SECTIONS[path[0]]] if path[0] in SECTIONS else []
    for name in path[1:]:
        found = [part for each in found for part in _parts(each, name)]
    return found


def _parts(part: type[Part], name: str) -> Iterator[type[Part]]:
    """Yield the parts that a field may hold, of a part or of any of its types."""
    kinds = (part, *part.types.values()) if issubclass(part, Choice) else (part,)
    for each in kinds:
        for field, info in each.model_fields.items():
            if name in (field, info.alias):
                yield from _classes(info.annotation)


def _classes(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for each in get_args(annotation):
        yield from _classes(each)
