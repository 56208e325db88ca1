"""What a model costs, from formulas and without torch: parameters, FLOPs, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tfdsl import declared, shapes
from tfdsl.checking import Checked
from tfdsl.diagnostics import suggest
from tfdsl.node import Flow, Instance, Step
from tfdsl.shapes import Poly

DEFAULT_LENGTH = 512
BYTES = {"float32": 4, "bfloat16": 2}
MASTER = 4  # the optimiser's own numbers are float32 whatever the model computes in


class AxisError(ValueError):
    """An axis that the model does not have, or a length that it does not allow; the message says which there are."""


@dataclass(frozen=True)
class Entry:
    """What one node costs, all its copies together; `children` are what it consists of.

    `parameters` counts a tied weight once, where it is declared; `flops` is one forward pass; `kept` the bytes of
    activations that the backward pass needs; `cache` the bytes that cached decoding holds.
    """

    name: str
    kind: str
    copies: int
    parameters: int
    flops: int
    kept: int
    cache: int
    children: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a model costs at the lengths in `axes`. Memory is in bytes.

    A training step takes three times the FLOPs of a forward pass: the backward pass computes a gradient for each factor
    of each product. `optimizer` holds AdamW's two moments, in float32.
    """

    name: str
    axes: Mapping[str, int]
    precision: str
    parameters: int
    forward: int
    training: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    cache: int
    entries: tuple[Entry, ...] = field(default=())

    @property
    def memory(self) -> int:
        """Return the bytes that a training step needs."""
        return self.weights + self.gradients + self.optimizer + self.activations


def count(
    checked: Checked, axes: Mapping[str, int] | None = None, batch: int | None = None, precision: str = "float32"
) -> Cost:
    """Return what a checked model costs.

    `axes` gives lengths to symbolic axes; `batch` that of the first axis of the inputs. An axis without a length has the
    most that its positions allow, else 512; a batch has 1. Raises AxisError for an axis that there is not.
    """
    lengths = _lengths(checked, dict(axes or {}), batch)
    counter = _Counter(lengths, BYTES[precision])
    shared = tuple(counter.shared(checked))
    streams = [counter.stream(name, stream, len(checked.streams) > 1) for name, stream in checked.streams.items()]
    entries = (*shared, *(entry for stream in streams for entry in stream))
    parameters = declared.count(checked)
    forward = sum(entry.flops for entry in entries)
    size = BYTES[precision]
    return Cost(
        name=checked.spec.name if checked.spec is not None else "",
        axes=lengths,
        precision=precision,
        parameters=parameters,
        forward=forward,
        training=3 * forward,
        weights=parameters * size,
        gradients=parameters * size,
        optimizer=2 * parameters * MASTER,
        activations=sum(entry.kept for entry in entries),
        cache=sum(entry.cache for entry in entries),
        entries=entries,
    )


def _lengths(checked: Checked, axes: dict[str, int], batch: int | None) -> dict[str, int]:
    names = list(
        dict.fromkeys(
            name
            for value in checked.inputs.values()
            for axis in value.tensor.axes
            for name in sorted(shapes.symbols(axis.size))
        )
    )
    firsts = [axis.size for value in checked.inputs.values() for axis in value.tensor.axes[:1]]
    batches = {str(size) for size in firsts if isinstance(size, Poly)}
    if batch is not None:
        axes = {**dict.fromkeys(batches, batch), **axes}
    for name, length in axes.items():
        if name not in names:
            near = suggest(name, tuple(names)) or ", ".join(names)
            raise AxisError(f"there is no axis `{name}`: the axes are {near}")
        most = checked.limits.get(name)
        if length < 1 or (most is not None and length > most):
            raise AxisError(
                f"axis `{name}` cannot be {length}: " + (f"its positions hold {most}" if most else "it begins at 1")
            )
    defaults = {name: 1 if name in batches else checked.limits.get(name, DEFAULT_LENGTH) for name in names}
    return {**defaults, **axes}


@dataclass(frozen=True)
class _Counter:
    lengths: Mapping[str, int]
    size: int

    def shared(self, checked: Checked) -> Iterator[Entry]:
        """Yield what the modules of the whole model cost, where they have parameters."""
        for name, shared in checked.shared.items():
            parameters = sum(weight.count for weight in shared.weights.values())
            if parameters:
                yield Entry(name, shared.call.layer, 1, parameters, 0, 0, 0)

    def stream(self, name: str, stream: Instance, named: bool) -> tuple[Entry, ...]:
        """Return the entries of a stream, under its name where there are several."""
        entries = tuple(self.flow(stream.flow))
        return (total(name, "stream", 1, entries),) if named else entries

    def flow(self, flow: Flow, runs: int = 1, owned: int = 1) -> Iterator[Entry]:
        """Yield what the nodes of a pipe cost that runs `runs` times and has `owned` sets of weights."""
        for step in flow.steps:
            yield self.step(step, runs, owned)

    def step(self, step: Step, runs: int, owned: int) -> Entry:
        """Return what a node costs, with all that is in it."""
        children = [entry for flow in step.flows for entry in self.flow(flow, runs, owned)]
        for index, instance in enumerate(step.instances):
            copies = step.order.count(index)
            sets = 1 if step.shared else copies
            inner = tuple(self.flow(instance.flow, runs * copies, owned * sets))
            children.append(total(instance.name or "body", "block", copies, inner))
        work = step.node.work(step)
        own = Entry(
            step.name,
            step.node.kind,
            1,
            owned * sum(weight.count for weight in step.weights.values() if not weight.tied),
            runs * shapes.at(work.flops, self.lengths),
            runs * shapes.at(work.kept, self.lengths) * self.size,
            runs * shapes.at(work.cache, self.lengths) * self.size,
        )
        return total(step.name, step.node.kind, 1, tuple(children), own)


def total(name: str, kind: str, copies: int, children: tuple[Entry, ...], own: Entry | None = None) -> Entry:
    """Return the sum of entries (and of what a node costs by itself) as one."""
    parts = (*children, *((own,) if own is not None else ()))
    return Entry(
        name,
        kind,
        copies,
        sum(entry.parameters for entry in parts),
        sum(entry.flops for entry in parts),
        sum(entry.kept for entry in parts),
        sum(entry.cache for entry in parts),
        children,
    )
