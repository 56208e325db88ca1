"""What the backward pass needs of softmax attention, as PyTorch keeps it on a CPU: each storage once, in elements."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tfdsl.node import Size, Step
from tfdsl.nodes.attention.layer import leaving
from tfdsl.nodes.attention.positions import Place
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def kept(node: Attention, step: Step, place: Place, memory: Tensor) -> Size:
    """Return what is kept besides the values that the layer takes."""
    return _Kept(node, step, place, memory).total()


class _Kept:
    """The storages of one attention where it stands, by names, of those that something keeps."""

    def __init__(self, node: Attention, step: Step, place: Place, memory: Tensor) -> None:
        self.node, self.step, self.place = node, step, place
        self.here, self.there = step.x.positions, memory.positions
        self.rows: dict[str, Size] = {"q": self.here * node.heads}
        self.sizes: dict[str, Size] = {"q": self.here * node.heads * place.dim}
        if node.reuse is None:
            self.rows |= {"k": self.there * node.groups, "v": self.there * node.groups}
            self.sizes |= {"k": self.rows["k"] * place.dim, "v": self.rows["v"] * place.value}
        self.read = self.here * node.heads * place.value
        self.scores = self.here * node.heads * place.keys.size
        self.stores: dict[str, Size] = {}

    def total(self) -> Size:
        """Return the sum of all that is kept."""
        last = {letter: self._prepared(letter) for letter in self.sizes}
        self._weighed(last)
        self._left()
        return sum(self.stores.values(), start=0)

    # -- queries, keys and values --------------------------------------------------------------------------------------

    def _source(self, letter: str) -> tuple[str, Size]:
        """Return the projection that a letter is part of, and its size."""
        node = self.node
        letter = "k" if letter == "v" and node.values == "keys" else letter
        fused = "q" if node.reuse is not None else "qkv" if node.kv is None else "q" if letter == "q" else "kv"
        made = fused.replace("v", "") if node.values == "keys" else fused
        shifted = [each for each in made if each in node.bias.letters]
        if letter in shifted and len(shifted) < len(made):
            return f"{letter} shifted", self.sizes[letter]
        return fused, sum((self.sizes[each] for each in made), start=0)

    def _prepared(self, letter: str) -> tuple[str, Size]:
        """Note what the steps up to the scores keep; return the storage that they end in."""
        size, now = self.sizes[letter], self._source(letter)
        for stage in self._stages(letter):
            if stage in ("normed", "clipped"):  # these keep what they take
                self.stores[now[0]] = now[1]
            now = (f"{letter} {stage}", size)
        return now

    def _stages(self, letter: str) -> list[str]:
        """Return the steps that make a letter anew; what a norm keeps beside is noted."""
        node, clip = self.node, self.node.clip_qkv
        norm = node.v_norm if letter == "v" else node.qk_norm
        if norm is not None:
            rows = (self.here if letter == "q" else self.there) if norm.over == "all" else self.rows[letter]
            self.stores[f"{letter} norm"] = norm.kept(rows, self.sizes[letter])
        normed = ["normed"] if norm is not None else []
        clipped = ["clipped"] if clip is not None else []
        turned = ["turned"] if letter != "v" and node.position.turns else []
        warmed = ["warmed"] if letter == "q" and node.temperature is not None else []
        if letter == "v":
            return [*clipped, *normed, *(["added"] if node.value_residual is not None else [])]
        if norm is not None and norm.place == "after":
            return [*clipped, *turned, *normed, *warmed]
        late = clip is not None and clip.late
        return [*(normed + clipped if late else clipped + normed), *turned, *warmed]

    # -- scores --------------------------------------------------------------------------------------------------------

    def _weighed(self, last: dict[str, tuple[str, Size]]) -> None:
        """Note what weighing keeps, whichever way it is computed; `last` are queries, keys and values."""
        node, place = self.node, self.place
        learned = node.position.adds and node.position.learns
        pairs = node.differential is not None
        if node.softcap is not None or node.talking_heads is not None:
            self._written()
        elif node.sinks is not None and not node.dropout:
            self._beside(last["q"])
        elif node.dropout or learned or (place.value != place.dim and not pairs):
            wide = max(place.dim, 2 * place.value) if pairs else place.dim
            both = self.there * node.heads * (wide + (2 if pairs else 1) * place.value)
            self.stores["scores"] = self.sizes["q"] + both + self.scores * (3 if node.dropout else 1)
        elif pairs:
            wide = max(place.dim, 2 * place.value)
            self.stores["pairs"] = (
                self.rows["q"] * (wide + 1) + self.rows["k"] * (wide + 2 * place.value) + self._mask()
            )
            self.stores["read"] = 2 * self.read
        else:
            self.stores |= dict(last.values())
            self.stores |= {"weighed": self.rows["q"] + self._mask(), "read": self.read}
            norm = node.qk_norm
            if norm is not None and norm.place == "after" and norm.type_name == "layer":
                self.stores["copied"] = self.read  # torch's norm lays queries out anew, and so what they read

    def _written(self) -> None:
        """Note what is kept of scores that are written out: what each product and each function takes or gives."""
        node, mixes, scores = self.node, self.node.talking_heads, self.scores
        total = self.sizes["q"] + self.there * node.groups * (self.place.dim + self.place.value)
        total += scores if node.softcap is not None else 0
        total += scores + (self.rows["q"] if node.sinks is not None else 0)
        if mixes is not None:
            total += scores * {"before": 1, "after": 2, "both": 3}[mixes.at]  # a product keeps a copy of what it takes
        if node.dropout:
            total += 2 * scores
        self.stores["scores"] = total

    def _beside(self, last: tuple[str, Size]) -> None:
        """Note what is kept where a key is added: queries, keys and values anew, and what is read."""
        place, batch = self.place, prod(self.step.x.sizes[:-2], start=1)
        more = 1 if self.node.sinks == "learned" else 0
        keys = batch * (place.keys.size + 1) * self.node.groups
        self.stores["beside"] = keys * (place.dim + place.value + 2 * more)
        self.stores |= {"q beside": self.rows["q"] * (place.dim + more)} if more else dict([last])
        self.stores["weighed"] = self.rows["q"] + self._mask(1)
        self.stores["apart" if more else "read"] = self.rows["q"] * (place.value + more)

    def _mask(self, more: int = 0) -> Size:
        """Return the elements of the mask that is added to the scores; positions that add to them have it put in."""
        roles = {each.role: each for each in self.step.shares}
        shared = None if "bias" in roles else roles.get("mask")
        if shared is None:
            return 0
        tables = prod(self.step.x.sizes[:-2], start=1) if shared.keys.keep is not None or shared.keys.parts else 1
        tables *= self.node.heads if self.node.mask.headed else 1
        return tables * shared.queries.size * (shared.keys.size + more)

    # -- what the heads read -------------------------------------------------------------------------------------------

    def _left(self) -> None:
        """Note what is kept behind the heads, the last of which the last matrix takes."""
        node, now = self.node, "read"
        heads, _ = leaving(node, self.place.value)
        if node.differential is not None:
            self.stores |= {"read": 2 * self.read, "less": self.read, "norm": self.here * heads}
            now = "apart"
        if node.out_norm is not None:
            rows = self.here if node.out_norm.spans("all") == "all" else self.here * heads
            self.stores |= {now: self.read, "out norm": node.out_norm.kept(rows, self.read)}
            now = "normed"
        if node.gate is not None:
            gates = self.read if node.gate.per == "channel" else self.here * heads
            twice = node.gate.type in ("silu", "softplus")
            self.stores |= {now: self.read, "gate": gates * (2 if twice else 1)}
            now = "gated"
        self.stores.setdefault(now, self.read)
