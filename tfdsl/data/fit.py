"""Which columns of a source become which fields of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfdsl import settings
from tfdsl.data.source import Source
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.parts import one_of

Problems = list[tuple[str, Diagnostic]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The fields that an example will have, and the column that each is read from."""

    fields: tuple[Field, ...]
    columns: Mapping[str, str]

    def of(self, *kinds: str) -> tuple[Field, ...]:
        """Return the fields of some kinds."""
        return tuple(each for each in self.fields if each.kind in kinds)


def choose(wanted: Wanted, source: Source, data: settings.Data) -> tuple[Chosen | None, Problems]:
    """Return the first way of the objective that the columns of a source allow, or what is missing."""
    unknown = [each for each in data.fields.values() if each not in source.columns]
    if unknown:
        return None, [("train.data.fields", _no_column(name, data.source, source.columns)) for name in unknown]
    names = {field.name for way in wanted.ways for field in way}
    strange = [name for name in data.fields if name not in names]
    if strange:
        return None, [("train.data.fields", _no_field(name, names)) for name in strange]
    columns = {name: data.fields.get(name, name) for name in names}
    columns = _lone(wanted, source, columns, data)
    for way in wanted.ways:
        if all(field.optional or columns[field.name] in source.columns for field in way):
            kept = tuple(field for field in way if columns[field.name] in source.columns)
            return Chosen(kept, {field.name: columns[field.name] for field in kept}), []
    return None, [("train.data.source", _no_way(wanted, data.source, source.columns))]


def same(chosen: Chosen, held_out: Source, data: settings.Data) -> Problems:
    """Say which columns the held-out source lacks."""
    missing = [each for each in chosen.columns.values() if each not in held_out.columns]
    name = data.held_out if isinstance(data.held_out, str) else data.source
    return [("train.data.held_out", _no_column(each, name, held_out.columns)) for each in missing]


def unheeded(chosen: Chosen, data: settings.Data) -> Problems:
    """Refuse a setting for images where there is none among the fields."""
    if data.image is None or chosen.of("image"):
        return []
    message = "`image` brings images to one shape, and the objective reads none"
    return [("train.data.image", Diagnostic("R755", message, label="does nothing here"))]


def _lone(wanted: Wanted, source: Source, columns: dict[str, str], data: settings.Data) -> dict[str, str]:
    """Let the one column of a source be the one field that is wanted, whatever either is called."""
    single = [way[0].name for way in wanted.ways if len(way) == 1]
    if len(source.columns) == 1 and single and not data.fields and single[0] not in source.columns:
        return {**columns, single[0]: source.columns[0]}
    return columns


def _no_column(name: str, source: str, columns: tuple[str, ...]) -> Diagnostic:
    near = suggest(name, columns)
    help_ = f"`{source}` has " + _listed(columns) + (f"; did you mean `{near}`?" if near else "")
    return Diagnostic("R741", f"`{source}` has no column `{name}`", label="no such column", help=help_)


def _no_field(name: str, names: set[str]) -> Diagnostic:
    near = suggest(name, names)
    help_ = f"it reads {one_of(sorted(names))}" + (f"; did you mean `{near}`?" if near else "")
    return Diagnostic("R741", f"the objective reads no field `{name}`", label="no such field", help=help_)


def _no_way(wanted: Wanted, source: str, columns: tuple[str, ...]) -> Diagnostic:
    ways = " or ".join(_needed(way) for way in wanted.ways)
    first = wanted.ways[0][0].name
    help_ = f"`{source}` has {_listed(columns)}; say which is which with `train.data.fields: {{{first}: …}}`"
    return Diagnostic("R741", f"the objective reads {ways}, which `{source}` does not have", label="", help=help_)


def _needed(way: tuple[Field, ...]) -> str:
    names = [f"`{field.name}`" for field in way if not field.optional]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _listed(columns: tuple[str, ...]) -> str:
    most = 12
    shown = ", ".join(f"`{each}`" for each in columns[:most])
    return ("the column " if len(columns) == 1 else "the columns ") + shown + (", …" if len(columns) > most else "")
