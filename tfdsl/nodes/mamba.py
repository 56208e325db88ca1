"""mamba: a state of its own for each feature, decayed and added to at every position (arXiv:2312.00752)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Size, Step, Weight, Work
from tfdsl.parts import Positive, PositiveReal, Truth, needed
from tfdsl.recurrence import LOG_RANGE, STEPS, Recurrence, apart, masked, padded, parted, sequences, taps


class Mamba(Recurrence, Node):
    """A selective state space (Mamba, Jamba): [B, T, D] -> [B, T, D], one position after the other.

    [h, z] = parts x, of `inner` features each; h = silu(conv(h)), conv as in `short_conv`; [r, b, c] = select h, of
    `rank`, `state` and `state` features; dt = softplus(dt_matrix r + dt_bias); for each feature
    Sₜ = exp(−exp(decay_log) · dt) Sₜ₋₁ + dt · h · b and y = c · Sₜ + skip · h. Then out(y · silu(z)). Decoding keeps S
    and the last `size − 1` positions of h.
    """

    headline = "inner"
    title = "Mamba"
    inner: Positive = needed(description="The features that have a state each (`intermediate_size`; twice D in Mamba).")
    state: Positive = needed(description="The numbers of a feature's state (`state_size`, `mamba_d_state`: 16).")
    rank: Positive = needed(
        description="The features that dt is made of (`time_step_rank`; D / 16 rounded up in Mamba)."
    )
    size: Positive = Field(4, description="How many positions the convolution mixes (`conv_kernel`).")
    norm: Literal["rms", "plain", "none"] = Field(
        "none",
        description="A norm on each of r, b and c: RMSNorms with weights (`rms`: Jamba) or without (`plain`: "
        "Falcon-Mamba).",
    )
    eps: PositiveReal | None = Field(None, description="Added to the mean square in those norms; 1e-6 if left out.")
    bias: Truth = Field(False, description="Whether the matrices `parts` and `out` have a vector added.")
    conv_bias: Truth = Field(True, description="Whether the convolution has a vector added.")

    example = """
    dims: {d_model: 512, inner: 1024, state: 16, rank: 32}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - mamba: {from: x, inner: inner, state: state, rank: rank}
    """

    def check(self, io: Ports) -> None:
        if self.eps is not None and self.norm == "none":
            io.fail("T274", "there is no norm here that could have `eps`", "eps")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width, reach = step.width, round(self.rank**-0.5, 4)
        norms = {"dt_norm.weight": self.rank, "b_norm.weight": self.state, "c_norm.weight": self.state}
        shifts = {"parts.bias": 2 * self.inner, "out.bias": width} if self.bias else {}
        return {
            "parts.weight": Weight((2 * self.inner, width)),
            **taps(self.size, self.inner, self.conv_bias),
            "select.weight": Weight((self.rank + 2 * self.state, self.inner)),
            **(
                {name: Weight((size,), "ones", decays=False) for name, size in norms.items()}
                if self.norm == "rms"
                else {}
            ),
            "dt.weight": Weight((self.inner, self.rank), f"nn.init.uniform_(weight, -{reach}, {reach})"),
            "dt.bias": Weight((self.inner,), STEPS, decays=False),
            "decay_log": Weight((self.inner, self.state), LOG_RANGE, decays=False),
            "skip": Weight((self.inner,), "ones", decays=False),
            "out.weight": Weight((width, self.inner), "output"),
            **{name: Weight((size,), "zeros", decays=False) for name, size in shifts.items()},
        }

    def work(self, step: Step) -> Work:
        here, width = step.x.positions, step.width
        entering = 2 * here * width * 2 * self.inner
        selecting = 2 * here * self.inner * (2 * self.rank + 2 * self.state)
        reading = 2 * here * self.inner * self.state
        return Work(
            flops=entering + selecting + reading + 2 * here * self.inner * width,
            entering=entering,
            kept=self._kept(step),
            cache=sequences(step) * self.inner * (self.size - 1),
            states=sequences(step) * self.inner * self.state,
            needs=("x",),
        )

    def _kept(self, step: Step) -> Size:
        """Return what the backward pass needs besides the value before."""
        here, size, selected = step.x.positions, self.inner * self.state, self.rank + 2 * self.state
        kept = here * (10 * self.inner + selected + self.state) + padded(step, self.size, self.inner)
        if self.norm != "none":
            kept += here * (3 + self.rank + self.state + (selected if self.norm == "rms" else 0))
        if parted(step):
            kept += masked(step, self.size) + here // 4 + here * size  # decays with and without those of beginnings
        # The state of each position, its decay, and the states again as what is read.
        return kept + 3 * here * size + 14 * sequences(step) * size + 2 * size

    def call(self, step: Step) -> Call:
        named = {"size": self.size, "bias": self.bias, "conv_bias": self.conv_bias}
        norm = None if self.norm == "none" else self.norm
        return Call(
            "Mamba",
            (step.width, self.inner, self.state, self.rank),
            {**named, "norm": norm, "eps": 1e-6 if self.eps is None else self.eps},
        )

    def facts(self, step: Step) -> str:
        return f"{self.inner} features · state {self.state} each{apart(step)}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width = step.x.axes[-1].label
        parts = Box(
            "parts", "linear", "Projection", f"{width} → 2 × {self.inner}", number(step.weights["parts.weight"].count)
        )
        mixed = (
            Box("conv", "linear", "Convolution", f"{self.size} positions"),
            Box("silu", "ffn", "SiLU"),
            Box("select", "linear", "Select", f"dt, b, c: {self.rank} + 2 × {self.state}"),
            Box("state", self.family, "State", f"{self.inner} × {self.state}"),
        )
        gate = (Box("z", "ffn", "SiLU", "gate"),)
        joined = Fork("gate", (mixed, gate), "×")
        count = number(step.weights["out.weight"].count)
        out = Box("out", "linear", "Output", f"{self.inner} → {width}", count, step.output.label)
        return (parts, joined, out)
