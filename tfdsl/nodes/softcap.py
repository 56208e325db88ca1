"""softcap: numbers kept below a bound, smoothly (Gemma 2, arXiv:2408.00118, section 2)."""

from __future__ import annotations

from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.parts import PositiveReal, needed
from tfdsl.shapes import Tensor


class Softcap(Node):
    """cap · tanh(x / cap): every element stays between −cap and cap. Gemma 2 caps its logits at 30."""

    keeps = True
    headline = "cap"
    title = "Softcap"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - softcap: {from: x, cap: 30}
    """
    cap: PositiveReal = needed(description="The bound.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count)

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.let(f"{self.cap!r} * torch.tanh({w.x} / {self.cap!r})")

    def facts(self, step: Step) -> str:
        return f"{self.cap:g}"
