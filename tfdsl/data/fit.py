"""Which columns of a source become which fields of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfdsl import settings
from tfdsl.data.pictures import Pictures
from tfdsl.data.source import Source
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.parts import one_of

Problems = list[tuple[str, Diagnostic]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The fields that an example will have, and the column that each is read from.

    `left` are columns that an example may have and these do not.
    """

    fields: tuple[Field, ...]
    columns: Mapping[str, str]
    left: tuple[str, ...] = ()

    def of(self, *kinds: str) -> tuple[Field, ...]:
        """Return the fields of some kinds."""
        return tuple(each for each in self.fields if each.kind in kinds)


def choose(wanted: Wanted, source: Source, data: settings.Data) -> tuple[Chosen | None, Problems]:
    """Return the first way of the objective that the columns of a source allow, or what is missing."""
    unknown = {field: each for field, each in data.fields.items() if each not in source.columns}
    if unknown:  # each in the file that wrote it, which may be one that the spec extends
        told = {field: _no_column(name, data.source, source.columns) for field, name in unknown.items()}
        return None, [(f"train.data.fields.{field}", each) for field, each in told.items()]
    names = {field.name for way in wanted.ways for field in way}
    mapped = {field.name for way in wanted.ways for field in way if field.kind != "turns"}
    strange = [name for name in data.fields if name not in mapped]
    if strange:
        return None, [(f"train.data.fields.{name}", _no_field(name, mapped)) for name in strange]
    columns = {name: data.fields.get(name, name) for name in names}
    columns = _lone(wanted, source, columns, data)
    for way in wanted.ways:
        if all(field.optional or columns[field.name] in source.columns for field in way):
            kept = tuple(field for field in way if columns[field.name] in source.columns)
            left = tuple(columns[field.name] for field in way if field not in kept)
            chosen = Chosen(kept, {field.name: columns[field.name] for field in kept}, left)
            problems = [("train.data.source", each) for each in _parted(chosen, source)]
            return (None, problems) if problems else (chosen, [])
    return None, [("train.data.source", _no_way(wanted, data.source, source.columns))]


def same(chosen: Chosen, train: Source, held_out: Source, data: settings.Data) -> Problems:
    """Say which columns the held-out source lacks, and where its numbers stand for other classes."""
    missing = [each for each in chosen.columns.values() if each not in held_out.columns]
    name = data.held_out if isinstance(data.held_out, str) else data.source
    problems = [("train.data.held_out", _no_column(each, name, held_out.columns)) for each in missing]
    problems = problems or [("train.data.held_out", each) for each in _parted(chosen, held_out)]
    return problems or [("train.data.held_out", each) for each in _renumbered(chosen, train, held_out, name)]


def _renumbered(chosen: Chosen, train: Source, held_out: Source, name: str) -> list[Diagnostic]:
    """Say where both sources number their classes, and a number stands for two."""
    for column in (chosen.columns[field.name] for field in chosen.of("label")):
        one, other = train.classes.get(column, ()), held_out.classes.get(column, ())
        if one != other and one and other and not isinstance(held_out, Pictures):
            message = f"what is held out of `{name}` numbers the classes of `{column}` otherwise than the training data"
            help_ = "a number would stand for two classes: write the names of the classes themselves"
            return [Diagnostic("R756", message, label="which class is 0?", help=help_)]
    return []


def _parted(chosen: Chosen, source: Source) -> list[Diagnostic]:
    """Say where files that are read as one table contradict each other."""
    for column in chosen.columns.values():
        if lacking := source.lacking(column):
            has = next((path for path in source.files() if path not in lacking), None)
            message = f"`{lacking[0]}` has no column `{column}`" + (f", which `{has}` has" if has else "")
            help_ = "the tables of a folder are read as one: choose with `train.data.files`"
            return [Diagnostic("R741", message, label="no such column", help=help_)]
    for field in chosen.of("label"):
        if other := source.otherwise(chosen.columns[field.name]):
            column = chosen.columns[field.name]
            message = f"`{other[0]}` numbers the classes of `{column}` otherwise than `{source.files()[0]}`"
            help_ = "a number would stand for two classes: write the names of the classes themselves"
            return [Diagnostic("R756", message, label="which class is 0?", help=help_)]
    return []


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
    if columns == ("image",) and any(field.kind == "label" for way in wanted.ways for field in way):
        help_ = f"the folder of an image is its class: `{source}/dog/1.png`, `{source}/cat/2.png`"
        return Diagnostic("R741", f"the images of `{source}` have no classes", label="no folders", help=help_)
    near = {field.name: suggest(field.name, columns) for way in wanted.ways[:1] for field in way if not field.optional}
    said = ", ".join(f"{name}: {each or '…'}" for name, each in near.items() if name not in columns)
    help_ = f"`{source}` has {_listed(columns)}; say which is which with `train.data.fields: {{{said}}}`"
    return Diagnostic("R741", f"the objective reads {ways}, which `{source}` does not have", label="", help=help_)


def _needed(way: tuple[Field, ...]) -> str:
    names = [f"`{field.name}`" for field in way if not field.optional]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _listed(columns: tuple[str, ...]) -> str:
    most = 12
    shown = ", ".join(f"`{each}`" for each in columns[:most])
    return ("the column " if len(columns) == 1 else "the columns ") + shown + (", …" if len(columns) > most else "")
