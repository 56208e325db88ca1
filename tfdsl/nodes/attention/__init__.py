"""attention: every position reads from those that it may see (arXiv:1706.03762, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Shared, Sight, Step, Weight, Work, Writer
from tfdsl.nodes.attention import checks, costs, layer, projections
from tfdsl.nodes.attention.biases import Biases
from tfdsl.nodes.attention.documents import leaks
from tfdsl.nodes.attention.gates import Clip, Differential, Gate, Talking, Temperature, ValueMix
from tfdsl.nodes.attention.masks import Full, Mask, Sliding
from tfdsl.nodes.attention.methods import Method, Softmax
from tfdsl.nodes.attention.near import Near, near
from tfdsl.nodes.attention.norms import HeadNorm
from tfdsl.nodes.attention.positions import Nowhere, Place, Relative, Rotary
from tfdsl.nodes.attention.seen import Blocks
from tfdsl.parts import Name, Positive, PositiveReal, Probability, needed
from tfdsl.shapes import Axis, Tensor

__all__ = ["Attention", "Biases", "Full", "Mask", "Method", "Nowhere", "Relative", "Rotary", "Sliding", "Softmax"]

if TYPE_CHECKING:
    from tfdsl.look import Element


class Attention(Node):
    """Multi-head attention: [B, T, D] -> [B, T, D]; keys and values are of the same value or, with `kv`, of another.

    softmax(q kᵀ · scale + position + mask) v for each head. With fewer `kv_heads` than `heads`, several query heads
    share a key and value head (arXiv:2305.13245): head i reads that of i // (heads / kv_heads).

    In this order: projection and bias, `clip_qkv`, `qk_norm` and `v_norm`, rotary positions, a `qk_norm` with `place:
    after`, `temperature`, `value_residual`, the cache (and `keep`); scores times `scale`, `talking_heads`, `softcap`,
    positions that are added, mask, `sinks`, softmax, `talking_heads`, `dropout`; then `differential`, `out_norm`,
    `gate`, and the matrix `out`. The rows of `qkv` are all query heads, then all key heads, then all value heads.
    """

    keeps = True
    headline = "heads"
    family = "attention"
    reads = ("from", "kv", "reuse", "value_residual")
    takes = ("reuse", "value_residual")
    pairs = ("kv",)
    example = """
    dims: {d_model: 512, heads: 8, kv_heads: 2, head_dim: 64}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - attention: {from: x, heads: heads, kv_heads: kv_heads, head_dim: head_dim, mask: causal, position: rope}
    """
    heads: Positive = needed(description="The number of query heads.")
    kv_heads: Positive | None = Field(
        None, description="The number of key and value heads; as many as `heads` if left out."
    )
    head_dim: Positive | None = Field(None, description="The features of a head; D / heads if left out.")
    kv: Name | None = Field(None, description="Keys and values come from this value: cross-attention.")
    keep: Name | None = Field(
        None,
        description="The name under which later attention may read the keys and values of this one, as they are after "
        "norms, rotary positions and cache.",
    )
    reuse: Name | None = Field(
        None,
        description="Read the keys and values that other attention keeps under this name, and make none: there are "
        "weights for queries and for the output alone, and cached decoding has one entry for all who share. "
        "`kv_heads`, `head_dim` and `value_dim` must be those of the kept (CLA, YOCO, Gemma 3n).",
    )
    mask: Mask = Field(Full(), description="Which positions a query may see.")
    position: Relative = Field(Nowhere(), description="How positions enter the scores.")
    method: Method = Field(Softmax(), description="How a query weighs what it reads.")
    qk_norm: HeadNorm | None = Field(None, description="A norm on queries and keys, before they meet.")
    v_norm: HeadNorm | None = Field(None, description="A norm on values (Gemma 3n: `{type: rms, weight: false}`).")
    out_norm: HeadNorm | None = Field(
        None, description="A norm on what the heads read, before `gate` and the matrix `out` (BitNet)."
    )
    value_dim: Positive | None = Field(
        None, description="The features of a value head, and of what a head reads; those of a key head if left out."
    )
    values: Literal["own", "keys"] = Field(
        "own",
        description="What makes values: a matrix of their `own`; or `keys`, that of the keys, whose result is both, "
        "before `qk_norm`, `v_norm` and rotary positions (Gemma 4's global layers).",
    )
    value_residual: Name | None = Field(
        None,
        description="Add the values that other attention keeps under this name, in the proportions of `value_mix`, "
        "after `clip_qkv` and `v_norm` (value residual learning, arXiv:2410.17897).",
    )
    value_mix: ValueMix | None = Field(None, description="The proportions; half and half if left out.")
    scale: PositiveReal | None = Field(None, description="What scores are multiplied by; 1 / √head_dim if left out.")
    temperature: Temperature | None = Field(None, description="Queries times a number that grows with their place.")
    softcap: PositiveReal | None = Field(
        None, description="Scores become softcap · tanh(scores / softcap), before the mask (Gemma 2: 50)."
    )
    sinks: Literal["learned", "zero"] | None = Field(
        None,
        description="One key more, without a value, so that weights may sum to less than 1: its score is a learned "
        "number for each head (gpt-oss), or 0, which adds 1 to the softmax's denominator (off-by-one softmax).",
    )
    clip_qkv: Clip | None = Field(None, description="Queries, keys and values are held within ± this.")
    gate: Gate | None = Field(None, description="What the heads read is multiplied by a function of x, before `out`.")
    talking_heads: Talking | None = Field(None, description="Learned matrices mix the heads around the softmax.")
    differential: Differential | None = Field(
        None, description="Heads in pairs, the second's reading subtracted from the first's: where λ starts."
    )
    bias: Biases = Field(Biases(), description="Whether the projections have a vector added: all, or each by name.")
    dropout: Probability = Field(0.0, description="Dropout on the attention weights.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        checks.heads(self, io)
        memory = checks.memory(self, io, x)
        checks.axes(self, io, x, memory)
        checks.fields(self, io)
        checks.mixes(self, io, memory)
        self.mask.check(io, self, x, memory)
        self.position.check(io, self, self.heads, self.dim(io.width()))
        self.method.check(io, self, x, memory)
        if self.keep is not None:
            io.give("keep", self.parts(x, memory))
        for shared in self._shares(self.place(x, memory)):
            io.share(shared, named=bool(shared.weights))
        return x

    @property
    def groups(self) -> int:
        """Return the number of key and value heads."""
        return self.kv_heads if self.kv_heads is not None else self.heads

    def dim(self, width: int) -> int:
        """Return the features of a head, where a position has `width`."""
        return self.head_dim if self.head_dim is not None else width // self.heads

    def value_size(self, width: int) -> int:
        """Return the features of a value head, where a position has `width`."""
        return self.value_dim if self.value_dim is not None else self.dim(width)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return its name, and that of what it keeps."""
        return tuple(name for name in (self.id, self.keep) if isinstance(name, str))

    def parts(self, x: Tensor, memory: Tensor) -> Tensor:
        """Return what describes its keys and values: positions, heads, the features of a key and of a value."""
        sizes = (self.groups, self.dim(x.width), self.value_size(x.width))
        return Tensor((*memory.axes[:-1], *map(Axis, sizes)))

    @property
    def fused(self) -> bool:
        """Return whether torch's own attention does what is asked, without a key of ours and step by step."""
        return self.softcap is None and self.sinks is None and self.talking_heads is None

    def place(self, x: Tensor, memory: Tensor) -> Place:
        """Return what positions and methods may know of it, where it reads from `memory`."""
        queries, keys = bare(x.axes[-2]), bare(memory.axes[-2])
        dim, causal = self.dim(x.width), not self.mask.looks_ahead
        scale = dim**-0.5 if self.scale is None else self.scale
        value = self.value_size(x.width)
        rows = x.axes[0].size if queries.parts else 1
        return Place(self.heads, dim, self.groups, queries, keys, causal, x.width, scale, value, rows)

    def memory(self, step: Step) -> Tensor:
        """Return the value that keys and values are made of, or what stands for it where they are made already."""
        if self.reuse is not None:
            return positions(step.reads["reuse"].tensor)
        return step.reads["kv"].tensor if self.kv is not None else step.x

    def _shares(self, place: Place) -> list[Shared]:
        return [*self.position.shares(place), *self.method.shares(place), *self._masks(place)]

    def _masks(self, place: Place) -> list[Shared]:
        """Return the boolean mask that its layer is given, where there is one."""
        table, adds = self.mask.table(place), self.position.adds
        keep, parts = place.keys.keep is not None, bool(place.keys.parts)
        if not self.method.compares:
            named = "key_mask" if parts else "padding_mask"
            return [Shared("mask", named, None, Axis(1), replace(place.keys, parts=""))] if keep else []
        if table is None and not keep and not parts:
            return []
        if table is None:
            name, queries = ("padding_mask" if keep else "document_mask"), place.here if parts else Axis(1)
            name = "cross_mask" if parts and place.queries.parts != place.keys.parts else name
            return [Shared("mask", name, None, queries, place.keys, optional=not keep)]
        if self.mask.built_in and not keep and not adds and self.kv is None and self.fused:
            name = f"{self.mask.type_name}_mask"
            return [Shared("mask", name, table, place.here, place.keys, optional=True)] if parts else []
        if self.blocks(place) is not None:
            table = replace(table, named={**table.named, "whole": self.mask.whole})
        held = self.near(place)
        one = held.single if held is not None else self.mask.built_in and not keep and not parts and not adds
        mask = Shared("mask", f"{self.mask.type_name}_mask", table, place.here, place.keys, single=one)
        if held is None:
            return [mask]
        return [replace(mask, call=held.table(table), behind=held.behind, spans=held.spans, first=held.tokens)]

    def near(self, place: Place) -> Near | None:
        """Return what a cache keeps of its keys and values, where that is not all."""
        return near(self, place)

    def blocks(self, place: Place) -> Blocks | None:
        """Return how long sequences are taken in blocks, where they are and that does what is asked."""
        plain = self.fused and self.differential is None and self.value_dim is None
        if not plain or self.kv is not None or self.reuse is not None or self.position.adds or not self.method.compares:
            return None
        if place.keys.parts:
            return None  # documents begin anywhere, and blocks do not
        return self.mask.blocks(place)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return projections.declared(self, step)

    def work(self, step: Step) -> Work:
        return costs.work(self, step)

    def call(self, step: Step) -> Call:
        return layer.call(self, step)

    def write(self, w: Writer, step: Step) -> None:
        shared = {each.role: each for each in step.shares}
        mask, bias = shared.get("mask"), shared.get("bias")
        given = [w.x, *(w.value(field) for field in ("kv", "reuse") if getattr(self, field) is not None)]
        if "rope" in shared:
            given.append(f"rope={w.shared(shared['rope'])}")
        if "table" in shared:
            given.append(w.shared(shared["table"]))
        if bias is not None:
            given.append(f"mask={w.shared(bias, mask)}")
        elif mask is not None:
            given.append(f"mask={w.shared(mask)}")
        if self.value_residual is not None:
            given.append(f"earlier={w.value('value_residual')}")
        if "rank" in shared:
            given.append(f"rank={w.shared(shared['rank'])}")
        if self.temperature is not None or not self.method.compares:
            place = w.place(step.x.axes[-2], fresh=self.temperature is None)
            given += [f"place_BT={place}"] if place else []
        if w.cache():
            given.append(f"cache={w.cache()}")
        w.let(f"{w.layer(self.call(step))}({', '.join(given)})", self.keep or "")

    def inside(self, step: Step) -> tuple[Element, ...]:
        from tfdsl.nodes.attention.inside import inside  # for figures alone

        return inside(self, step)

    def sight(self, step: Step) -> Sight:
        if self.reuse is not None and self.memory(step).axes[-2].size != step.x.axes[-2].size:
            return "here"
        if self.kv is not None:
            return "everywhere" if step.reads["kv"].tensor.axes[-2].size == step.x.axes[-2].size else "here"
        return "behind" if self.mask.decodes else "everywhere"

    def leaks(self, step: Step) -> str:
        return leaks(self, step)

    def heading(self, step: Step) -> str:
        return "Cross-attention" if self.kv is not None else self.mask.title

    def facts(self, step: Step) -> str:
        groups = f" ({self.groups} key-value)" if self.groups != self.heads else ""
        heads = f"{self.heads} heads × {self.dim(step.width)}{groups}"
        if self.kv is not None or self.reuse is not None:
            return f"{heads} · keys, values: {self.kv or self.reuse}"
        reach = f" {self.mask.reach}" if self.mask.reach else ""
        apart = "per document" if step.x.axes[-2].parts else ""
        words = [heads, f"{self.mask.word}{reach}", apart, self.position.word, self.method.word]
        return " · ".join(word for word in words if word)


def bare(axis: Axis) -> Axis:
    """Return the axis without what only people need, so that equal ones are equal."""
    return Axis(axis.size, keep=axis.keep, parts=axis.parts)


def positions(parts: Tensor) -> Tensor:
    """Return a value with the positions of kept keys and values."""
    return Tensor((*parts.axes[:-3], Axis(1)))
