"""gated_delta: a memory of keys and values, whose old values are taken out as new ones come (arXiv:2412.06464)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Size, Step, Weight, Work
from tfdsl.parts import Positive, PositiveReal, Truth, needed
from tfdsl.recurrence import STEPS, Recurrence, apart, blocks, masked, padded, parted, sequences, taps


class GatedDelta(Recurrence, Node):
    """Gated DeltaNet (Qwen3-Next): [B, T, D] -> [B, T, D], in time that grows with T.

    [q, k, v, z, β, a] = parts x; [q, k, v] = silu(conv of the three), conv as in `short_conv`; q and k are brought to
    length one (x / √(Σ x² + 1e-6)) and q is divided by √key_dim; β = sigmoid(β), twice that if `negative`;
    g = exp(−exp(decay_log) · softplus(a + dt_bias)). For each of `heads`, with the q and k of its group,
    Sₜ = g Sₜ₋₁ + k β (v − g Sₜ₋₁ᵀ k)ᵀ and y = Sₜᵀ q. Then out(RMSNorm(y) · silu(z)), the norm over a head's features
    with one weight for all heads. Decoding keeps S and the last `size − 1` positions of q, k and v.
    """

    headline = "heads"
    title = "Gated DeltaNet"
    heads: Positive = needed(description="The number of value heads (`linear_num_value_heads`).")
    key_heads: Positive | None = Field(
        None,
        description="The number of query and key heads, each for several value heads that stand side by side "
        "(`linear_num_key_heads`); as many as `heads` if left out.",
    )
    key_dim: Positive = needed(description="The features of a query or key (`linear_key_head_dim`).")
    value_dim: Positive | None = Field(
        None, description="The features of a value (`linear_value_head_dim`); `key_dim` if left out."
    )
    size: Positive = Field(4, description="How many positions the convolution mixes (`linear_conv_kernel_dim`).")
    conv_bias: Truth = Field(False, description="Whether the convolution has a vector added.")
    negative: Truth = Field(
        False, description="Whether β goes up to 2, so that what is taken out may turn sign (`allow_neg_eigval`)."
    )
    eps: PositiveReal = Field(1e-6, description="Added to the mean square in the norm.")
    chunk: Positive = Field(
        64, description="How many positions are computed at once: a matter of speed, which changes no result."
    )

    example = """
    dims: {d_model: 512, heads: 8, key_heads: 4, key_dim: 64, value_dim: 128}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - gated_delta: {from: x, heads: heads, key_heads: key_heads, key_dim: key_dim, value_dim: value_dim}
    """

    def check(self, io: Ports) -> None:
        if self.heads % self.groups:
            io.fail("T272", f"{self.heads} value heads do not divide among {self.groups} key heads", "key_heads")

    @property
    def groups(self) -> int:
        """Return the number of key heads."""
        return self.key_heads if self.key_heads is not None else self.heads

    @property
    def sides(self) -> tuple[int, int]:
        """Return the features of a key and of a value."""
        return self.key_dim, self.value_dim if self.value_dim is not None else self.key_dim

    @property
    def mixed(self) -> int:
        """Return the features that the convolution mixes."""
        return 2 * self.groups * self.key_dim + self.heads * self.sides[1]

    @property
    def inner(self) -> int:
        """Return the features of all values."""
        return self.heads * self.sides[1]

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        return {
            "parts.weight": Weight((self.mixed + self.inner + 2 * self.heads, width)),
            **taps(self.size, self.mixed, self.conv_bias),
            "dt_bias": Weight((self.heads,), STEPS, decays=False),
            "decay_log": Weight((self.heads,), "weight.data.uniform_(0.01, 16).log_()", decays=False),
            "norm.weight": Weight((self.sides[1],), "ones", decays=False),
            "out.weight": Weight((width, self.inner), "output"),
        }

    def work(self, step: Step) -> Work:
        here, count, chunk, width = step.x.positions, blocks(step, self.chunk), self.chunk, step.width
        key, value = self.sides
        entering = 2 * here * width * (self.mixed + self.inner + 2 * self.heads)
        # The triangular system of a block is solved, which counts as nothing; its gradient takes a product.
        among = 2 * count * chunk * chunk * (2 * self.groups * key + self.heads * value)
        between = 6 * (count - 1) * chunk * self.heads * key * value
        return Work(
            flops=entering + sequences(step) * (among + between) + 2 * here * self.inner * width,
            entering=entering,
            kept=self._kept(step),
            backward=2 * sequences(step) * count * chunk * chunk * self.heads * (key + value),
            cache=sequences(step) * (self.size - 1) * self.mixed,
            states=sequences(step) * self.heads * key * value,
            needs=("x",),
        )

    def _kept(self, step: Step) -> Size:
        """Return what the backward pass needs besides the value before."""
        here, count, chunk = step.x.positions, blocks(step, self.chunk), self.chunk
        heads, (key, value) = self.heads, self.sides
        made = here * (3 * self.mixed + self.inner + 2 * self.groups + 5 * heads) + padded(step, self.size, self.mixed)
        # In a block: decays, shares and the system that is solved, each with what it was made of.
        among = 6 * chunk * chunk * heads + chunk * (4 * self.groups * key + heads * (4 * key + 2 * value + 3)) + heads
        between = heads * (chunk * 3 * key + key * value) + 2 * chunk * self.inner
        leaving = here * (4 * self.inner + heads) + sequences(step) * count * chunk * self.inner
        among += chunk * chunk // 4 + chunk * heads if parted(step) else 0
        made += masked(step, self.size)
        once = chunk * chunk // 4 + 2 * heads  # what lies ahead in a block, a byte each
        return once + made + sequences(step) * (count * among + (count - 1) * between) + leaving

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {"key_heads": None if self.groups == self.heads else self.groups, "size": self.size}
        named |= {"conv_bias": self.conv_bias, "chunk": self.chunk, "eps": self.eps}
        named |= {"strength": 2.0} if self.negative else {}
        return Call("GatedDelta", (step.width, self.heads, *self.sides), named)

    def facts(self, step: Step) -> str:
        key, value = self.sides
        return f"{self.heads} heads × {key} × {value}{apart(step)}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width = step.x.axes[-1].label
        rows = step.weights["parts.weight"].shape[0]
        parts = Box("parts", "linear", "Projection", f"{width} → {rows}", number(step.weights["parts.weight"].count))
        mixed = (
            Box("conv", "linear", "Convolution", f"{self.size} positions"),
            Box("silu", "ffn", "SiLU", "q and k of length 1"),
            Box("state", self.family, "State", f"{self.heads} × {self.key_dim} × {self.sides[1]}, delta rule"),
            Box("norm", "norm", "RMSNorm", "each head"),
        )
        gate = (Box("z", "ffn", "SiLU", "gate"),)
        joined = Fork("gate", (mixed, gate), "×")
        count = number(step.weights["out.weight"].count)
        out = Box("out", "linear", "Output", f"{self.inner} → {width}", count, step.output.label)
        return (parts, joined, out)
