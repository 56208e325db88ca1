"""The specs of `specs/`, shrunk: every kind of layer that they have, at sizes that a test can run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

import tfdsl
from tfdsl import building
from tfdsl.checking import Checked
from tfdsl.remembering import remembered

SPECS = Path(__file__).parents[1] / "specs"
SMALL = {
    "vocab_size": 40,
    "context": 64,
    "n_layers": 2,
    "n_dense": 1,
    "d_model": 32,
    "n_heads": 4,
    "head_dim": 8,
    "rope_dim": 4,
    "rotary_dim": 4,
    "q_rank": 10,
    "kv_rank": 9,
    "d_ff": 24,
    "n_experts": 10,
    "top_k": 2,
    "n_groups": 2,
    "d_expert": 12,
    "dt_rank": 3,
    "d_state": 6,
    "n_states": 4,
    "state_dim": 6,
    "features": 16,
    "window": 5,
    "mels": 6,
    "frames": 20,
    "p": 0,
}
LAYERS = {"gemma3_1b": 6, "hybrid": 6, "jamba": 6, "qwen3_next": 4}  # so many until all kinds have come


@cache
def checked(name: str) -> Checked:
    """Return a spec of `specs/` with small sizes."""
    path = SPECS / f"{name}.yaml"
    dims = tfdsl.check(path).dims
    small = {
        **SMALL,
        "n_layers": LAYERS.get(name, 2),
        "n_kv_heads": 4 if dims.get("n_kv_heads") == dims.get("n_heads") else 2,
    }
    found = tfdsl.check(path, [f"dims.{dim}={small[dim]}" for dim in dims if dim in small])
    assert found.ok, tfdsl.SpecError(found)
    return found


@cache
def model(name: str) -> Any:
    """Return what such a spec builds, in float64 and for inference, every weight random so that a mistake shows."""
    torch.manual_seed(1)
    made = building.build(checked(name)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return made


def decoding() -> Iterator[str]:
    """Yield the names of the specs whose models have a cache."""
    for path in sorted(SPECS.glob("*.yaml")):
        if remembered(tfdsl.check(path)).streams:
            yield path.stem
