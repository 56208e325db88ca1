"""concat: several values, one behind the other."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from tfdsl.axes import lost, place, shifted
from tfdsl.joins import Join, operands
from tfdsl.node import Node, Ports, Sight, Size, Step, Writer
from tfdsl.parts import Whole
from tfdsl.shapes import Axis, Tensor


class Concat(Join, Node):
    """Puts values one behind the other along an axis, most often their features: [..., A] and [..., B] -> [..., A + B].

    They are what its pipes give, or values by their names: `concat: {from: [image, text], axis: -2}` puts the positions
    of one sequence before those of another. `concat: {with: a}` puts `a` behind the value before.
    """

    title = "Concatenation"
    symbol = "concat"
    example = """
    dims: {d_model: 512, width: 64}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - concat: [[linear: width], [norm, linear: 2 * width]]
    """
    axis: Whole = Field(-1, description="The axis: −1, the last, is the features, −2 the positions of [B, T, D].")

    def shape(self, io: Ports) -> Tensor:
        first, *others = self.ends(io)
        axis = place(io, first, self.axis)
        length = first.axes[axis].size
        for index, other in enumerate(others, 1):
            self._check(io, first, other, axis, index)
            length = length + other.axes[axis].size
        joined = self._along(io, [each.axes[axis] for each in (first, *others)], axis)
        for other in others:
            first = _with(_with(first, axis, other.axes[axis]).joined(other), axis, first.axes[axis])
        return _with(first, axis, replace(joined, size=length))

    def _check(self, io: Ports, first: Tensor, other: Tensor, axis: int, index: int) -> None:
        alike = len(other.axes) == len(first.axes) and other.dtype == first.dtype == "float"
        if not alike or _beside(other, axis) != _beside(first, axis):
            last = axis == len(first.axes) - 1
            field, label = self._blamed(index)
            differ = "before the last axis" if last else f"beside axis {self.axis}"
            message = f"`{io.name}` joins {first} and {other}, which differ {differ}"
            io.fail("T204", message, field, f"{label} {other}")

    def _along(self, io: Ports, parts: list[Axis], axis: int) -> Axis:
        """Return the axis that they make; the padding of one is told where the others have fixed lengths."""
        padded = [index for index, each in enumerate(parts) if each.keep is not None]
        if not padded:
            return Axis(1)
        if len(padded) == 1:
            before, after = parts[: padded[0]], parts[padded[0] + 1 :]
            if all(isinstance(each.size, int) for each in (*before, *after)):
                keep = shifted(parts[padded[0]].keep, _total(before), _total(after))
                if keep is not None:
                    return Axis(1, keep=keep)
        lost(io, parts[padded[0]])
        return Axis(1)

    def write(self, w: Writer, step: Step) -> None:
        w.let(f"torch.cat(({', '.join(self.joined(w, step))}), dim={self.axis})")

    def sight(self, step: Step) -> Sight:
        return "here" if self.axis in (-1, len(operands(step)[0].axes) - 1) else "unknown"


def _with(x: Tensor, axis: int, new: Axis) -> Tensor:
    return replace(x, axes=(*x.axes[:axis], new, *x.axes[axis + 1 :]))


def _beside(x: Tensor, axis: int) -> tuple[Size, ...]:
    return (*x.sizes[:axis], *x.sizes[axis + 1 :])


def _total(parts: list[Axis]) -> int:
    return sum(each.known for each in parts)
