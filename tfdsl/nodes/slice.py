"""slice: a stretch of one axis, or what stands at one place of it."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from tfdsl.axes import led, lost, place, shifted
from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.parts import Whole
from tfdsl.shapes import Axis, Tensor


class Slice(Node):
    """Takes from `start` up to, and without, `stop`: [..., D] -> [..., stop - start]; or with `at` one place: -> [...].

    Numbers below 0 count from the end, as in Python: `slice: {start: 1, axis: -2}` leaves out the first position,
    `slice: {stop: -1, axis: -2}` the last. Several slices of one value are its named parts:
    `slice: {id: k, from: qkv, start: d, stop: 2 * d}`.
    """

    headline = "at"
    title = "Slice"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - slice: {from: x, start: 0, stop: d_model / 2}
    """
    axis: Whole = Field(-1, description="The axis: −1, the last, is the features, −2 the positions of [B, T, D].")
    start: Whole | None = Field(None, description="The first place that is taken; 0 if left out.")
    stop: Whole | None = Field(None, description="The place behind the last that is taken; the end if left out.")
    at: Whole | None = Field(None, description="One place; the axis is gone then.")

    def shape(self, io: Ports) -> Tensor:
        x = io.x
        index = place(io, x, self.axis)
        axis = x.axes[index]
        if (self.at is None) == (self.start is None and self.stop is None):
            io.fail("D108", "`slice` takes either `at`, or `start`, `stop` or both")
        if self.at is not None:
            self._inside(io, axis, "at", self.at, self.at + 1 if self.at >= 0 else -self.at)
            return led(io, x, replace(x, axes=(*x.axes[:index], *x.axes[index + 1 :])))
        return led(io, x, replace(x, axes=(*x.axes[:index], self._stretch(io, axis), *x.axes[index + 1 :])))

    def _inside(self, io: Ports, axis: Axis, field: str, said: int, least: int) -> None:
        if isinstance(axis.size, int) and axis.size < least:
            notes = io.origin(axis, f"it is {axis} here")
            io.fail("T264", f"there is no place {said} on an axis of {axis}", field, notes=notes)

    def _stretch(self, io: Ports, axis: Axis) -> Axis:
        start, stop = self.start or 0, self.stop
        for field, said in (("start", start), ("stop", stop)):
            if said is not None:
                self._inside(io, axis, field, said, abs(said))
        first = start if start >= 0 else axis.size + start
        end = axis.size if stop is None else stop if stop >= 0 else axis.size + stop
        length = end - first
        if isinstance(length, int) and length < 1:
            io.fail("T264", f"nothing is left of {axis}", "stop" if stop is not None else "start")
        keep = None
        if axis.keep is not None and start >= 0 and (stop is None or stop < 0):
            keep = shifted(axis.keep, -start, stop or 0)
        added = axis.keep is not None and start >= 0 and stop is not None and 0 < stop <= axis.keep.before
        if keep is None and not added:  # what was put before the others is real
            lost(io, axis)
        return Axis(length, keep=keep)

    def work(self, step: Step) -> Work:
        return Work(view=True)

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        rank, index = len(step.x.axes), self.axis % len(step.x.axes)
        part = str(self.at) if self.at is not None else _range(self.start, self.stop)
        if index == rank - 1 and rank > 1:
            w.let(f"{w.x}[..., {part}]")
        else:
            w.let(f"{w.x}[{', '.join([':'] * index + [part])}]")

    def sight(self, step: Step) -> Sight:
        return "here" if self.axis % len(step.x.axes) == len(step.x.axes) - 1 and step.x.dtype == "float" else "unknown"

    def facts(self, step: Step) -> str:
        along = step.x.axes[self.axis % len(step.x.axes)].label
        return f"{self.at if self.at is not None else _range(self.start, self.stop)} of {along}"


def _range(start: int | None, stop: int | None) -> str:
    return f"{start or ''}:{'' if stop is None else stop}"
