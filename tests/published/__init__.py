"""Published models beside the specs of them: their configurations, and which of their weights is which of ours.

A configuration holds the numbers that were published with the weights, written out; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.foreign import Given

Config = Mapping[str, Any]
TINY: Config = {
    "vocab_size": 97, "n_layers": 2, "d_model": 64, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "d_ff": 64,
    "context": 32, "window": 5, "n_experts": 6, "rotary_dim": 8, "d_expert": 32, "narrow": 16, "image": 16,
    "mels": 10, "frames": 24, "patch": 4, "classes": 7,
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A model of `transformers` and the spec of the same name in specs/.

    `config` is the published one; `keys` says which of its entries each of our dims is, so that both can be made small
    alike, and `small` what else a small one needs. `weights` gives each of ours from theirs; `ours` are dims of a small
    one that are not as in `TINY`. What matches `ignore` of theirs is not ours. `untied` elements were published apart,
    and `transformers` 5 ties them whatever its config says.
    """

    model: str
    config: Config
    keys: Mapping[str, str]
    weights: Mapping[str, Given]
    small: Config = field(default_factory=dict[str, Any])
    ours: Mapping[str, float] = field(default_factory=dict[str, float])
    ignore: str = r"inv_freq|position_ids|rotary"
    untied: int = 0
    configured: str = ""
    output: str = "logits"
    result: str | None = None

    @property
    def configuration(self) -> str:
        """Return the name of the configuration's class."""
        return self.configured or re.sub(r"(For[A-Z]\w*|LMHeadModel|Model)$", "", self.model) + "Config"

    @property
    def shrunk(self) -> Config:
        """Return the configuration at the sizes of `TINY`."""
        made = {name: dict(each) if isinstance(each, Mapping) else each for name, each in self.config.items()}
        for dim, key in self.keys.items():
            part, _, name = key.rpartition(".")  # `text_config.hidden_size` stands in a part of its own
            (made[part] if part else made)[name] = self.ours.get(dim, TINY.get(dim))
        return {**made, **self.small}

    def overrides(self, names: Mapping[str, Any]) -> list[str]:
        """Return what makes a spec with these dims as small."""
        wanted = {**{dim: TINY[dim] for dim in self.keys if dim in TINY}, **self.ours}
        return [f"dims.{name}={value}" for name, value in wanted.items() if name in names]


def rows(prefix: str, names: str, suffix: str = "weight") -> list[str]:
    """Return the names of matrices that are one of ours: `rows("layers.{i}.self_attn.", "q_proj k_proj")`."""
    return [f"{prefix}{name}.{suffix}" for name in names.split()]


def every() -> dict[str, Published]:
    """Return every published model that is compared, by the name of its spec."""
    from tests.published import decoders, encoders, llamas, mixers, pairs

    return {**llamas.MODELS, **decoders.MODELS, **encoders.MODELS, **mixers.MODELS, **pairs.MODELS}
