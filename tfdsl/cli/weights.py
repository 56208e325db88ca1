"""tfdsl weights: list the weights of a spec, or the tensors of a checkpoint."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click

from tfdsl import declared, report
from tfdsl.checking import Checked
from tfdsl.cli import options, output
from tfdsl.cli.output import Stop, coloured, say
from tfdsl.cli.reading import checked, inspect

NUMBER = re.compile(r"(?<=\.)[0-9]+(?=\.|$)")
COUNTERS = "ijklmn"
UNFINISHED = {"D121", "D125"}  # a name that maps nothing, weights that nothing maps


@dataclass
class Row:
    """Weights that differ in their numbers alone: their common name, their shape, how many, and a remark."""

    name: str
    shape: tuple[int, ...]
    remark: str = ""
    copies: list[str] = field(default_factory=list[str])


@click.command()
@click.argument("source", metavar="SPEC|DIR")
@options.overrides
@options.as_json
def command(source: str, overrides: tuple[str, ...], as_json: bool) -> int:
    """List the weights of a SPEC by the names that its `weights` section maps, or the tensors of a checkpoint in DIR.

    `$i` stands for the number of a copy; the last column says how many copies there are.
    """
    path = Path(source)
    rows = _tensors(path) if path.is_dir() or path.suffix == ".safetensors" else _weights(source, overrides)
    if as_json:
        say(json.dumps([vars(row) for row in rows], indent=1))
        return 0
    name, shape = (max((len(text) for text in texts), default=0) for texts in zip(*map(_texts, rows), strict=True))
    for row in rows:
        text, sizes = _texts(row)
        many = f"× {len(row.copies)}" if len(row.copies) > 1 or text != row.copies[0] else ""
        say(f"{text:{name}}  {sizes:{shape}}  {' '.join(part for part in (many, row.remark) if part)}".rstrip())
    return 0


def _texts(row: Row) -> tuple[str, str]:
    return row.name, " × ".join(f"{size:,}" for size in row.shape)


def _weights(source: str, overrides: tuple[str, ...]) -> list[Row]:
    """Return the weights of a spec; what is tied says to what."""
    found: list[tuple[str, tuple[int, ...], str, str]] = []
    for each in declared.each_weight(_sound(source, overrides)):
        remark = f"= {each.weight.tied}" if each.weight.tied else "" if each.weight.trained else "a buffer"
        found.append((declared.form(each.path), each.weight.shape, remark, each.name))
    return _grouped(found)


def _sound(source: str, overrides: tuple[str, ...]) -> Checked:
    """Return a checked spec, whose `weights` section may be unfinished: its names are what finishes it."""
    found = inspect(source, overrides)
    wrong = {each.code for each in found.diagnostics if each.severity == "error"}
    return found if wrong and wrong <= UNFINISHED else checked(source, overrides)


def _tensors(path: Path) -> list[Row]:
    """Return the tensors of a checkpoint, numbers in their names replaced."""
    from tfdsl.weights import files

    tensors, problems = files.tensors(path)
    if tensors is None:
        output.remark(report.render(problems, {}, coloured(sys.stderr)).rstrip("\n"))
        raise Stop(code=1)
    names = sorted(tensors.shapes, key=_order)
    return _grouped((_counted(name), tensors.shapes[name], "", name) for name in names)


def _order(name: str) -> list[str]:
    """Return what names are sorted by: their parts, numbers by their value."""
    return [f"{part:0>9}" if part.isdigit() else part for part in name.split(".")]


def _counted(name: str) -> str:
    counters = iter(COUNTERS)
    return NUMBER.sub(lambda found: f"${next(counters, 'z')}", name)


def _grouped(found: Iterable[tuple[str, tuple[int, ...], str, str]]) -> list[Row]:
    rows: dict[tuple[str, tuple[int, ...], str], Row] = {}
    for name, shape, remark, full in found:
        rows.setdefault((name, shape, remark), Row(name, shape, remark)).copies.append(full)
    return list(rows.values())
