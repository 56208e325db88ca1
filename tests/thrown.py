"""What every throw of the dice can do: choose by chance, and make attention for the stream that is being thrown."""

from __future__ import annotations

import random
from typing import Any, TypeVar

Plain = Any  # what YAML says
T = TypeVar("T")


class Throw:
    """Choices that a seed makes, and attention of `heads` over `width` features, in the stream or over `memory`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.heads = self.pick(1, 2, 4)
        self.width = self.heads * self.pick(4, 6, 8)
        self.causal = False
        self.memory = ""

    def pick(self, *choices: T) -> T:
        """Return one of the choices."""
        return self.random.choice(choices)

    def chance(self, p: float = 0.5) -> bool:
        """Return true with probability p."""
        return self.random.random() < p

    def attention(self) -> Plain:
        """Return attention in the stream itself."""
        reach = self.pick(
            {"type": "sliding", "window": self.pick(2, 3, 50)},
            {"type": "sliding", "window": 2, "global": 1},
            {"type": "chunked", "size": self.pick(2, 3)},
            {"type": "dilated", "window": 2, "step": self.pick(2, 3)},
            {"type": "block_sparse", "block": 2, "local": 1, "random": 1, "full": 0},
        )
        mask = self.pick("causal" if self.causal else "full", {**reach, "causal": self.causal})
        fields = {**self._heads(), "mask": mask}
        rope = {"type": "rope", "theta": 100, "style": self.pick("half", "interleaved")}
        part = {"type": "rope", "dim": 2, "theta": 50, "scaling": {"type": "llama3", "factor": 2, "length": 9}}
        shaw = {"type": "shaw", "max_distance": 3, "ahead": 1}
        table = {"type": "t5", "buckets": 8, "max_distance": 12}
        position = self.pick(None, "rope", rope, part, table, "alibi", shaw, "kerple")
        return {"attention": fields if position is None else {**fields, "position": position}}

    def cross(self) -> Plain:
        """Return attention over the other stream."""
        return {"attention": {**self._heads(), "kv": self.memory}}

    def _heads(self) -> dict[str, Plain]:
        fields: dict[str, Plain] = {"heads": "n_heads"}
        if self.chance(0.3):
            fields["kv_heads"] = 1
        if self.chance(0.3):
            fields["head_dim"] = self.pick(2, 4)
        if self.chance(0.3):
            fields["qk_norm"] = self.pick("rms", "layer", {"type": "rms", "over": self.pick("all", "each")})
        if self.chance(0.3):
            fields["bias"] = self.pick(True, {"q": True}, {"q": True, "v": True, "out": True}, {"k": True, "v": True})
        more = (
            {"softcap": 2},
            {"sinks": self.pick("learned", "zero")},
            {"gate": {"per": self.pick("head", "channel")}},
        )
        more += ({"out_norm": "rms"}, {"clip_qkv": 1}, {"talking_heads": "both"}, {"value_dim": 6})
        return {**fields, **self.pick({}, {}, {"scale": 1}, {"dropout": "p"}), **self.pick({}, {}, *more)}
