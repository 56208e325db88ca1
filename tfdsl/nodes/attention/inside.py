"""What attention does within, for a figure that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfdsl.look import Beside, Box, Element, Fork, Source, number
from tfdsl.node import Step
from tfdsl.nodes.attention.masks import Full
from tfdsl.parts import Choice

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def inside(node: Attention, step: Step) -> tuple[Element, ...]:
    """Return queries, keys and values, what becomes of the scores, and the matrix behind the heads."""
    return _Inside(node, step).elements()


class _Inside:
    """Makes the elements of one attention node where it stands."""

    def __init__(self, node: Attention, step: Step) -> None:
        self.node, self.step = node, step
        self.memory = node.memory(step)
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
            yield Box(f"{name}_norm", "norm", self.node.qk_norm.word, "each head")
        if self.node.position.turns:
            yield Box(
                f"{name}_position", "position", self.node.position.word.capitalize(), settings(self.node.position)
            )

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
        if node.position.word and not node.position.turns:
            card = Box("relative", "position", node.position.word.capitalize(), settings(node.position))
            yield Beside("relative/add", card, "+")
        if not isinstance(node.mask, Full):
            yield Box("mask", "mask", f"{node.mask.word.capitalize()} mask", settings(node.mask))
        yield Box(
            "softmax", "softmax", node.method.word.capitalize() or "Softmax", settings(node.method) or "over keys"
        )
        if node.dropout:
            yield Box("dropout", "mask", "Dropout", f"p = {node.dropout:g}")


def settings(choice: Choice) -> str:
    """Return the numbers and words that a mask, a position or a method has: `window 128`."""
    fields = ((name, getattr(choice, name)) for name in type(choice).model_fields)
    numbers = [
        (name, value) for name, value in fields if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return " · ".join(f"{name.replace('_', ' ')} {value:,g}" for name, value in numbers)
