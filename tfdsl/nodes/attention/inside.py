"""What attention does within, for a figure that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tfdsl.look import Beside, Box, Element, Fork, Source, number
from tfdsl.node import Step
from tfdsl.nodes.attention.masks import Full
from tfdsl.nodes.attention.methods import Linear, LowRank, Performer
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
        self.value = node.value_dim if node.value_dim is not None else self.dim
        self.batch = " × ".join(axis.label for axis in step.x.axes[:-2])
        self.queries, self.keys = step.x.axes[-2].label, self.memory.axes[-2].label

    def elements(self) -> tuple[Element, ...]:
        node, heads, value = self.node, self.node.heads, self.value
        mixed: tuple[Element, ...] = (self.attended(), *self.read())
        if node.gate is not None:
            made = number(sum(each.count for name, each in self.step.weights.items() if name.startswith("gate.")))
            gate = (
                Box("gate", "linear", "Gate", f"a number for each {node.gate.per}", made),
                Box("gate_function", "ffn", node.gate.type.capitalize()),
            )
            mixed = (Fork("gated", (mixed, gate), "×"),)
        count = self.count(self.step.width, heads * value, node.bias.out)
        facts = f"{heads} × {value} → {self.step.x.axes[-1].label}"
        return (*mixed, Box("out", "linear", "Output", facts, count, self.step.output.label))

    def attended(self) -> Element:
        """Return what queries read: by scores, or by a method that keeps a sum over keys and values."""
        node, shape = self.node, self.over(self.node.heads, self.queries, self.value)
        if isinstance(node.method, Linear | Performer):
            said = f"{node.method.features} random" if isinstance(node.method, Performer) else node.method.feature
            mapped = Box("q_features", "attention", "Features", said)
            keys = (*self.keyed(), replace(mapped, id="k_features"))
            word = "sum of k ⊗ v" if node.mask.looks_ahead else "sum of k ⊗ v so far"
            state = Fork("state", (keys, self.values()), word)
            return Fork("mix", ((*self.queried(), mapped), (state,)), "q · sum", shape)
        scores = Fork("scores", (self.queried(), self.keyed()), "q · k", self.over(node.heads, self.queries, self.keys))
        return Fork("mix", ((scores, *self.weighed()), self.values()), "weights · v", shape)

    def read(self) -> Iterator[Element]:
        """Yield what becomes of what the heads read."""
        node = self.node
        if node.differential is not None:
            yield Box("pairs", "attention", "Pairs of heads", "first − λ · second")
        if node.out_norm is not None:
            yield Box("out_norm", "norm", node.out_norm.word)

    def over(self, *sizes: object) -> str:
        return " × ".join([self.batch, *map(str, sizes)])

    def count(self, rows: int, columns: int, bias: bool) -> str:
        return number(rows * columns + (rows if bias else 0))

    def projected(self, name: str, title: str) -> Box:
        """Return the projection of queries, keys or values."""
        node, query = self.node, name == "q"
        heads, dim = node.heads if query else node.groups, self.value if name == "v" else self.dim
        source = self.step.x if query else self.memory
        shape = self.over(heads, self.queries if query else self.keys, dim)
        count = self.count(heads * dim, source.width, name in node.bias.letters)
        return Box(name, "linear", title, f"{source.axes[-1].label} → {heads} × {dim}", count, shape)

    def turned(self, name: str) -> Iterator[Element]:
        """Yield what becomes of queries or keys before they meet."""
        node, norm = self.node, self.node.qk_norm
        late = node.clip_qkv is not None and node.clip_qkv.late
        if not late:
            yield from self.clipped(name)
        over = {"each": "each head, weights of its own", "all": "all heads"}.get(norm.over or "") if norm else ""
        normed = [Box(f"{name}_norm", "norm", norm.word, over or "each head")] if norm is not None else []
        position = [Box(f"{name}_position", "position", capital(node.position.word), settings(node.position))]
        if norm is None or norm.place == "before":
            yield from normed
        if late:
            yield from self.clipped(name)
        if node.position.turns:
            yield from position
        if norm is not None and norm.place == "after":
            yield from normed
        if name == "q" and node.temperature is not None:
            yield Box("temperature", "position", "Temperature", f"length {node.temperature.length:,}")

    def clipped(self, name: str) -> Iterator[Element]:
        if self.node.clip_qkv is not None:
            yield Box(f"{name}_clip", "mask", "Clip", f"± {self.node.clip_qkv.limit:g}")

    def source(self, name: str) -> tuple[Element, ...]:
        if self.node.kv is None:
            return ()
        return (Source(f"{name}_source", self.node.kv, self.memory.label, of="kv"),)

    def queried(self) -> tuple[Element, ...]:
        return (self.projected("q", "Query"), *self.turned("q"))

    def keyed(self) -> tuple[Element, ...]:
        return (*self.source("k"), self.projected("k", "Key"), *self.turned("k"), *self.shortened("k"))

    def values(self) -> tuple[Element, ...]:
        norm = self.node.v_norm
        normed = (Box("v_norm", "norm", norm.word),) if norm is not None else ()
        if self.node.values == "keys":
            made = replace(self.projected("v", "Value"), facts="what keys are made of", corner="")
        else:
            made = self.projected("v", "Value")
        return (*self.source("v"), made, *self.clipped("v"), *normed, *self.shortened("v"))

    def shortened(self, name: str) -> Iterator[Element]:
        """Yield the matrix that makes a few keys or values of all."""
        if isinstance(self.node.method, LowRank):
            yield Box(f"{name}_rank", "linear", "Low rank", f"{self.keys} → {self.node.method.rank} positions")

    def weighed(self) -> Iterator[Element]:
        """Yield what makes weights of the scores."""
        node = self.node
        yield Box(
            "scale", "attention", "Scores", f"× {node.scale:g}" if node.scale is not None else f"× 1 / √{self.dim}"
        )
        if node.position.word and not node.position.turns:
            card = Box("relative", "position", capital(node.position.word), settings(node.position))
            yield Beside("relative/add", card, "+")
        talks = node.talking_heads.at if node.talking_heads is not None else ""
        if talks in ("both", "before"):
            yield Box("talk", "linear", "Mix of heads", f"{node.heads} → {node.heads}")
        if node.softcap is not None:
            yield Box("softcap", "mask", "Softcap", f"± {node.softcap:g}")
        if not isinstance(node.mask, Full):
            yield Box("mask", "mask", f"{capital(node.mask.word)} mask", settings(node.mask))
        over = {"learned": "over keys and a sink", "zero": "over keys and a 0"}.get(node.sinks or "", "over keys")
        yield Box("softmax", "softmax", "Softmax", over)
        if talks in ("both", "after"):
            yield Box("talk_after", "linear", "Mix of heads", f"{node.heads} → {node.heads}")
        if node.dropout:
            yield Box("dropout", "mask", "Dropout", f"p = {node.dropout:g}")


def capital(word: str) -> str:
    """Return a word with a capital, and the rest of it as it is: `ALiBi`."""
    return word[:1].upper() + word[1:]


def settings(choice: Choice) -> str:
    """Return the numbers and words that a mask, a position or a method has: `window 128`."""
    fields = ((name, getattr(choice, name)) for name in type(choice).model_fields)
    numbers = [
        (name, value)
        for name, value in fields
        if value and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return " · ".join(f"{name.replace('_', ' ')} {value:,g}" for name, value in numbers)
