"""What the recurrent mixers have in common: they read from behind, through what a position leaves to the next."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from tfdsl import look
from tfdsl.node import Call, Ports, Sight, Size, Step, Weight, Writer
from tfdsl.shapes import Tensor

LOG_RANGE = "weight.data.copy_(torch.arange(1, weight.size(-1) + 1).log())"
STEPS = "start_steps(weight)"


class Recurrence:
    """Gives each position what it and those before it have left: [B, T, D] -> [B, T, D]."""

    keeps = True
    family: ClassVar[look.Family] = "attention"

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        self.check(io)
        return x

    def check(self, io: Ports) -> None:
        """Report what cannot be."""

    def call(self, step: Step) -> Call:
        """Return the layer, whose `forward` takes the value, and by name `keep`, `cache` and `place_BT`."""
        raise NotImplementedError

    def write(self, w: Writer, step: Step) -> None:
        axis, keep = step.x.axes[-2], w.keep(step.x.axes[-2])
        if keep and w.cache() and axis.keep is not None and axis.keep.before:
            keep = f"{keep}[:, -{w.x}.size(1) :]"  # what stands before all positions is there at the first forward
        given = [w.x, *([f"keep={keep}"] if keep else []), *([f"cache={w.cache()}"] if w.cache() else [])]
        given += [f"place_BT={place}"] if (place := w.place(axis, fresh=True)) else []
        w.let(f"{w.layer(self.call(step))}({', '.join(given)})")

    def sight(self, step: Step) -> Sight:
        return "behind"

    def leaks(self, step: Step) -> str:
        """Return nothing: what is carried along a row begins anew with each document."""
        return ""


def taps(size: int, width: int, bias: bool) -> dict[str, Weight]:
    """Return the weights of a causal convolution of each feature by itself, over `size` positions."""
    reach = round(size**-0.5, 4)
    weights = {"taps.weight": Weight((size, width), f"nn.init.uniform_(weight, -{reach}, {reach})")}
    if bias:
        weights["taps.bias"] = Weight((width,), "zeros", decays=False)
    return weights


def parted(step: Step) -> bool:
    """Return whether a sequence holds several documents."""
    return bool(step.x.axes[-2].parts)


def apart(step: Step) -> str:
    """Return what a figure says of a sequence that holds several documents, behind what else it says."""
    return " · per document" if parted(step) else ""


def masked(step: Step, size: int) -> Size:
    """Return the elements of the masks that keep such a convolution within documents, a byte for each tap."""
    return step.x.positions * (size - 1) // 4 if parted(step) else 0


def padded(step: Step, size: int, width: int) -> Size:
    """Return the elements of what such a convolution takes: as many zeros before each sequence as it reaches back."""
    return sequences(step) * (step.x.axes[-2].size + (size - 1)) * width


def sequences(step: Step) -> Size:
    """Return how many sequences there are: a state each."""
    return prod(step.x.sizes[:-2], start=1)


def blocks(step: Step, chunk: int) -> Size:
    """Return into how many blocks of `chunk` positions a sequence is cut, the last one perhaps part empty."""
    return (step.x.axes[-2].size + (chunk - 1)) // chunk
