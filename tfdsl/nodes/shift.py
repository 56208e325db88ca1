"""shift: each position takes the value of an earlier one, or of a later one."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from tfdsl.axes import lost
from tfdsl.node import Node, Ports, Sight, Size, Step, Work, Writer
from tfdsl.parts import Natural, Whole, needed
from tfdsl.shapes import Tensor


class Shift(Node):
    """y[t] = x[t - by]: positions move `by` places on, or with a number below 0, back: [B, T, ...] -> [B, T, ...].

    The places that fall free get zeros, or the word `fill` in a sequence of tokens. RWKV mixes each position with
    `shift: 1`; the decoder of T5 reads `shift: {from: labels, by: 1, fill: 0}`; what predicts several tokens ahead
    reads `shift: -1`. Padded positions count as zeros.
    """

    keeps = True
    headline = "by"
    title = "Shift"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - shift: {from: x, by: 1}
    """
    by: Whole = needed(description="How many places; `1` gives each position the value of the one before it.")
    fill: Natural | None = Field(None, description="For tokens: the word that the free places get. Needed there.")

    def shape(self, io: Ports) -> Tensor:
        x = io.x
        if len(x.axes) < 2 or (x.dtype == "float" and len(x.axes) < 3):
            io.fail("T202", f"`shift` works on sequences, [B, T, D] or tokens [B, T], and this is {x}")
        if not self.by:
            io.fail("E405", "0 places are no shift", "by")
        if (x.dtype == "int") != (self.fill is not None):
            message = "`shift` needs `fill` where it moves tokens" if x.dtype == "int" else "only tokens have a `fill`"
            io.fail("T268", message, "" if x.dtype == "int" else "fill", help="give the word that starts a sequence")
        if x.vocab is not None and self.fill is not None and self.fill >= x.vocab.known:
            message = f"there is no word {self.fill}: {x.vocab} words count from 0"
            io.fail("E405", message, "fill", notes=io.origin(x.vocab, "they are counted here"))
        if x.dtype == "int":
            lost(io, x.axes[1])
            return replace(x, axes=(x.axes[0], replace(x.axes[1], keep=None), *x.axes[2:]))
        return x

    def work(self, step: Step) -> Work:
        cached: Size = 0
        if self.sight(step) == "behind":
            cached = step.x.axes[0].size * self.by * step.x.axes[2].size
        return Work(cache=cached, kept=step.x.positions // 4 if step.x.axes[1].parts else 0)

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        beyond = len(step.x.axes) - 2
        sides = ", ".join([*["0, 0"] * beyond, f"{max(self.by, 0)}, {max(-self.by, 0)}"])
        stretch = f": {w.x}.size(1)" if self.by > 0 else f"{-self.by}:"
        keep = w.keep(step.x.axes[1]) if step.x.dtype == "float" else ""
        behind, place = self.sight(step) == "behind", w.place(step.x.axes[1], fresh=True)
        given = [w.x, str(self.by), *([f"keep_BT={keep}"] if keep else [])]
        given += [f"cache={w.cache()}"] if behind and w.cache() else []
        given += [f"place_BT={place}"] if behind and place else []
        if len(given) > 2:
            w.let(f"shifted({', '.join(given)})")
        else:
            w.let(f"F.pad({w.x}, ({sides}){f', value={self.fill}' if self.fill else ''})[:, {stretch}]")

    def sight(self, step: Step) -> Sight:
        return "behind" if self.by > 0 and len(step.x.axes) == 3 and step.x.dtype == "float" else "unknown"

    def leaks(self, step: Step) -> str:
        return "" if self.sight(step) == "behind" else super().leaks(step)

    def facts(self, step: Step) -> str:
        return f"by {self.by}{' · per document' if step.x.axes[1].parts else ''}"
