"""Attention beside implementations that others wrote: one layer of a model of `transformers`, with the same weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

import tfdsl
from tests import foreign

B, T, WIDTH = 2, 13, 48


HALVES = ("qwen3.modeling_qwen3", "Qwen3RotaryEmbedding")  # what most models have


def layer(
    module: str,
    attention: str,
    config: Any,
    index: int = 0,
    rotary: tuple[str, str] | None = HALVES,
    more: tuple[Any, ...] = (),
    truths: bool = False,
) -> Theirs:
    """Return one attention layer of `transformers` in float64, its weights random, and its rotary tables."""
    config._attn_implementation = "eager"
    with foreign.widened():
        torch.manual_seed(0)
        made: nn.Module = _taken(module, attention)(config, index, *more).double().eval()
        turn = _taken(*rotary)(_halves(config) if rotary == HALVES else config).double() if rotary else None
        with torch.no_grad():
            for name, each in made.named_parameters():
                each.copy_(torch.randn_like(each) * (0.3 if each.dim() == 1 else 0.15) + ("norm" in name))
    return Theirs(made, turn, truths)


def _taken(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"transformers.models.{module}"), name)


def _halves(config: Any) -> Any:
    """Return a configuration that has no more than what rotary tables need."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = {"rope_type": "default", "rope_theta": 500.0}
    return foreign.config("Qwen3Config", head_dim=size, rope_parameters=rope)


class Theirs:
    """A layer of `transformers` and its rotary tables; with `truths` its mask says what is hidden."""

    def __init__(self, module: nn.Module, rotary: nn.Module | None, truths: bool) -> None:
        self.module, self.rotary, self.truths = module, rotary, truths

    def __call__(self, x: Tensor, hidden: Tensor) -> Tensor:
        more: dict[str, Any] = {"position_embeddings": None, "position_bias": None}
        takes = signature(self.module.forward).parameters
        low = torch.zeros(hidden.shape, dtype=x.dtype).masked_fill(hidden, torch.finfo(x.dtype).min)
        mask = hidden if self.truths else low
        places = torch.arange(x.size(1)).unsqueeze(0)
        with foreign.widened(), torch.no_grad():
            if self.rotary is not None:
                more["position_embeddings"] = self.rotary(x, places)
            more = {name: each for name, each in more.items() if name in takes}
            found = self.module(hidden_states=x, attention_mask=mask.expand(x.size(0), 1, -1, -1), **more)
        return found[0] if isinstance(found, tuple) else found


def causal(length: int = T, window: int | None = None) -> Tensor:
    """Return which keys are hidden from a query: those behind it, and those out of its window."""
    hidden = torch.ones(length, length).triu(1).bool()
    return hidden if window is None else hidden | torch.ones(length, length).tril(-window).bool()


def ours(fields: str, weights: Mapping[str, Tensor], width: int = WIDTH) -> nn.Module:
    """Return a model that is one attention layer, with these weights; each is used."""
    model = tfdsl.build(tfdsl.check(spec(fields, width))).double().eval()
    own = {name.removeprefix("attention."): each for name, each in model.named_parameters()}
    assert {name: tuple(each.shape) for name, each in own.items()} == {
        name: tuple(each.shape) for name, each in weights.items()
    }
    with torch.no_grad():
        for name, each in own.items():
            each.copy_(weights[name])
    return model


def spec(fields: str, width: int = WIDTH) -> str:
    """Return the spec of one attention layer."""
    return f"""
tfdsl: 1
name: one
inputs: {{x: {{shape: [B, T, {width}], dtype: float}}}}
model:
  - attention: {{from: x, {fields}}}
"""


def values(width: int = WIDTH) -> Tensor:
    """Return random features."""
    return torch.randn(B, T, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def agree(
    fields: str, theirs: Theirs, weights: Mapping[str, Tensor], hidden: Tensor | None = None, width: int = WIDTH
) -> None:
    """Assert that our layer gives what theirs gives, at once and in cached decoding."""
    model, x = ours(fields, weights, width), values(width)
    with torch.no_grad():
        found, wanted = model(x), theirs(x, causal() if hidden is None else hidden)
        assert float((found - wanted).abs().max()) < 1e-12
        cache, parts = model.new_cache(T), []
        for part in x.split([5, 1, 4, 1, 2], dim=1):
            parts.append(model(part, cache=cache))
    assert float((torch.cat(parts, dim=1) - wanted).abs().max()) < 1e-12
