"""What attention does within, for a figure that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfdsl.look import Beside, Box, Element, Fork, Source, number
from tfdsl.node import Step
from tfdsl.nodes.attention.masks import Full
from tfdsl.nodes.attention.positions import Rotary, T5Buckets

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def inside(node: Attention, step: Step) -> tuple[Element, ...]:
    """Return queries, keys and values, what becomes of the scores, and the matrix behind the heads."""
    return _Inside(node, step).elements()


class _Inside:
    """Makes the elements of one attention node where it stands."""

    def __init__(self, node: Attention, step: Step) -> None:
        self.node, self.step = node, step
        self.memory = step.reads["kv"].tensor if node.kv is not None else step.x
        self.dim = node.dim(step.width)
        self.batch = " × ".join(axis.label for axis in step.x.axes[:-2])
        self.queries, self.keys = step.x.axes[-2].label, self.memory.axes[-2].label

    def elements(self) -> tuple[Element, ...]:
        node, heads = self.node, self.node.heads
        scores = Fork("scores", (self.queried(), self.keyed()), "q · k", self.over(heads, self.queries, self.keys))
        weights = (scores, *self.weighed())
        mixed = self.over(heads, self.queries, str(self.dim))
        out = Box(
            "out",
            "linear",
            "Output",
            f"{heads} × {self.dim} → {self.step.x.axes[-1].label}",
            self.count(self.step.width, heads * self.dim, node.bias.out),
            self.step.output.label,
        )
        return (Fork("mix", (weights, self.values()), "weights · v", mixed), out)

    def over(self, *sizes: object) -> str:
        return " × ".join([self.batch, *map(str, sizes)])

    def count(self, rows: int, columns: int, bias: bool) -> str:
        return number(rows * columns + (rows if bias else 0))

    def projected(self, name: str, title: str) -> Box:
        """Return the projection of queries, keys or values."""
        node, query = self.node, name == "q"
        heads = node.heads if query else node.groups
        source = self.step.x if query else self.memory
        shape = self.over(heads, self.queries if query else self.keys, self.dim)
        count = self.count(heads * self.dim, source.width, name in node.bias.letters)
        return Box(name, "linear", title, f"{source.axes[-1].label} → {heads} × {self.dim}", count, shape)

    def turned(self, name: str) -> Iterator[Element]:
        """Yield what becomes of queries or keys before they meet."""
        if self.node.qk_norm is not None:
            yield Box(f"{name}_norm", "norm", {"rms": "RMSNorm", "layer": "LayerNorm"}[self.node.qk_norm], "each head")
        if isinstance(self.node.position, Rotary):
            yield Box(f"{name}_rope", "position", "Rotation", f"θ = {self.node.position.theta:,g}")

    def source(self, name: str) -> tuple[Element, ...]:
        if self.node.kv is None:
            return ()
        return (Source(f"{name}_source", self.node.kv, self.memory.label, of="kv"),)

    def queried(self) -> tuple[Element, ...]:
        return (self.projected("q", "Query"), *self.turned("q"))

    def keyed(self) -> tuple[Element, ...]:
        return (*self.source("k"), self.projected("k", "Key"), *self.turned("k"))

    def values(self) -> tuple[Element, ...]:
        return (*self.source("v"), self.projected("v", "Value"))

    def weighed(self) -> Iterator[Element]:
        """Yield what makes weights of the scores."""
        node = self.node
        factor = f"{node.scale:g}" if node.scale is not None else f"1 / √{self.dim}"
        yield Box("scale", "attention", "Scores", f"× {factor}")
        if isinstance(node.position, T5Buckets):
            table = f"{node.position.buckets} × {node.heads}"
            yield Beside("relative/add", Box("relative", "position", "Buckets", table), "+")
        if not isinstance(node.mask, Full):
            reach = f"{node.mask.reach} positions" if node.mask.reach is not None else ""
            yield Box("mask", "mask", f"{node.mask.word.capitalize()} mask", reach)
        yield Box("softmax", "softmax", "Softmax", "over keys")
        if node.dropout:
            yield Box("dropout", "mask", "Dropout", f"p = {node.dropout:g}")
