"""What a model costs, from formulas and without torch: parameters, FLOPs, memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tfdsl import declared, shapes
from tfdsl.checking import Checked
from tfdsl.diagnostics import suggest
from tfdsl.node import Flow, Instance, Size, Step
from tfdsl.remembering import Remembered, flags, once, outside, parted, remembered
from tfdsl.shapes import Poly

DEFAULT_LENGTH = 512
BYTES = {"float32": 4, "bfloat16": 2}
NUMBER = 8  # of a document, or of a position
STATE = 4  # recurrent states are float32 even where the model is less exact
MASTER = 4  # the optimiser's own numbers are float32 whatever the model computes in


class AxisError(ValueError):
    """An axis that the model does not have, or a length that it does not allow; the message says which there are."""


@dataclass(frozen=True)
class Entry:
    """What one node costs, all its copies together; `children` are what it consists of.

    `parameters` counts a tied weight once, where it is declared; `flops` is one forward pass, `training` a forward and
    a backward pass; `kept` the bytes of activations that the backward pass needs, those of a value that several nodes
    need at the first of them; `cache` the bytes of keys and values that cached decoding holds.
    """

    name: str
    kind: str
    copies: int
    parameters: int
    flops: int
    kept: int
    cache: int
    training: int
    children: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a model costs at the lengths in `axes`. Memory is in bytes.

    A training step takes three times the FLOPs of a forward pass, as the backward pass computes a gradient for each
    factor of each product; less where the factor is the model's input, which needs none. `torch.utils.flop_counter`
    counts the same where attention is written out; fused attention computes its scores once more.
    `activations` is what PyTorch keeps on a CPU; a GPU takes a byte an element for a dropout mask, and keeps no scores.
    `optimizer` holds AdamW's two moments, in float32.
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

    def __repr__(self) -> str:
        """Return the sums, on a line."""
        at = ", ".join(f"{name} = {length:,}" for name, length in self.axes.items())
        told = f"{self.parameters:,} parameters, {self.forward:,} FLOPs forward and {self.training:,} in training"
        return f"Cost({self.name} at {at}: {told}, {self.memory:,} bytes in training, {self.cache:,} of cache)"

    @property
    def memory(self) -> int:
        """Return the bytes that a training step needs."""
        return self.weights + self.gradients + self.optimizer + self.activations


def count(
    checked: Checked, axes: Mapping[str, int] | None = None, batch: int | None = None, precision: str = "float32"
) -> Cost:
    """Return what a checked model costs.

    `axes` gives lengths to symbolic axes; `batch` that of the first axis of the inputs. An axis without a length has
    the most that its positions allow, else 512; a batch has 1. Raises AxisError for an axis that there is not.
    """
    lengths = _lengths(checked, dict(axes or {}), batch)
    inputs = {name: _Held(0, 1, True, False) for name in checked.inputs}
    counter, kept = _Counter(lengths, BYTES[precision], inputs), remembered(checked)
    shared = tuple(counter.shared(checked))
    several, streams = len(checked.streams) > 1, list[tuple[Entry, ...]]()
    for name, stream in checked.streams.items():
        held = counter.beside(checked, kept, name)
        streams.append(replace(counter, caches=name in kept.streams).stream(name, stream, several, held))
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
        training=sum(entry.training for entry in entries),
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


@dataclass
class _Held:
    """A value on its way: `needed` once a node was found that keeps it, `trained` where a weight had a part in it."""

    count: int
    runs: int
    needed: bool = False
    trained: bool = True


@dataclass(frozen=True)
class _Counter:
    lengths: Mapping[str, int]
    size: int
    named: dict[str, _Held]
    caches: bool = False  # whether a cache serves the stream that is counted

    def shared(self, checked: Checked) -> Iterator[Entry]:
        """Yield what the modules of the whole model cost, where they have parameters or something is kept of them."""
        for name, shared in checked.shared.items():
            parameters = sum(weight.count for weight in shared.weights.values())
            kept = self.at(shared.work.kept) * self.size
            if parameters or kept:
                yield Entry(name, shared.call.layer if shared.call is not None else name, 1, parameters, 0, kept, 0, 0)

    def at(self, size: Size) -> int:
        """Return a size as a number."""
        return shapes.at(size, self.lengths)

    def stream(self, name: str, stream: Instance, named: bool, held: int) -> tuple[Entry, ...]:
        """Return the entries of a stream, under its name where there are several; a cache holds `held` bytes of it."""
        entries, self.named[name] = self.flow(stream.flow, None)
        own = Entry(name, "stream", 1, 0, 0, 0, held, 0)
        if named:
            return (total(name, "stream", 1, entries, own),)
        return (*entries, *([own] if held else []))

    def beside(self, checked: Checked, kept: Remembered, name: str) -> int:
        """Return the bytes that a cache holds of a stream besides what its nodes do.

        These are what it gave at the first forward, where that is kept, a byte for each position that may be padding,
        and two whole numbers for each where documents share a row: its document, and where that begins.
        """
        given = sum(self.at(value.tensor.count) for value in outside(checked, name)) if once(checked, kept, name) else 0
        numbers = 2 * NUMBER * self.at(parted(checked, kept, name))
        return given * self.size + self.at(flags(checked, kept, name)) + numbers

    def flow(self, flow: Flow, value: _Held | None, runs: int = 1, owned: int = 1) -> tuple[tuple[Entry, ...], _Held]:
        """Return what the nodes of a pipe cost that runs `runs` times and has `owned` sets of weights, and its end."""
        entries: list[Entry] = []
        for step in flow.steps:
            entry, value = self.step(step, value, runs, owned)
            entries.append(entry)
        assert value is not None, "a sound pipe gives a value"
        return tuple(entries), value

    def step(self, step: Step, before: _Held | None, runs: int, owned: int) -> tuple[Entry, _Held]:
        """Return what a node costs, with all that is in it, and the value that it gives."""
        taken = {field: self.named[value.name] for field, value in step.reads.items() if value.kind != "part"}
        if (x := taken.get("from", before)) is not None:
            taken["x"] = x
        children, trained = self.inside(step, taken.get("x"), runs, owned)
        trained = trained or bool(step.weights) or any(value.trained for value in taken.values())
        work = step.node.work(step)
        given = _Held(self.at(step.output.count), runs, trained=trained)
        if work.view and x is not None and x.trained == trained:
            given = x
        taken["y"] = given
        if step.node.id is not None:
            self.named[step.node.id] = given
        flops = runs * self.at(work.flops)
        untrained = runs * self.at(work.fixed)
        for value, products in ((x, work.entering), (taken.get("kv"), work.reading)):
            untrained += runs * self.at(products) if value is not None and not value.trained else 0
        training = 3 * flops + runs * self.at(work.backward) - untrained
        parameters = owned * sum(each.count for each in step.weights.values() if each.trained and not each.tied)
        kept = 0  # where no weight had a part, there is no backward pass
        if trained:
            kept = runs * self.at(work.kept) + sum(self.held(taken[name]) for name in work.needs)
        held = self.at(work.cache) * self.size + self.at(work.states) * max(self.size, STATE)
        cache = runs * held if self.caches else 0
        own = Entry(step.name, step.node.kind, 1, parameters, flops, kept * self.size, cache, training)
        return total(step.name, step.node.kind, 1, children, own), given

    def held(self, value: _Held) -> int:
        """Return how many elements it takes to keep a value: none where another node has kept it."""
        count = 0 if value.needed else value.count * value.runs
        value.needed = True
        return count

    def inside(self, step: Step, x: _Held | None, runs: int, owned: int) -> tuple[tuple[Entry, ...], bool]:
        """Return what stands in a node, copies that are alike together, and whether there are weights in it."""
        children: list[Entry] = []
        trained = False
        for flow in step.flows:
            entries, end = self.flow(flow, x, runs, owned)
            children += entries
            trained = trained or end.trained
        for index, instance in enumerate(step.instances):
            copies = step.order.count(index)
            sets = 1 if step.shared else copies
            start = self.begun(step, instance.flow, x, runs * copies) if x is not None else None
            entries, end = self.flow(instance.flow, start, runs * copies, owned * sets)
            trained = trained or end.trained
            children.append(total(instance.name or "body", "block", copies, entries))
        return tuple(children), trained

    def begun(self, step: Step, flow: Flow, x: _Held, runs: int) -> _Held:
        """Return what copies of a block begin with; behind a pipe of the node's own it is no longer what came in."""
        count = self.at(flow.start.count) if flow.start is not None else x.count
        return _Held(count, runs, x.needed and not step.flows, x.trained)


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
        sum(entry.training for entry in parts),
        children,
    )
