"""latent_attention: attention whose keys and values are made of one small latent a position (arXiv:2405.04434)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import log
from typing import Any, Literal

from pydantic import Field

from tfdsl import rotary
from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Shared, Sight, Size, Step, Weight, Work, Writer
from tfdsl.parts import Choice, Positive, PositiveReal, Probability, Truth, needed
from tfdsl.recurrence import sequences
from tfdsl.rotary import Scaling, Yarn
from tfdsl.shapes import Axis, Tensor


class Turn(Choice):
    """Where the `rope_dim` features of queries and keys stand."""


class Unturned(Turn, type="none"):
    """They do not turn: the key that all heads share is plain content (as in Kimi Linear)."""


class Turned(Turn, type="rope"):
    """They turn by angles that grow with the position, as in `attention` (RoFormer, arXiv:2104.09864)."""

    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this (`rope_theta`).")
    style: Literal["half", "interleaved"] = Field(
        "half",
        description="Which of the R features pair: i with i + R/2 (`half`), or 2i with 2i + 1 (`interleaved`: "
        "DeepSeek's published weights, `rope_interleave`).",
    )
    scaling: Scaling | None = Field(
        None, description="How angles are changed for sequences longer than the trained length (`rope_scaling`)."
    )


class LatentAttention(Node):
    """Multi-head latent attention (DeepSeek-V2, V3): [B, T, D] -> [B, T, D]; a cache holds one latent a position.

    [c, p] = kv_down x, c of `kv_rank` features and p of `rope_dim`; [k, v] = kv_up norm(c) for each head, `head_dim`
    and `value_dim` features; [q, r] = q_up norm(q_down x) for each head, `head_dim` and `rope_dim`, or q x without
    `q_rank`. Then softmax((q kᵀ + rope(r) rope(p)ᵀ) · scale) v, and `out` over all heads. p is one for all heads; the
    norms are RMSNorms. Decoding keeps norm(c) and rope(p) alone, and reads them with kv_up moved to the queries.
    """

    keeps = True
    headline = "heads"
    family = "attention"
    example = """
    dims: {d_model: 512, heads: 8, kv_rank: 128, q_rank: 256, head_dim: 64, rope_dim: 32}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - latent_attention:
          {from: x, heads: heads, kv_rank: kv_rank, q_rank: q_rank, head_dim: head_dim, rope_dim: rope_dim}
    """
    heads: Positive = needed(description="The number of heads (`num_attention_heads`).")
    kv_rank: Positive = needed(description="The features of the latent (`kv_lora_rank`).")
    q_rank: Positive | None = Field(
        None, description="The features that queries are made of (`q_lora_rank`); of x itself if left out (V2-Lite)."
    )
    head_dim: Positive = needed(description="The features of a head that do not turn (`qk_nope_head_dim`).")
    rope_dim: Positive = needed(description="The features of a head that turn (`qk_rope_head_dim`).")
    value_dim: Positive | None = Field(
        None, description="The features of a head's values (`v_head_dim`); `head_dim` if left out."
    )
    mask: Literal["causal", "full"] = Field("causal", description="Whether later positions are hidden.")
    position: Turn = Field(Turned.model_validate({}), description="How the `rope_dim` features turn.")
    scale: PositiveReal | None = Field(
        None,
        description="What scores are multiplied by; if left out 1 / √(head_dim + rope_dim), times "
        "(0.1 · mscale_all_dim · ln(factor) + 1)² with `yarn` scaling that has a `mscale_all_dim` (DeepSeek).",
    )
    latent_scale: PositiveReal | None = Field(
        None,
        description="What norm(c) is multiplied by (LongCat-Flash: √(D / kv_rank); its queries are multiplied by "
        "√(D / q_rank), which `scale` can say).",
    )
    bias: Truth = Field(False, description="Whether q_down, kv_down and out have a vector added (`attention_bias`).")
    eps: PositiveReal = Field(1e-6, description="Added to the mean square in both norms.")
    dropout: Probability = Field(0.0, description="Dropout on the attention weights.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        io.width()
        if isinstance(self.position, Turned):
            if self.rope_dim % 2:
                io.fail("T208", f"rotary positions turn features in pairs, and a head has {self.rope_dim}", "rope_dim")
            if self.position.scaling is not None:
                self.position.scaling.check(io, self.rope_dim, self.position.theta, "position")
        for shared in self._shares(x):
            io.share(shared)
        return x

    def _shares(self, x: Tensor) -> list[Shared]:
        keys = Axis(x.axes[-2].size, keep=x.axes[-2].keep, parts=x.axes[-2].parts)
        here, shared = replace(keys, keep=None), list[Shared]()
        if isinstance(self.position, Turned):
            turn = self.position
            call = rotary.layer(self.rope_dim, turn.theta, turn.style, turn.scaling)
            rows = x.axes[0].size if keys.parts else 1
            tables = Work(kept=2 * rows * here.size * self.rope_dim)
            shared.append(Shared("rope", "rope", call, here, here, work=tables))
        return shared + self._masks(here, keys)

    def _masks(self, here: Axis, keys: Axis) -> list[Shared]:
        """Return the boolean mask that its layer is given, where there is one."""
        if keys.keep is None and not keys.parts:
            return []
        if self.mask == "causal":
            return [Shared("mask", "causal_mask", Call("causal_table"), here, keys, optional=keys.keep is None)]
        if keys.keep is None:
            return [Shared("mask", "document_mask", None, here, keys, optional=True)]
        return [Shared("mask", "padding_mask", None, here if keys.parts else Axis(1), keys)]

    @property
    def values(self) -> int:
        """Return the features of a head's values."""
        return self.value_dim if self.value_dim is not None else self.head_dim

    @property
    def queries(self) -> int:
        """Return the features of a head's query and key."""
        return self.head_dim + self.rope_dim

    @property
    def factor(self) -> float:
        """Return what scores are multiplied by."""
        if self.scale is not None:
            return self.scale
        scaling = self.position.scaling if isinstance(self.position, Turned) else None
        if isinstance(scaling, Yarn) and scaling.mscale_all_dim is not None and scaling.factor > 1:
            return self.queries**-0.5 * (0.1 * scaling.mscale_all_dim * log(scaling.factor) + 1) ** 2
        return self.queries**-0.5

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width, rows = step.width, self.heads * self.queries
        weights = {"q.weight": Weight((rows, width))}
        if self.q_rank is not None:
            weights = {
                "q_down.weight": Weight((self.q_rank, width)),
                **self._shift("q_down", self.q_rank),
                "q_norm.weight": Weight((self.q_rank,), "ones", decays=False),
                "q_up.weight": Weight((rows, self.q_rank)),
            }
        return {
            **weights,
            "kv_down.weight": Weight((self.kv_rank + self.rope_dim, width)),
            **self._shift("kv_down", self.kv_rank + self.rope_dim),
            "kv_norm.weight": Weight((self.kv_rank,), "ones", decays=False),
            "kv_up.weight": Weight((self.heads * (self.head_dim + self.values), self.kv_rank)),
            "out.weight": Weight((width, self.heads * self.values), "output"),
            **self._shift("out", width),
        }

    def _shift(self, name: str, size: int) -> dict[str, Weight]:
        return {f"{name}.bias": Weight((size,), "zeros", decays=False)} if self.bias else {}

    def work(self, step: Step) -> Work:
        here, there, width = step.x.positions, step.x.axes[-2].size, step.width
        rows, first = self.heads * self.queries, self.q_rank or self.heads * self.queries
        entering = 2 * here * width * (first + self.kv_rank + self.rope_dim)
        middle = 2 * here * self.kv_rank * self.heads * (self.head_dim + self.values)
        middle += 2 * here * self.q_rank * rows if self.q_rank is not None else 0
        products = 2 * here * there * self.heads * (self.queries + self.values)
        leaving = 2 * here * self.heads * self.values * width
        return Work(
            flops=entering + middle + products + leaving,
            entering=entering,
            kept=self._kept(step),
            cache=here * (self.kv_rank + self.rope_dim) if self.mask == "causal" else 0,
            needs=("x",),
        )

    def _kept(self, step: Step) -> Size:
        """Return what the backward pass needs besides the value before.

        PyTorch's fused attention wants values as wide as keys; else, and with dropout, a CPU writes the scores out.
        """
        here, heads, there = step.x.positions, self.heads, step.x.axes[-2].size
        kept = here * (3 * self.kv_rank + self.rope_dim + 1)
        kept += here * (3 * self.q_rank + 1) if self.q_rank is not None else 0
        kept += here * heads * (2 * self.queries + self.values)
        if self.values == self.queries and not self.dropout:
            return kept + here * heads * (self.head_dim + 2 * self.values + 1) + self._mask(step)
        return kept + here * heads * (self.values + there * (3 if self.dropout else 1))

    def _mask(self, step: Step) -> Size:
        """Return the elements of the mask that is added to the scores."""
        masks = [each for each in step.shares if each.role == "mask"]
        return sequences(step) * masks[0].queries.size * masks[0].keys.size if masks else 0

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {
            "scale": self.factor,
            "latent_scale": self.latent_scale,
            "q_rank": self.q_rank,
            "bias": self.bias,
            "eps": self.eps,
        }
        named |= {"dropout": self.dropout, "causal": self.mask == "causal"}
        if isinstance(self.position, Turned):
            named |= {"style": self.position.style, "apart": bool(step.x.axes[-2].parts)}
        sizes = (self.kv_rank, self.head_dim, self.rope_dim, self.values)
        return Call("LatentAttention", (step.width, self.heads, *sizes), named)

    def write(self, w: Writer, step: Step) -> None:
        given = [w.x, *(f"{each.role}={w.shared(each)}" for each in step.shares)]
        given += [f"cache={w.cache()}"] if w.cache() else []
        w.let(f"{w.layer(self.call(step))}({', '.join(given)})")

    def sight(self, step: Step) -> Sight:
        return "behind" if self.mask == "causal" else "everywhere"

    def leaks(self, step: Step) -> str:
        scaling = self.position.scaling if isinstance(self.position, Turned) else None
        stretched = scaling is not None and scaling.type_name in ("dynamic", "longrope")
        return "its angles depend on the length of the whole row" if stretched else ""

    def heading(self, step: Step) -> str:
        return "Causal latent attention" if self.mask == "causal" else "Latent attention"

    def facts(self, step: Step) -> str:
        turns = " · rotary" if isinstance(self.position, Turned) else ""
        apart = " · per document" if step.x.axes[-2].parts else ""
        return f"{self.heads} heads × {self.head_dim} + {self.rope_dim} · latent {self.kv_rank}{apart}{turns}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width, heads, turns = step.x.axes[-1].label, self.heads, isinstance(self.position, Turned)

        def sized(name: str) -> str:
            return number(sum(each.count for key, each in step.weights.items() if key.startswith(f"{name}.")))

        def turned(name: str) -> tuple[Element, ...]:
            return (Box(name, "position", "Rotary", f"{self.rope_dim} features"),) if turns else ()

        query = Box("q", "linear", "Query", f"{width} → {heads} × {self.queries}", sized("q"))
        queries: tuple[Element, ...] = (query,)
        if self.q_rank is not None:
            queries = (
                Box("q_down", "linear", "Query latent", f"{width} → {self.q_rank}", sized("q_down")),
                Box("q_norm", "norm", "RMSNorm"),
                Box("q_up", "linear", "Query", f"{self.q_rank} → {heads} × {self.queries}", sized("q_up")),
            )
        up = f"{self.kv_rank} → {heads} × ({self.head_dim} + {self.values})"
        latent: tuple[Element, ...] = (
            Box("kv_norm", "norm", "RMSNorm", "kept in a cache"),
            Box("kv_up", "linear", "Keys, values", up, sized("kv_up")),
        )
        down = Box("kv_down", "linear", "Latent", f"{width} → {self.kv_rank} + {self.rope_dim}", sized("kv_down"))
        read = (
            down,
            Fork("parts", (latent, (*turned("k_turn"), Box("one", "plain", "One key", "of all heads"))), "and"),
        )
        out = Box("out", "linear", "Output", f"{heads} × {self.values} → {width}", sized("out"), step.output.label)
        return (Fork("attend", ((*queries, *turned("q_turn")), read), "softmax(q · k) · v"), out)
