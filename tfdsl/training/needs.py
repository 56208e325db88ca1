"""The memory that a training step needs, estimated before the first one, and whether the machine has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tfdsl import settings
from tfdsl.costing import Entry
from tfdsl.data.table import Table
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.roles import Signature
from tfdsl.training import room
from tfdsl.training.crossentropy import CHUNK
from tfdsl.training.meter import Costs, lengths
from tfdsl.training.processes import Processes
from tfdsl.training.subject import Subject
from tfdsl.training.task import Batch, Place, Task

LOSS = 3  # float32 numbers for each of the model's results: a softmax's logarithm, its gradient and the result's
THINNER = 0.6  # of the activations are left where the residual stream is bfloat16, measured
CAST = 2  # bytes a parameter of the bfloat16 copies that autocast keeps for a step
KEPT = {"adamw": 2, "muon": 1, "sgd": 1, "adafactor": 0}  # float32 numbers a parameter, of the optimiser
FAR = 2  # times all memory that there is, from which on a run is not begun
MOST = 256  # examples of a batch that is looked at; more of them need so much more
LOADED = 90 << 20  # bytes of the libraries that torch loads when it first multiplies, measured


@dataclass(frozen=True, slots=True)
class Need:
    """The bytes of memory of a training step, by what they are for; `fixed` is what any batch needs besides."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    working: int
    loss: int
    fixed: int

    @property
    def kept(self) -> int:
        """Return what stays from step to step."""
        return self.weights + self.gradients + self.optimizer

    @property
    def rows(self) -> int:
        """Return what grows with the batch."""
        return self.activations + self.working + self.loss

    @property
    def total(self) -> int:
        """Return all of it."""
        return self.kept + self.rows + self.fixed

    @property
    def told(self) -> str:
        """Return its parts in words."""
        return f"{told(self.rows)} for the examples, {told(self.kept)} for weights, gradients and moments"


def first(
    subject: Subject, task: Task, train: settings.Train, table: Table, processes: Processes, fresh: bool = True
) -> list[Diagnostic]:
    """Warn where a step would need more memory than the machine has free; refuse one that is far beyond all of it.

    A run that is taken up again is not refused: it was begun elsewhere, and its batch is what it is.
    """
    costs, device = subject.costs, processes.device.type
    free, whole = room.free(device), room.whole(device)
    if costs is None or free is None:
        return []
    head = subject.head.output if subject.head is not None and train.parallel != "fsdp" else ""
    here = processes.here if device == "cpu" else 1
    many = min(train.batch, MOST)
    alike = task.lengths(table)
    count = task.examples(table, 0)
    order = range(count) if alike is None else alike.argsort()[::-1].tolist()  # the longest ones may come together
    batch = task.batch(table, [Place(0, order[row % count]) for row in range(many)])

    def needed(rows: int) -> Need:
        return need(costs, subject.signature, batch, train, head, -(-rows // processes.count) / many, here)

    where = subject.where("train.batch")
    beyond = refuse(needed, free, whole, train, where) if fresh and whole is not None else []
    return beyond or warn(needed(train.batch), free, train, where)


def need(
    costs: Costs,
    signature: Signature,
    batch: Batch,
    train: settings.Train,
    head: str = "",
    times: float = 1.0,
    processes: int = 1,
) -> Need:
    """Return the memory that so many `processes` of a machine take for a step like the `batch`, of `times` its rows.

    `head` is the output whose scores the loss makes itself, and never holds more of than a chunk.

    Activations are those of `tfdsl cost`. In bfloat16 they are counted as float32 too: what norms, softmaxes and the
    residual stream keep stays float32, and the rest is kept beside its cast copy; with weights in bfloat16 the stream
    is too. Beside them, a step works on one copy of the largest block, and makes the gradient of the largest weight
    before it is added.
    """
    axes = lengths(signature, batch)
    axes |= {name: math.ceil(axes[name] * times) for name in _firsts(signature) if name in axes}
    cost = costs(axes)
    low = CAST * cost.parameters
    cast = low if train.precision != "float32" else 0  # what autocast keeps, or the weights beside their masters
    rounded = train.precision == "bfloat16_weights"
    passing = low if rounded else 0  # a pass's gradients, before the masters take them
    kept = KEPT.get(train.optimizer.type_name, 2) + (train.average is not None)
    outputs = sum(
        min(count, CHUNK) if name == head else count
        for name, count in ((name, _count(shape, axes)) for name, shape in signature.outputs.items())
    )
    return Need(
        weights=processes * (cost.weights + cast),
        gradients=processes * (cost.gradients + passing),
        optimizer=processes * 4 * kept * cost.parameters,
        activations=processes * int(cost.activations * (THINNER if rounded else 1)),
        working=processes * max(map(_copy, cost.entries), default=0),
        loss=processes * LOSS * 4 * outputs,
        fixed=processes * (LOADED + 4 * max(map(_largest, cost.entries), default=0)),
    )


def _firsts(signature: Signature) -> set[str]:
    """Return the axes along which examples stand."""
    return {str(each.shape[0]) for each in signature.inputs.values() if each.shape}


def _copy(entry: Entry) -> int:
    """Return the activations of the largest copy of a block in a node, or of the node."""
    if entry.kind == "block" or not entry.children:
        return entry.kept // entry.copies
    return max(map(_copy, entry.children))


def _largest(entry: Entry) -> int:
    """Return the parameters of the largest node."""
    return max(map(_largest, entry.children), default=0) if entry.children else entry.parameters // entry.copies


def _count(shape: tuple[int | str, ...], axes: Mapping[str, int]) -> int:
    count = 1
    for extent in shape:
        count *= extent if isinstance(extent, int) else axes.get(extent, 1)
    return count


def warn(need: Need, free: int | None, train: settings.Train, where: Span | None) -> list[Diagnostic]:
    """Warn of a step that needs more memory than there is, with what would make it smaller."""
    if free is None or need.total <= free:
        return []
    message = f"a step needs about {told(need.total)} of memory, and the machine has {told(free)} free"
    return [Diagnostic("W575", message, where, label=need.told, help=_help(need, free, train))]


def refuse(
    needed: Callable[[int], Need], free: int, whole: int, train: settings.Train, where: Span | None
) -> list[Diagnostic]:
    """Refuse a step that needs `FAR` times all memory that there is, and say which batch fits; `needed` is of a batch.

    It would be killed without a word, or take the machine with it.
    """
    need = needed(train.batch)
    if need.total <= FAR * whole or train.memory == "any":
        return []
    message = f"a step needs about {told(need.total)} of memory, and the machine has {told(whole)} in all"
    fitting = 0
    while (larger := max(1, 2 * fitting)) < train.batch and needed(larger).total <= free:
        fitting = larger
    help_ = "even one example a pass does not fit: take a smaller model, or a shorter `train.context`"
    if fitting:
        many = -(-train.accumulate * train.batch // fitting)
        help_ = f"`train.batch` {fitting} fits; with `train.accumulate` {many} a step takes as many examples"
    help_ += ". `train.memory: any` begins all the same"
    return [Diagnostic("R881", message, where, label=need.told, help=help_)]


def _help(need: Need, free: int, train: settings.Train) -> str:
    """Say what would fit: a smaller pass with accumulation, or else a smaller model."""
    rows = int(train.batch * (free - need.kept - need.fixed) / max(1, need.rows) * 0.9)
    if rows < 1:
        return "even one example a pass does not fit: take a smaller model, or a shorter `train.context`"
    even = max(each for each in range(1, rows + 1) if train.batch % each == 0)
    rows = even if 2 * even > rows else 1 << rows.bit_length() - 1  # a prime has no parts
    many = -(-train.accumulate * train.batch // rows)
    return f"the same steps in smaller passes: `train.batch` {rows} with `train.accumulate` {many}"


def told(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):,.1f} {unit}"
    return f"{count} B"
