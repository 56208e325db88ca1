"""Which streams of a model a cache serves, and of which axis it holds the positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfdsl.checking import Checked
from tfdsl.node import Flow, Instance, Sight, Size, Step, Value

WHOLE: frozenset[Sight] = frozenset({"everywhere", "unknown"})  # of a node that needs all positions at once


@dataclass(frozen=True, slots=True)
class Remembered:
    """The streams that a cache serves, the sizes of the axes that it holds, and of those that are so much shorter."""

    streams: frozenset[str] = frozenset()
    axes: frozenset[Any] = frozenset()
    early: Mapping[Any, int] = field(default_factory=dict[Any, int])


def steps(flow: Flow) -> Iterator[Step]:
    """Yield every step of a pipe and of what is in it, a block that differs once."""
    for step in flow.steps:
        yield step
        for inner in (*step.flows, *(each.flow for each in step.instances)):
            yield from steps(inner)


def sees(stream: Instance) -> set[Sight]:
    """Return what the positions of a stream depend on, over all that stands in it."""
    return {step.node.sight(step) for step in steps(stream.flow)}


def remembered(checked: Checked) -> Remembered:
    """Return the streams that a cache serves, and the axis that it holds positions of.

    Their attention looks back alone, along one axis of the model, and so do positions and added tokens (what stands
    before these is early); what looks everywhere neither comes after them nor touches that axis, and no table is made
    of nothing along it. Where that cannot be had, no stream has a cache.
    """
    seen = {name: sees(stream) for name, stream in checked.streams.items()}
    cached = frozenset(name for name, each in seen.items() if "behind" in each and not each & WHOLE)
    within = [step for name in cached for step in steps(checked.streams[name].flow)]
    axes = {step.x.axes[-2].size for step in within if step.node.sight(step) == "behind"}
    placed = {step.output.axes[-2].size for step in within if step.node.sight(step) == "place"}
    counted = {step.output.axes[-2].size for step in within if step.node.sight(step) == "count"}
    gaps = {size: axis - size for size in placed - axes for axis in axes}
    early = {size: gap for size, gap in gaps.items() if isinstance(gap, int) and gap > 0}
    apart = len(early) < len(gaps)
    if len(axes) != 1 or apart or counted - axes or any(seen[name] & WHOLE for name in _after(checked, cached)):
        return Remembered()
    whole = [step for name, each in checked.streams.items() if seen[name] & WHOLE for step in steps(each.flow)]
    fixed = [step for each in checked.streams.values() for step in steps(each.flow) if step.node.begins]
    if any(axis.size in axes for step in (*whole, *fixed) for axis in step.output.axes):
        return Remembered()
    return Remembered(cached, frozenset(axes), early)


def outside(checked: Checked, name: str) -> list[Value]:
    """Return the values of a stream that something outside of it reads; none where nothing does."""
    read = [value for other, each in checked.streams.items() if other != name for value in each.reads]
    found = [value for value in (*read, *checked.outputs.values()) if value.home == name and value.kind != "input"]
    return list({value.name: value for value in found}.values())


def once(checked: Checked, kept: Remembered, name: str) -> bool:
    """Return whether a cache keeps what a stream gave at the first forward: it needs all positions at once."""
    return bool(kept.streams) and name not in kept.streams and bool(sees(checked.streams[name]) & WHOLE)


def flags(checked: Checked, kept: Remembered, name: str) -> Size:
    """Return how many positions of a stream a cache marks as real or padding, which masks and numbers ask for."""
    found: dict[Any, Size] = {}
    for step in steps(checked.streams[name].flow) if name in kept.streams else ():
        masks = [each.keys for each in step.shares if each.role == "mask" and each.queries.size in kept.axes]
        for axis in (*masks, *([step.x.axes[-2]] if step.node.sight(step) == "count" else [])):
            if axis.keep is not None and axis.size in kept.axes:
                found[axis.keep] = checked.inputs[axis.keep.inputs[0]].tensor.axes[0].size * axis.size
    return sum(found.values())


def parted(checked: Checked, kept: Remembered, name: str) -> Size:
    """Return of how many positions a cache says which document they are of; for the first of its streams, once."""
    found: dict[str, tuple[str, Size]] = {}
    for stream in (each for each in checked.streams if each in kept.streams):
        for step in steps(checked.streams[stream].flow):
            for axis in (each for each in step.output.axes if each.parts and each.size in kept.axes):
                rows = checked.inputs[axis.parts].tensor.axes[0].size
                found.setdefault(axis.parts, (stream, rows * axis.size))
    return sum(count for stream, count in found.values() if stream == name)


def _after(checked: Checked, first: frozenset[str]) -> set[str]:
    """Return these streams and those that read them, directly or not."""
    after = set(first)
    for name, stream in checked.streams.items():
        if any(value.home in after for value in stream.reads if value.kind != "input"):
            after.add(name)
    return after
