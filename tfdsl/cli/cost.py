"""tfdsl cost: count parameters, FLOPs and memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from tfdsl import costing
from tfdsl.cli import options
from tfdsl.cli.output import refuse, say
from tfdsl.cli.reading import checked
from tfdsl.costing import Cost, Entry

HEAD = ("node", "parameters", "forward FLOPs", "activations", "cache")


@click.command()
@options.spec
@click.option("--batch", type=click.IntRange(min=1), help="The size of the batch. [default: 1]")
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="NAME=LENGTH",
    help="The length of a symbolic axis, such as T=1024. [default: the most that its positions allow, else 512]",
)
@click.option(
    "--precision",
    type=click.Choice(list(costing.BYTES)),
    default="float32",
    show_default=True,
    help="What numbers are held in.",
)
@options.as_json
@options.overrides
def command(
    spec: str, batch: int | None, axes: tuple[str, ...], precision: str, as_json: bool, overrides: tuple[str, ...]
) -> int:
    """Count what a spec costs: parameters (a tied weight once), FLOPs, and the memory of training and of decoding.

    A multiply and an add are two FLOPs; a training step takes three times a forward pass. The optimiser is AdamW.
    """
    lengths = dict(_length(axis) for axis in axes)
    result = checked(spec, overrides)
    try:
        cost = costing.count(result, lengths, batch, precision)
    except costing.AxisError as error:
        refuse(str(error))
    if as_json:
        data = {**asdict(cost), "memory": cost.memory}
        say(json.dumps(data, indent=1))
    else:
        say("\n".join(_page(cost)))
    return 0


def _length(axis: str) -> tuple[str, int]:
    name, _, length = axis.partition("=")
    try:
        return name.strip(), int(length)
    except ValueError:
        raise click.BadParameter(
            f"`{axis}` is not of the form NAME=LENGTH, such as T=1024", param_hint="--axis"
        ) from None


def _page(cost: Cost) -> Iterator[str]:
    lengths = ", ".join(f"{name} = {length:,}" for name, length in cost.axes.items())
    yield f"{cost.name}" + (f" at {lengths}" if lengths else "") + f", {cost.precision}"
    yield ""
    yield from _table(cost)
    yield ""
    rows = {
        "parameters": f"{cost.parameters:,}",
        "forward pass": f"{cost.forward:,} FLOPs",
        "training step": f"{cost.training:,} FLOPs",
        "training memory": f"{size(cost.memory)}: weights {size(cost.weights)}, gradients {size(cost.gradients)}, "
        f"AdamW {size(cost.optimizer)}, activations {size(cost.activations)}",
        "decoding cache": size(cost.cache),
    }
    for name, text in rows.items():
        yield f"{name:16} {text}"


def _table(cost: Cost) -> Iterator[str]:
    rows = [HEAD, *(row for entry in cost.entries for row in _rows(entry, 0))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for index, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
        if index == 0:
            yield "─" * (sum(widths) + 2 * (len(widths) - 1))


def _rows(entry: Entry, depth: int) -> Iterator[tuple[str, ...]]:
    """Yield the row of a node and those of what it consists of; of a node that costs nothing, none."""
    if not (entry.parameters or entry.flops or entry.kept or entry.cache):
        return
    copies = f" × {entry.copies}" if entry.copies > 1 else ""
    numbers = (_count(entry.parameters), _count(entry.flops), size(entry.kept), size(entry.cache))
    yield "  " * depth + entry.name + copies, *numbers
    for child in entry.children:
        yield from _rows(child, depth + 1)


def _count(number: int) -> str:
    return f"{number:,}" if number else "·"


def size(count: int) -> str:
    """Return a number of bytes as people read it: `474.7 MiB`."""
    if not count:
        return "·"
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):,.1f} {unit}"
    return f"{count} B"
