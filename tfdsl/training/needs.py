"""The memory that a training step needs, estimated before the first one, and what the machine has free."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from tfdsl import settings
from tfdsl.costing import Entry
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.roles import Signature
from tfdsl.training.meter import Costs, lengths
from tfdsl.training.prepare import Job
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Place

LOSS = 3  # float32 numbers for each of the model's results: a softmax's logarithm, its gradient and the result's
THINNER = 0.8  # of the activations are left where the residual stream is bfloat16, measured
CAST = 2  # bytes a parameter of the bfloat16 copies that autocast keeps for a step
KEPT = {"adamw": 2, "muon": 1, "sgd": 1, "adafactor": 0}  # float32 numbers a parameter, of the optimiser
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
    def total(self) -> int:
        """Return all of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.working + self.loss + self.fixed


def first(job: Job, processes: Processes) -> list[Diagnostic]:
    """Warn where a step of a job would need more memory than the machine has free."""
    costs, train, table = job.subject.costs, job.settings, job.data.train
    if costs is None:
        return []

    rows = -(-train.batch // processes.count)
    alike = job.task.lengths(table)
    count = job.task.examples(table, 0)
    order = range(count) if alike is None else alike.argsort()[::-1].tolist()  # the longest ones may come together
    batch = job.task.batch(table, [Place(0, order[row % count]) for row in range(rows)])
    needed = need(costs, job.subject.signature, batch, train)
    return warn(needed, free(processes.device.type), train, job.subject.where("train.batch"))


def need(costs: Costs, signature: Signature, batch: Batch, train: settings.Train) -> Need:
    """Return the memory of a step that is like the `batch`.

    Activations are those of `tfdsl cost`. In bfloat16 they are counted as float32 too: what norms, softmaxes and the
    residual stream keep stays float32, and the rest is kept beside its cast copy; with weights in bfloat16 the stream
    is too. Beside them, a step works on one copy of the largest block, and makes the gradient of the largest weight
    before it is added.
    """
    axes = lengths(signature, batch)
    cost = costs(axes)
    low = CAST * cost.parameters
    cast = low if train.precision != "float32" else 0  # what autocast keeps, or the weights beside their masters
    rounded = train.precision == "bfloat16_weights"
    passing = low if rounded else 0  # a pass's gradients, before the masters take them
    kept = KEPT.get(train.optimizer.type_name, 2) + (train.average is not None)
    outputs = sum(_count(shape, axes) for shape in signature.outputs.values())
    return Need(
        weights=cost.weights + cast,
        gradients=cost.gradients + passing,
        optimizer=4 * kept * cost.parameters,
        activations=int(cost.activations * (THINNER if rounded else 1)),
        working=max(map(_copy, cost.entries), default=0),
        loss=LOSS * 4 * outputs,
        fixed=LOADED + 4 * max(map(_largest, cost.entries), default=0),
    )


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


def free(device: str = "cpu") -> int | None:
    """Return the bytes of memory that a process can still get; None where the system does not say."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    limits = [each for each in (_available(), _cgroup(), _limit()) if each is not None]
    return min(limits, default=None)


def _available() -> int | None:
    """Return what Linux says is available."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _cgroup() -> int | None:
    """Return what the container's limit leaves, in the second or the first version of control groups."""
    root = Path("/sys/fs/cgroup")
    for most, now in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory/memory.limit_in_bytes", root / "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = most.read_text().strip()
            if limit != "max" and int(limit) < 1 << 60:
                return max(0, int(limit) - int(now.read_text()))
        except (OSError, ValueError):
            continue
    return None


def _limit() -> int | None:
    """Return what `ulimit -v` leaves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or not sys.platform.startswith("linux"):
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return max(0, soft - pages * resource.getpagesize())


def warn(need: Need, free: int | None, train: settings.Train, where: Span | None) -> list[Diagnostic]:
    """Warn of a step that needs more memory than there is, with what would make it smaller."""
    if free is None or need.total <= free:
        return []
    message = f"a step needs about {told(need.total)} of memory, and the machine has {told(free)} free"
    kept = need.weights + need.gradients + need.optimizer
    rows = need.activations + need.working + need.loss
    parts = f"{told(rows)} for the examples, {told(kept)} for weights, gradients and moments"
    return [Diagnostic("W575", message, where, label=parts, help=_help(rows, free - kept - need.fixed, train))]


def _help(taken: int, room: int, train: settings.Train) -> str:
    """Say what would fit: a smaller pass with accumulation, or else a smaller model."""
    rows = int(train.batch * room / max(1, taken) * 0.9)
    if rows < 1:
        return "even one example a pass does not fit: take a smaller model, or a shorter `train.context`"
    rows = max(each for each in range(1, rows + 1) if train.batch % each == 0)
    many = train.accumulate * train.batch // rows
    return f"the same steps in smaller passes: `train.batch` {rows} with `train.accumulate` {many}"


def told(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):,.1f} {unit}"
    return f"{count} B"
