"""mask: scores of keys that a query may not see, made so low that a softmax gives them nothing."""

from __future__ import annotations

from tfdsl.axes import table
from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.parts import needed
from tfdsl.shapes import Tensor
from tfdsl.unseen import Hiding


class Mask(Node):
    """Hides scores [..., T, S]: each that a query may not see becomes the least number that there is. So does padding.

    For scores that go through more than a softmax; `softmax: {mask: causal}` does both in one.
    """

    keeps = True
    headline = "hide"
    family = "mask"
    title = "Mask"
    example = """
    dims: {heads: 8}
    inputs: {scores: {shape: [B, heads, T, T], dtype: float}}
    model:
      - mask: {from: scores, hide: causal}
    """
    hide: Hiding = needed(description="Which keys a query sees; `none` hides padding alone.")

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        if len(x.axes) < 2:
            io.fail("T202", f"`mask` works on scores [..., T, S], and this is {x}")
        self.hide.check(io, x, len(x.axes) - 1)
        if not self.hide.hides and x.axes[-1].keep is None:
            io.fail("T266", "`mask` hides nothing: there is no padding", "hide", help="give `pad` to the token input")
        return x

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        last = len(step.x.axes) - 1
        hidden, keep = self.hide.table(w.x), w.keep(step.x.axes[last])
        if keep:
            padded = f"~{table(keep, last, last + 1)}"
            hidden = f"{hidden} | {padded}" if hidden else padded
        w.let(f"torch.where({hidden}, torch.finfo({w.x}.dtype).min, {w.x})")

    def sight(self, step: Step) -> Sight:
        return "unknown"

    def facts(self, step: Step) -> str:
        return self.hide.said.removeprefix(" · ") or "padding"
