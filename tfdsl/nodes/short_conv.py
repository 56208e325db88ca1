"""short_conv: each feature mixed with itself at the few positions before, between two gates or by itself."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, Truth, needed
from tfdsl.recurrence import Recurrence, apart, masked, padded, sequences, taps


class ShortConvolution(Recurrence, Node):
    """A causal convolution of each feature by itself, between two gates (LFM2): [B, T, D] -> [B, T, D].

    [b, c, h] = parts x, D features each; y = out(c · conv(b · h)), with conv(h) at position t the sum over j < size of
    taps[size − 1 − j] · h at t − j, feature by feature, plus a bias; zeros stand before the first position. With
    `gated: false` only conv(x) is left, as in the Canon layers and as H3, Mamba and Gated DeltaNet have it in front of
    their states. Decoding keeps the last `size − 1` positions.
    """

    headline = "size"
    title = "Short convolution"
    size: Positive = needed(
        description="How many positions are mixed, its own among them (`conv_L_cache` in LFM2: 3; Canon layers: 4)."
    )
    gated: Truth = Field(True, description="Whether two gates and a last matrix stand around it.")
    bias: Truth = Field(False, description="Whether the matrices `parts` and `out` have a vector added.")
    conv_bias: Truth = Field(False, description="Whether the convolution has a vector added.")

    example = """
    dims: {d_model: 512, size: 3}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - short_conv: {from: x, size: size}
    """

    def check(self, io: Ports) -> None:
        if self.bias and not self.gated:
            io.fail("T274", "without gates there are no matrices that could have a vector added", "bias")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        if not self.gated:
            return {name.removeprefix("taps."): each for name, each in taps(self.size, width, self.conv_bias).items()}
        shifts = {"parts.bias": 3 * width, "out.bias": width} if self.bias else {}
        return {
            "parts.weight": Weight((3 * width, width)),
            **taps(self.size, width, self.conv_bias),
            "out.weight": Weight((width, width), "output"),
            **{name: Weight((rows,), "zeros", decays=False) for name, rows in shifts.items()},
        }

    def work(self, step: Step) -> Work:
        here, width = step.x.positions, step.width
        cache = sequences(step) * (self.size - 1) * width
        if not self.gated:
            return Work(kept=padded(step, self.size, width) + masked(step, self.size), cache=cache)
        entering = 2 * here * width * 3 * width
        # What the first matrix gives, what the convolution takes and gives, what the last matrix takes.
        kept = 5 * here * width + padded(step, self.size, width) + masked(step, self.size)
        flops = entering + 2 * here * width * width
        return Work(flops=flops, entering=entering, kept=kept, cache=cache, needs=("x",))

    def call(self, step: Step) -> Call:
        if not self.gated:
            return Call("Taps", (step.width, self.size), {"bias": self.conv_bias})
        return Call("ShortConvolution", (step.width, self.size), {"bias": self.bias, "conv_bias": self.conv_bias})

    def facts(self, step: Step) -> str:
        return f"{self.size} positions · {'two gates' if self.gated else 'each feature by itself'}{apart(step)}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width = step.x.axes[-1].label
        taps = Box("conv", "linear", "Convolution", f"{self.size} positions, causal")
        if not self.gated:
            return (taps,)
        parts = Box("parts", "linear", "Projection", f"{width} → 3 × {width}", number(3 * step.width**2))
        first = (Fork("first", ((Box("b", "plain", "b"),), (Box("h", "plain", "h"),)), "×"), taps)
        out = Box("out", "linear", "Output", f"{width} → {width}", number(step.width**2), step.output.label)
        return (parts, Fork("second", (first, (Box("c", "plain", "c"),)), "×"), out)
