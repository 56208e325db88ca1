"""attention: every position reads from those that it may see (arXiv:1706.03762, section 3.2)."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, Literal

from pydantic import Field, model_validator

from tfdsl.look import Element
from tfdsl.node import Call, Node, Ports, Shared, Sight, Size, Step, Weight, Work, Writer
from tfdsl.nodes.attention.inside import inside
from tfdsl.nodes.attention.masks import Causal, Full, Mask, Sliding
from tfdsl.nodes.attention.positions import Nowhere, Relative, Rotary, T5Buckets
from tfdsl.parts import Name, Part, Positive, PositiveReal, Probability, Truth, needed, not_a_truth
from tfdsl.shapes import Axis, Tensor


class Biases(Part):
    """Which of the four projections have a vector added."""

    holds = True

    q: Truth = False
    k: Truth = False
    v: Truth = False
    out: Truth = False

    @model_validator(mode="before")
    @classmethod
    def _all_alike(cls, data: Any) -> Any:
        if isinstance(data, bool):
            return dict.fromkeys(("q", "k", "v", "out"), data)
        if not isinstance(data, dict | Biases):
            raise not_a_truth(data, expected="`true`, `false`, or a mapping of `q`, `k`, `v` and `out`")
        return data

    @property
    def letters(self) -> str:
        """Return which of queries, keys and values have one: `qkv`, `qv`."""
        return "".join(letter for letter, has in zip("qkv", (self.q, self.k, self.v), strict=True) if has)

    def written(self) -> Any:
        return self.q if self.q == self.k == self.v == self.out else self.given()


class Attention(Node):
    """Multi-head attention: [B, T, D] -> [B, T, D]; keys and values are of the same value or, with `kv`, of another.

    softmax(q kᵀ · scale + position + mask) v for each head. With fewer `kv_heads` than `heads`, several query heads
    share a key and value head (arXiv:2305.13245).
    """

    keeps = True
    headline = "heads"
    family = "attention"
    reads = ("from", "kv")
    heads: Positive = needed(description="The number of query heads.")
    kv_heads: Positive | None = Field(
        None, description="The number of key and value heads; as many as `heads` if left out."
    )
    head_dim: Positive | None = Field(None, description="The features of a head; D / heads if left out.")
    kv: Name | None = Field(None, description="Keys and values come from this value: cross-attention.")
    mask: Mask = Field(Full(), description="Which positions a query may see.")
    position: Relative = Field(Nowhere(), description="How positions enter the scores.")
    qk_norm: Literal["rms", "layer"] | None = Field(None, description="A norm on each head's queries and keys.")
    scale: PositiveReal | None = Field(None, description="What scores are multiplied by; 1 / √head_dim if left out.")
    bias: Biases = Field(Biases(), description="Whether the projections have a vector added: all, or each by name.")
    dropout: Probability = Field(0.0, description="Dropout on the attention weights.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        memory = io.value("kv") if self.kv is not None else x
        self._check_heads(io)
        self._check_axes(io, x, memory)
        for shared in self._shares(x, memory, io.width()):
            io.share(shared, named=isinstance(self.position, T5Buckets) and shared.name == self.position.share)
        return x

    def _check_heads(self, io: Ports) -> None:
        width = io.width()
        if self.head_dim is None and width % self.heads:
            io.fail(
                "T211",
                f"{width} features do not divide among {self.heads} heads: {width % self.heads} are left over",
                "heads",
                notes=io.origin(io.x.axes[-1], f"the width is {width} here"),
                help="change one of the two, or give `head_dim`",
            )
        if self.heads % self.groups:
            io.fail(
                "T212",
                f"{self.heads} query heads do not divide among {self.groups} key and value heads",
                "kv_heads",
                help=f"`kv_heads` must divide {self.heads}",
            )
        if isinstance(self.position, Rotary) and self.dim(width) % 2:
            io.fail("T208", f"rotary positions turn features in pairs, and a head has {self.dim(width)}", "position")
        if self.dim(width) > 32 and self.dim(width) % 8:
            io.warn(
                "W508",
                f"heads of {self.dim(width)} features are slow on every device",
                "heads" if self.head_dim is None else "head_dim",
                help="matrix units work on multiples of 8",
            )

    def _check_axes(self, io: Ports, x: Tensor, memory: Tensor) -> None:
        if self.kv is None:
            return
        if len(memory.axes) != len(x.axes) or memory.dtype != "float" or not isinstance(memory.axes[-1].size, int):
            io.fail("T213", f"attention from {x} cannot read keys and values from `{self.kv}`, which is {memory}", "kv")
        if memory.sizes[:-2] != x.sizes[:-2]:
            io.fail("T213", f"the batch of {x} is not that of `{self.kv}`, which is {memory}", "kv")
        same = memory.axes[-2].size == x.axes[-2].size
        if not isinstance(self.mask, Full) and not same:
            io.fail(
                "T214",
                f"a {self.mask.word} mask compares places, and queries stand on `{x.axes[-2]}`, "
                f"keys on `{memory.axes[-2]}`",
                "mask",
                help="cross-attention sees all of the other stream: `mask: full`",
            )
        if not isinstance(self.position, Nowhere):
            io.fail(
                "T214",
                f"`{self.position.type_name}` positions belong to self-attention, and keys come from `{self.kv}` here",
                "position",
                help="cross-attention has no relative positions: `position: none`",
            )

    @property
    def groups(self) -> int:
        """Return the number of key and value heads."""
        return self.kv_heads if self.kv_heads is not None else self.heads

    def dim(self, width: int) -> int:
        """Return the features of a head, where a position has `width`."""
        return self.head_dim if self.head_dim is not None else width // self.heads

    def _shares(self, x: Tensor, memory: Tensor, width: int) -> list[Shared]:
        queries, keys = bare(x.axes[-2]), bare(memory.axes[-2])
        shared: list[Shared] = []
        if isinstance(self.position, Rotary):
            named = {"theta": self.position.theta, "style": self.position.style}
            call = Call("Rotary", (self.dim(width),), named)
            tables = Work(kept=2 * queries.size * self.dim(width))
            plain = replace(queries, keep=None)
            shared.append(Shared("rope", call, plain, plain, work=tables))
        if isinstance(self.position, T5Buckets) and self.position.share is not None:
            shared.append(self._table(self.position, queries, keys))
        if isinstance(self.mask, Sliding):
            named = {"causal": self.mask.causal, "window": self.mask.window}
            shared.append(Shared("sliding_mask", Call("Mask", (), named), replace(queries, keep=None), keys))
        elif isinstance(self.mask, Causal) and (
            keys.keep is not None or isinstance(self.position, T5Buckets) or self.kv is not None
        ):
            shared.append(Shared("causal_mask", Call("Mask", (), {"causal": True}), replace(queries, keep=None), keys))
        elif keys.keep is not None:
            shared.append(Shared("padding_mask", Call("Mask"), Axis(1), keys))
        return shared

    def _table(self, position: T5Buckets, queries: Axis, keys: Axis) -> Shared:
        named = {
            "buckets": position.buckets,
            "max_distance": position.max_distance,
            "causal": not self.mask.looks_ahead,
        }
        weights = {"weight": Weight((position.buckets, self.heads), decays=False)}
        call = Call("T5Bias", (self.heads,), named)
        assert position.share is not None
        buckets = Work(kept=2 * queries.size * keys.size)  # an id for each pair
        return Shared(position.share, call, replace(queries, keep=None), replace(keys, keep=None), weights, buckets)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width, dim, bias = step.width, self.dim(step.width), self.bias
        q, k = self.heads * dim, self.groups * dim
        if self.kv is None:
            weights = {"qkv.weight": Weight((q + 2 * k, width)), **self._shifts({"q": q, "k": k, "v": k})}
        else:
            memory = step.reads["kv"].tensor.width
            weights = {"q.weight": Weight((q, width)), "kv.weight": Weight((2 * k, memory))}
            weights |= self._shifts({"q": q}) | self._shifts({"k": k, "v": k})
        weights["out.weight"] = Weight((width, q), "output")
        if bias.out:
            weights["out.bias"] = Weight((width,), "zeros", decays=False)
        for name in ("q_norm", "k_norm") if self.qk_norm else ():
            weights[f"{name}.weight"] = Weight((dim,), "ones", decays=False)
            if self.qk_norm == "layer":
                weights[f"{name}.bias"] = Weight((dim,), "zeros", decays=False)
        if isinstance(self.position, T5Buckets) and self.position.share is None:
            weights["relative.weight"] = Weight((self.position.buckets, self.heads), decays=False)
        return weights

    def _shifts(self, rows: Mapping[str, int]) -> dict[str, Weight]:
        """Return the biases of a projection that makes these: one vector where all have one, else one for each."""
        having = [letter for letter in rows if letter in self.bias.letters]
        if len(having) == len(rows):
            return {f"{''.join(rows)}.bias": Weight((sum(rows.values()),), "zeros", decays=False)}
        return {f"{letter}_bias": Weight((rows[letter],), "zeros", decays=False) for letter in having}

    def work(self, step: Step) -> Work:
        memory = step.reads["kv"].tensor if self.kv is not None else step.x
        dim = self.dim(step.width)
        q, k = self.heads * dim, self.groups * dim
        there, here = memory.positions, step.x.positions
        entering = 2 * here * step.width * q + 2 * there * memory.width * 2 * k
        products = 4 * here * memory.axes[-2].size * q
        leaving = 2 * here * q * step.width
        decodes = self.kv is not None or not self.mask.looks_ahead
        return Work(
            flops=entering + products + leaving,
            entering=entering,
            kept=self._kept(step, memory),
            cache=there * 2 * k if decodes else 0,
            needs=("x", "kv") if self.kv is not None else ("x",),
        )

    def _kept(self, step: Step, memory: Tensor) -> Size:
        """Return what the backward pass needs besides the value before.

        PyTorch's fused attention keeps queries, keys, values, what it gives, the mask as numbers, and a number for each
        query and head. With dropout on the weights or a learned table added to the scores, a CPU writes the scores out.
        """
        here, there, dim = step.x.positions, memory.positions, self.dim(step.width)
        q, k = here * self.heads * dim, there * self.groups * dim
        scores = here * self.heads * memory.axes[-2].size
        kept = q  # what the last matrix takes
        if self.dropout or isinstance(self.position, T5Buckets):
            kept += q + 2 * there * self.heads * dim + scores * (3 if self.dropout else 1)
            kept += q + 2 * k if self.qk_norm else 0
        else:
            kept += here * self.heads + self._mask(step) + (q if self.groups != self.heads else 0)
            kept += self._projected(q, k)
        if isinstance(self.position, T5Buckets) and self.position.share is None:
            kept += 2 * step.x.axes[-2].size * memory.axes[-2].size  # the bucket of each pair, an id
        heads = here * self.heads + there * self.groups
        return kept + {None: 0, "rms": q + k + heads, "layer": 2 * heads}[self.qk_norm]

    def _projected(self, q: Size, k: Size) -> Size:
        """Return what is kept of queries, keys and values: the projection, and those that are made anew from it."""
        if self.kv is not None:
            return 2 * (q + 2 * k) if self.qk_norm else q + 2 * k
        made = set(self.bias.letters if self.bias.letters != "qkv" else "")
        made |= set("qk") if self.qk_norm or isinstance(self.position, Rotary) else set()
        anew = sum(({"q": q, "k": k, "v": k}[each] for each in made), start=0)
        return anew if len(made) == 3 and not self.qk_norm else q + 2 * k + anew

    def _mask(self, step: Step) -> Size:
        """Return the elements of the mask that is added to the scores."""
        shared = next((each for each in step.shares if each.call.layer == "Mask"), None)
        if shared is None:
            return 0
        batch = prod(step.x.sizes[:-2], start=1) if shared.keys.keep is not None else 1
        return batch * shared.queries.size * shared.keys.size

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {"kv_heads": None if self.groups == self.heads else self.groups}
        named["head_dim"] = None if self.dim(step.width) * self.heads == step.width else self.dim(step.width)
        named |= {"bias": self.bias.letters, "out_bias": self.bias.out, "dropout": self.dropout}
        named |= {"scale": self.scale, "qk_norm": self.qk_norm}
        if self.kv is not None:
            memory = step.reads["kv"].tensor.width
            return Call(
                "CrossAttention",
                (step.width, self.heads),
                {"memory_width": None if memory == step.width else memory, **named},
            )
        if isinstance(self.position, Rotary):
            named["style"] = self.position.style
        if isinstance(self.position, T5Buckets) and self.position.share is None:
            named |= {"buckets": self.position.buckets, "max_distance": self.position.max_distance}
        return Call("Attention", (step.width, self.heads), {**named, "causal": not self.mask.looks_ahead})

    def write(self, w: Writer, step: Step) -> None:
        shared = {each.call.layer: each for each in step.shares}
        mask, table = shared.get("Mask"), shared.get("T5Bias")
        given = [w.x, *([w.value("kv")] if self.kv is not None else [])]
        if "Rotary" in shared:
            given.append(f"rope={w.shared(shared['Rotary'])}")
        if table is not None:
            given.append(f"mask={w.shared(table, mask)}")
        elif mask is not None:
            given.append(f"mask={w.shared(mask)}")
        if w.cache():
            given.append(f"cache={w.cache()}")
        w.let(f"{w.layer(self.call(step))}({', '.join(given)})")

    def inside(self, step: Step) -> tuple[Element, ...]:
        return inside(self, step)

    def sight(self, step: Step) -> Sight:
        if self.kv is not None:
            return "everywhere" if step.reads["kv"].tensor.axes[-2].size == step.x.axes[-2].size else "here"
        return "everywhere" if self.mask.looks_ahead else "behind"

    def heading(self, step: Step) -> str:
        if self.kv is not None:
            return "Cross-attention"
        return {"causal": "Causal self-attention", "sliding": "Sliding self-attention"}.get(
            self.mask.type_name, "Self-attention"
        )

    def facts(self, step: Step) -> str:
        dim = self.dim(step.width)
        groups = f" ({self.groups} key-value)" if self.groups != self.heads else ""
        if self.kv is not None:
            return f"{self.heads} heads × {dim}{groups} · keys, values: {self.kv}"
        window = f" {self.mask.reach}" if self.mask.reach else ""
        position = {"rope": " · rotary", "t5": " · relative"}.get(self.position.type_name, "")
        return f"{self.heads} heads × {dim}{groups} · {self.mask.word}{window}{position}"


def bare(axis: Axis) -> Axis:
    """Return the axis without what only people need, so that equal ones are equal."""
    return Axis(axis.size, keep=axis.keep)
