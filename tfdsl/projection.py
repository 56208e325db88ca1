"""What `linear` and `unembed` have in common: a matrix, perhaps another node's, and perhaps a bias."""

from __future__ import annotations

from collections.abc import Mapping

from tfdsl.node import Call, Step, Weight, Work


class Projection:
    """Multiplies every position's features by a matrix: [..., D] -> [..., W]."""

    bias: bool
    tie: str | None

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shift = {"bias": Weight((step.output_width,), "zeros", decays=False)} if self.bias else {}
        return {"weight": Weight((step.output_width, step.width), tied=self.tie or ""), **shift}

    def work(self, step: Step) -> Work:
        flops = 2 * step.x.count * step.output_width
        return Work(flops=flops, entering=flops, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("nn.Linear", (step.width, step.output_width), {} if self.bias else {"bias": False})

    def facts(self, step: Step) -> str:
        return f"{step.x.axes[-1].label} → {step.output.axes[-1].label}"
