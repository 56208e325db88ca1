"""What attention does with its scores and with what the heads read: clips, gates, mixed heads, differences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfdsl.parts import Natural, Part, PositiveReal, Real, Truth, needed


class Clip(Part):
    """Queries, keys and values are held within ±limit: min(max(x, -limit), limit)."""

    holds = True
    headline = "limit"

    limit: PositiveReal = needed(description="The largest value, and the smallest negated.")
    late: Truth = Field(
        False,
        description="Whether queries and keys are clipped after `qk_norm` (OLMoE); if not, right after the projection "
        "and its bias (OLMo 1, MPT, DBRX).",
    )


class Temperature(Part):
    """Queries, when they are turned and normed, times a number that grows with their place n = position + shift.

    Positions count from 0. `steps`: 1 + by · ln(1 + floor(n / length)) (Llama 4: length 8192, by 0.1, shift 1;
    Ministral 3: shift 0). `log`: 1 + by · ln(max(n / length, 1)); with by = 1 / ln(length) that is the logarithm of n
    to the base `length` (Qwen 1). `power`: (1 + n / length) ** by. Llama 4 has it on layers without rotary positions.
    """

    holds = True

    type: Literal["steps", "log", "power"] = Field("steps", description="The function.")
    length: PositiveReal = needed(description="The length of a step, or the length from which on it grows.")
    by: PositiveReal = needed(description="How fast it grows.")
    shift: Natural = Field(1, description="What is added to the position: 1 counts positions from 1.")


class Gate(Part):
    """What the heads read, times a function of the layer's input: y · f(x W_gate + b), before the matrix `out`."""

    holds = True
    headline = "type"

    type: Literal["sigmoid", "silu", "softplus", "tanh"] = Field("sigmoid", description="The function f.")
    per: Literal["channel", "head"] = Field(
        "channel", description="Whether each feature of each head has a gate (Qwen3-Next), or each head one."
    )
    bias: Truth = Field(False, description="Whether a vector is added to the gates before f.")


class ValueMix(Part):
    """How values are added to kept ones: own · v + kept · v', where v' are the kept values of the same positions."""

    holds = True

    own: Real = Field(0.5, description="What the values of this attention are multiplied by, or start at.")
    kept: Real = Field(0.5, description="What the kept values are multiplied by, or start at.")
    learned: Truth = Field(False, description="Whether the two numbers learn.")


class Talking(Part):
    """A learned matrix [heads, heads] that mixes the heads of the scores or of the weights (arXiv:2003.02436)."""

    holds = True
    headline = "at"

    at: Literal["both", "before", "after"] = Field(
        "both",
        description="Mix the scores `before` the softmax (scaled, and before softcap and mask), the weights `after` "
        "it, or `both`, each with a matrix of its own.",
    )
    bias: Truth = Field(
        False,
        description="Whether each head has a number added (CaiT); behind the softmax only where nothing is hidden.",
    )


class Differential(Part):
    """Heads in pairs, whose readings are subtracted (Differential Transformer, arXiv:2410.05258).

    Head i and head i + heads / 2 are a pair. Both read the values of both, side by side (2 · head_dim features). With
    λ = exp(q_1 · k_1) - exp(q_2 · k_2) + init, whose four vectors of head_dim features are learned, the pair gives
    (1 - init) · norm(first - λ · second), where the norm is x / sqrt(mean(x²) + eps) over the 2 · head_dim features.
    """

    holds = True
    headline = "init"

    init: Real = needed(
        description="Where λ starts. The paper's depends on the layer, counted from 0: "
        "`0.8 - 0.6 * 2.718281828459045 ** (-0.3 * layer)`, which `vary` gives to each copy of a block."
    )
    eps: PositiveReal = Field(1e-5, description="Added to the mean square, under the root.")
    weight: Truth = Field(False, description="Whether the norm has a weight, of 2 · head_dim features.")
