"""attention: every position reads from those that it may see (arXiv:1706.03762, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from tfdsl.look import Element
from tfdsl.node import Call, Node, Ports, Shared, Sight, Step, Weight, Work, Writer
from tfdsl.nodes.attention import costs, projections
from tfdsl.nodes.attention.biases import Biases
from tfdsl.nodes.attention.inside import inside
from tfdsl.nodes.attention.masks import Full, Mask, Sliding
from tfdsl.nodes.attention.methods import Method, Softmax
from tfdsl.nodes.attention.positions import Nowhere, Place, Relative, Rotary
from tfdsl.nodes.attention.seen import Blocks
from tfdsl.parts import Name, Positive, PositiveReal, Probability, needed
from tfdsl.shapes import Axis, Tensor

__all__ = ["Attention", "Biases", "Full", "Mask", "Method", "Nowhere", "Relative", "Rotary", "Sliding", "Softmax"]


class Attention(Node):
    """Multi-head attention: [B, T, D] -> [B, T, D]; keys and values are of the same value or, with `kv`, of another.

    softmax(q kᵀ · scale + position + mask) v for each head. With fewer `kv_heads` than `heads`, several query heads
    share a key and value head (arXiv:2305.13245).
    """

    keeps = True
    headline = "heads"
    family = "attention"
    reads = ("from", "kv")
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
    mask: Mask = Field(Full(), description="Which positions a query may see.")
    position: Relative = Field(Nowhere(), description="How positions enter the scores.")
    method: Method = Field(Softmax(), description="How a query weighs what it reads.")
    qk_norm: Literal["rms", "layer"] | None = Field(None, description="A norm on each head's queries and keys.")
    scale: PositiveReal | None = Field(None, description="What scores are multiplied by; 1 / √head_dim if left out.")
    bias: Biases = Field(Biases(), description="Whether the projections have a vector added: all, or each by name.")
    dropout: Probability = Field(0.0, description="Dropout on the attention weights.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        memory = io.value("kv") if self.kv is not None else x
        self._check_heads(io)
        self._check_axes(io, x, memory)
        self.mask.check(io, self, x, memory)
        self.position.check(io, self, self.heads, self.dim(io.width()))
        self.method.check(io, self, x, memory)
        for shared in self._shares(self.place(x, memory)):
            io.share(shared, named=bool(shared.weights))
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

    @property
    def groups(self) -> int:
        """Return the number of key and value heads."""
        return self.kv_heads if self.kv_heads is not None else self.heads

    def dim(self, width: int) -> int:
        """Return the features of a head, where a position has `width`."""
        return self.head_dim if self.head_dim is not None else width // self.heads

    def place(self, x: Tensor, memory: Tensor) -> Place:
        """Return what positions and methods may know of it, where it reads from `memory`."""
        queries, keys = bare(x.axes[-2]), bare(memory.axes[-2])
        dim, causal = self.dim(x.width), not self.mask.looks_ahead
        scale = dim**-0.5 if self.scale is None else self.scale
        return Place(self.heads, dim, self.groups, queries, keys, causal, x.width, scale)

    def memory(self, step: Step) -> Tensor:
        """Return the value that keys and values are made of."""
        return step.reads["kv"].tensor if self.kv is not None else step.x

    def _shares(self, place: Place) -> list[Shared]:
        return [*self.position.shares(place), *self._masks(place)]

    def _masks(self, place: Place) -> list[Shared]:
        """Return the boolean mask that its layer is given, where there is one."""
        table, adds = self.mask.table(place), self.position.adds
        if table is None and place.keys.keep is None:
            return []
        if table is None:
            return [Shared("mask", "padding_mask", None, Axis(1), place.keys)]
        if self.mask.built_in and place.keys.keep is None and not adds and self.kv is None:
            return []
        if self.blocks(place) is not None:
            table = replace(table, named={**table.named, "whole": self.mask.whole})
        return [Shared("mask", f"{self.mask.type_name}_mask", table, place.here, place.keys)]

    def blocks(self, place: Place) -> Blocks | None:
        """Return how long sequences are taken in blocks, where they are and that does what is asked."""
        if self.kv is not None or self.position.adds or not isinstance(self.method, Softmax):
            return None
        return self.mask.blocks(place)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return projections.declared(self, step)

    def work(self, step: Step) -> Work:
        return costs.work(self, step)

    def call(self, step: Step) -> Call:
        memory = self.memory(step)
        place = self.place(step.x, memory)
        named: dict[str, Any] = {"kv_heads": None if self.groups == self.heads else self.groups}
        named["head_dim"] = None if place.dim * self.heads == step.width else place.dim
        named |= {"bias": self.bias.letters, "out_bias": self.bias.out, "dropout": self.dropout}
        named |= {"scale": self.scale, "qk_norm": self.qk_norm, **self.method.options(place)}
        if self.kv is not None:
            apart = None if memory.width == step.width else memory.width
            return Call(self.method.cross, (step.width, self.heads), {"memory_width": apart, **named})
        named |= self.position.options(place)
        module = self.position.module(place)
        named |= {"relative": module} if module is not None else {}
        blocks = self.blocks(place)
        named |= {"blocks": self._weighing(blocks.layer)} if blocks is not None else {}
        first = self.mask.module(self, step.width)
        named |= {"first": first} if first is not None else {}
        return Call(self.method.layer, (step.width, self.heads), {**named, "causal": not self.mask.looks_ahead})

    def _weighing(self, blocks: Call) -> Call:
        """Return the layer of blocks with what it has to know of this attention, or the one that it holds."""
        if "near" in blocks.named:
            return replace(blocks, named={**blocks.named, "near": self._weighing(blocks.named["near"])})
        grouped = self.groups != self.heads
        more = {"dropout": self.dropout, "scale": self.scale, "grouped": grouped}
        return replace(blocks, named={**blocks.named, **more})

    def write(self, w: Writer, step: Step) -> None:
        shared = {each.role: each for each in step.shares}
        mask, bias = shared.get("mask"), shared.get("bias")
        given = [w.x, *([w.value("kv")] if self.kv is not None else [])]
        if "rope" in shared:
            given.append(f"rope={w.shared(shared['rope'])}")
        if bias is not None:
            given.append(f"mask={w.shared(bias, mask)}")
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
        return "behind" if self.mask.decodes else "everywhere"

    def heading(self, step: Step) -> str:
        return "Cross-attention" if self.kv is not None else self.mask.title

    def facts(self, step: Step) -> str:
        groups = f" ({self.groups} key-value)" if self.groups != self.heads else ""
        heads = f"{self.heads} heads × {self.dim(step.width)}{groups}"
        if self.kv is not None:
            return f"{heads} · keys, values: {self.kv}"
        reach = f" {self.mask.reach}" if self.mask.reach else ""
        words = [heads, f"{self.mask.word}{reach}", self.position.word, self.method.word]
        return " · ".join(word for word in words if word)


def bare(axis: Axis) -> Axis:
    """Return the axis without what only people need, so that equal ones are equal."""
    return Axis(axis.size, keep=axis.keep)
