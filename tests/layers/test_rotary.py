"""Rotary angles and their scalings against those of transformers, in float64."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

from tests import foreign
from tests.layers.test_attention import values
from tfdsl.layers.rotary import Rotary, rotate
from tfdsl.rotary import Dynamic, Linear, Llama3, Long, Proportional, Scaling, Yarn, layer

HEAD, THETA, LENGTH = 24, 5000.0, 32
SHORT, LONG = tuple(1 + 0.1 * i for i in range(12)), tuple(1.5 + 0.7 * i for i in range(12))
YARN = {"factor": 6.0, "original_max_position_embeddings": LENGTH}
CASES: dict[str, tuple[Scaling, dict[str, Any]]] = {
    "linear": (Linear(factor=3.0), {"factor": 3.0}),
    "dynamic": (Dynamic(factor=2.5, length=LENGTH), {"factor": 2.5}),
    "yarn": (Yarn(factor=6.0, length=LENGTH), YARN),
    "yarn of gpt-oss": (
        Yarn(factor=6.0, length=LENGTH, beta_fast=8.0, beta_slow=0.5, truncate=False),
        {**YARN, "beta_fast": 8.0, "beta_slow": 0.5, "truncate": False},
    ),
    "yarn of DeepSeek": (
        Yarn(factor=6.0, length=LENGTH, mscale=0.7, mscale_all_dim=1.3),
        {**YARN, "mscale": 0.7, "mscale_all_dim": 1.3},
    ),
    "yarn with a factor": (Yarn(factor=6.0, length=LENGTH, attention_factor=0.9), {**YARN, "attention_factor": 0.9}),
    "yarn of a short length": (Yarn(factor=0.5, length=4), {"factor": 0.5, "original_max_position_embeddings": 4}),
    "llama3": (
        Llama3(factor=8.0, length=LENGTH, low=0.5, high=3.0),
        {"factor": 8.0, "low_freq_factor": 0.5, "high_freq_factor": 3.0, "original_max_position_embeddings": LENGTH},
    ),
    "longrope": (
        Long(short=SHORT, long=LONG, length=LENGTH, factor=4.0),
        {"short_factor": SHORT, "long_factor": LONG, "factor": 4.0, "original_max_position_embeddings": LENGTH},
    ),
    "longrope with a factor": (
        Long(short=SHORT, long=LONG, length=LENGTH, attention_factor=1.25),
        {
            "short_factor": SHORT,
            "long_factor": LONG,
            "factor": 4.0,
            "attention_factor": 1.25,
            "original_max_position_embeddings": LENGTH,
        },
    ),
    "proportional": (Proportional(factor=2.0), {"factor": 2.0, "partial_rotary_factor": 0.3}),
}


def theirs(kind: str, settings: dict[str, Any], length: int) -> tuple[torch.Tensor, float]:
    """Return the angle between neighbours for each pair, and the factor of cosines, as transformers makes them."""
    rope: Any = importlib.import_module("transformers.modeling_rope_utils")
    config = foreign.config(
        "LlamaConfig",
        hidden_size=2 * HEAD,
        num_attention_heads=2,
        head_dim=HEAD,
        max_position_embeddings=LENGTH,
        rope_parameters={"rope_type": kind, "rope_theta": THETA, **settings},
    )
    with foreign.widened():
        return rope.ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)


@pytest.mark.parametrize("style", ["half", "interleaved"])
@pytest.mark.parametrize("length", [20, 50])
@pytest.mark.parametrize("case", CASES)
def test_scalings(case: str, length: int, style: str) -> None:
    scaling, settings = CASES[case]
    rates, factor = theirs(case.split()[0], settings, length)
    call = layer(HEAD, THETA, style, scaling, turned=6 if case == "proportional" else None)
    cos, sin = Rotary(*call.positional, **call.named)(torch.zeros(1, length, 4, dtype=torch.float64))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), rates.double())
    pairs = (slice(None, 12), slice(12, None)) if style == "half" else (slice(0, None, 2), slice(1, None, 2))
    for pair, sign in zip(pairs, (-1, 1), strict=True):
        torch.testing.assert_close(cos[:, pair], angles.cos() * factor, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(sin[:, pair], sign * angles.sin() * factor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("family", "style", "rotated", "reverse"),
    [
        ("llama", "half", None, False),
        ("gpt_neox", "half", 8, False),
        ("nanochat", "half", None, True),
        ("glm", "interleaved", 12, False),
        ("cohere2", "interleaved", None, False),
        ("ernie4_5", "interleaved", None, False),
    ],
)
def test_the_way_that_a_family_turns(family: str, style: str, rotated: int | None, reverse: bool) -> None:
    found: Any = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    q, k, size = values(2, 3, 7, HEAD, seed=1), values(2, 3, 7, HEAD, seed=2), rotated or HEAD
    rates = THETA ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = torch.outer(torch.arange(7, dtype=torch.float64), rates)
    angles = angles.repeat_interleave(2, dim=-1) if family == "cohere2" else torch.cat((angles, angles), dim=-1)
    with foreign.widened():
        wanted = found.apply_rotary_pos_emb(q, k, angles.cos()[None], angles.sin()[None])
    rope = Rotary(size, THETA, style, reverse=reverse)(values(2, 7, 4))
    for x, each in zip((q, k), wanted, strict=True):
        torch.testing.assert_close(rotate(x, rope, style, rotated), each, rtol=1e-12, atol=1e-12)
