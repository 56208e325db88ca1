"""mamba2: a state that each head decays and adds to at every position (arXiv:2405.21060)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Size, Step, Weight, Work
from tfdsl.parts import Positive, PositiveReal, Real, Truth, needed
from tfdsl.recurrence import LOG_RANGE, STEPS, Recurrence, apart, blocks, masked, padded, parted, sequences, taps


class Mamba2(Recurrence, Node):
    """A state space with one decay a head (Mamba-2): [B, T, D] -> [B, T, D], in time that grows with T.

    With inner = heads · head_dim: [z, m, dt] = parts x, of inner, inner + 2 · groups · state and `heads` features;
    [h, b, c] = silu(conv(m)), conv as in `short_conv`; dt = softplus(dt + dt_bias), held between dt_min and dt_max; for
    each head Sₜ = exp(−exp(decay_log) · dt) Sₜ₋₁ + dt · b hᵀ and y = cᵀ Sₜ + skip · h, where b and c are those of the
    head's group. Then out(norm(y · silu(z))). Decoding keeps S and the last `size − 1` positions of m: as much after a
    million positions as after one. As in Mamba-2, Bamba, Zamba2, Nemotron-H, Granite 4, Falcon-H1.
    """

    headline = "heads"
    title = "Mamba-2"
    heads: Positive = needed(description="The number of heads (`num_heads`, `mamba_n_heads`).")
    head_dim: Positive = needed(description="The features of a head (64 in Mamba-2); inner = heads · head_dim.")
    state: Positive = needed(description="The rows of a head's state (`state_size`, `mamba_d_state`: 128).")
    groups: Positive = Field(1, description="How many b and c there are; heads of one group share theirs (`n_groups`).")
    size: Positive = Field(4, description="How many positions the convolution mixes (`conv_kernel`).")
    norm: Literal["after", "before", "none"] = Field(
        "after",
        description="Where the RMSNorm stands to the gate: RMSNorm(y · silu(z)) (`after`), RMSNorm(y) · silu(z) "
        "(`before`), or y · silu(z) alone.",
    )
    norm_groups: Positive | None = Field(
        None,
        description="Into how many parts, each brought to one size by itself, the norm cuts y; `groups` by default.",
    )
    eps: PositiveReal | None = Field(None, description="Added to the mean square in the norm; 1e-5 if left out.")
    dt_min: PositiveReal | None = Field(None, description="The least that dt may be (`time_step_limit`).")
    dt_max: PositiveReal | None = Field(None, description="The most that dt may be (`time_step_limit`).")
    bias: Truth = Field(False, description="Whether the matrices `parts` and `out` have a vector added.")
    conv_bias: Truth = Field(True, description="Whether the convolution has a vector added.")
    multipliers: tuple[Real, ...] | None = Field(
        None,
        description="Five numbers that z, h, b, c and dt are multiplied by as they leave `parts` (`ssm_multipliers` in "
        "Falcon-H1).",
    )
    chunk: Positive = Field(
        64, description="How many positions are computed at once: a matter of speed, which changes no result."
    )

    example = """
    dims: {d_model: 512, heads: 16, head_dim: 64, state: 128}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - mamba2: {from: x, heads: heads, head_dim: head_dim, state: state}
    """

    def check(self, io: Ports) -> None:
        if self.heads % self.groups:
            io.fail("T272", f"{self.heads} heads do not divide among {self.groups} groups", "groups")
        for field in ("norm_groups", "eps") if self.norm == "none" else ():
            if getattr(self, field) is not None:
                io.fail("T274", f"there is no norm here that could have `{field}`", field)
        if self.heads * self.head_dim % self.parted:
            inner = self.heads * self.head_dim
            io.fail("T272", f"{inner} features do not divide among the norm's {self.parted} groups", "norm_groups")
        if self.dt_min is not None and self.dt_max is not None and self.dt_min > self.dt_max:
            io.fail("T273", f"dt cannot be at least {self.dt_min:g} and at most {self.dt_max:g}", "dt_min")
        if self.multipliers is not None and len(self.multipliers) != 5:
            io.fail("T275", f"there are 5 parts to multiply, and {len(self.multipliers)} numbers here", "multipliers")

    @property
    def parted(self) -> int:
        """Return into how many parts the norm cuts y."""
        return self.norm_groups if self.norm_groups is not None else self.groups

    @property
    def inner(self) -> int:
        """Return the features of all heads."""
        return self.heads * self.head_dim

    @property
    def mixed(self) -> int:
        """Return the features that the convolution mixes."""
        return self.inner + 2 * self.groups * self.state

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width, rows = step.width, self.inner + self.mixed + self.heads
        norm = {"norm.weight": Weight((self.inner,), "ones", decays=False)} if self.norm != "none" else {}
        shifts = {"parts.bias": rows, "out.bias": width} if self.bias else {}
        return {
            "parts.weight": Weight((rows, width)),
            **taps(self.size, self.mixed, self.conv_bias),
            "dt_bias": Weight((self.heads,), STEPS, decays=False),
            "decay_log": Weight((self.heads,), LOG_RANGE, decays=False),
            "skip": Weight((self.heads,), "ones", decays=False),
            **norm,
            "out.weight": Weight((width, self.inner), "output"),
            **{name: Weight((size,), "zeros", decays=False) for name, size in shifts.items()},
        }

    def work(self, step: Step) -> Work:
        here, count, chunk, width = step.x.positions, blocks(step, self.chunk), self.chunk, step.width
        entering = 2 * here * width * (self.inner + self.mixed + self.heads)
        among = 2 * count * chunk * chunk * (self.groups * self.state + self.inner)
        between = 4 * (count - 1) * chunk * self.state * self.inner
        return Work(
            flops=entering + sequences(step) * (among + between) + 2 * here * self.inner * width,
            entering=entering,
            kept=self._kept(step),
            cache=sequences(step) * (self.size - 1) * self.mixed,
            states=sequences(step) * self.state * self.inner,
            needs=("x",),
        )

    def _kept(self, step: Step) -> Size:
        """Return what the backward pass needs besides the value before."""
        here, count, chunk = step.x.positions, blocks(step, self.chunk), self.chunk
        inner, mixed, heads, shared = self.inner, self.mixed, self.heads, self.groups * self.state
        made = here * (inner + 3 * mixed + 3 * heads) + padded(step, self.size, mixed)
        made += here * heads if self.dt_min is not None or self.dt_max is not None else 0
        made -= here * (mixed + heads) if self.multipliers is not None else 0
        # In a block: decays, shares with and without them, and the factors of the products.
        among = chunk * chunk * (2 * heads + self.groups) + chunk * (2 * shared + 2 * inner)
        between = 2 * chunk * (heads + inner + shared) + heads + inner + 3 * self.state * inner
        leaving = 3 * here * inner
        if self.norm != "none":
            leaving += here * (2 * inner + self.parted)
        among += chunk * chunk // 4 if parted(step) else 0
        made += masked(step, self.size)
        once = chunk * chunk // 4 + 2 * heads  # what lies ahead in a block, a byte each
        return once + made + sequences(step) * (count * among + (count - 1) * between) + leaving

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {"groups": self.groups, "size": self.size, "chunk": self.chunk}
        named |= {"bias": self.bias, "conv_bias": self.conv_bias, "norm": None if self.norm == "none" else self.norm}
        named |= {
            "norm_groups": None if self.parted == 1 else self.parted,
            "eps": 1e-5 if self.eps is None else self.eps,
        }
        named |= {"dt_min": self.dt_min, "dt_max": self.dt_max, "multipliers": self.multipliers}
        return Call("Mamba2", (step.width, self.heads, self.head_dim, self.state), named)

    def facts(self, step: Step) -> str:
        return f"{self.heads} heads × {self.head_dim} · state {self.state}{apart(step)}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width = step.x.axes[-1].label
        rows = step.weights["parts.weight"].shape[0]
        parts = Box("parts", "linear", "Projection", f"{width} → {rows}", number(step.weights["parts.weight"].count))
        mixed = (
            Box("conv", "linear", "Convolution", f"{self.size} positions"),
            Box("silu", "ffn", "SiLU"),
            Box("state", self.family, "State", f"{self.heads} × {self.state} × {self.head_dim}"),
        )
        gate = (Box("z", "ffn", "SiLU", "gate"),)
        size = Box("norm", "norm", "RMSNorm")
        norm = (size,) if self.norm == "after" else ()
        mixed = (*mixed, size) if self.norm == "before" else mixed
        joined = Fork("gate", (mixed, gate), "×")
        count = number(step.weights["out.weight"].count)
        out = Box("out", "linear", "Output", f"{self.inner} → {width}", count, step.output.label)
        return (parts, joined, *norm, out)
