"""Rotary angles and their scalings against those of transformers, in float64."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

from tests import foreign
from tests.layers.test_attention import values
from tfdsl.layers.rotary import AxialRotary, Rotary, rotate
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


def test_squares_turn_as_in_dinov3() -> None:
    config = foreign.config("DINOv3ViTConfig", hidden_size=2 * HEAD, num_attention_heads=2, image_size=24, patch_size=8)
    found: Any = importlib.import_module("transformers.models.dinov3_vit.modeling_dinov3_vit")
    q, k = values(2, 2, 15, HEAD, seed=1), values(2, 2, 15, HEAD, seed=2)
    with foreign.widened():
        tables = found.DINOv3ViTRopePositionEmbedding(config).double().eval()
        cos, sin = tables(torch.zeros(1, 3, 24, 32))
        wanted = found.apply_rotary_pos_emb(q, k, cos, sin)
    rope = AxialRotary(HEAD, 3, 4, config.rope_theta, rates="centred")(values(2, 15, 4))
    for x, each in zip((q, k), wanted, strict=True):
        torch.testing.assert_close(rotate(x, rope, "half", None), each, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("family", "config", "name", "rates"),
    [
        ("pixtral", "PixtralVisionConfig", "PixtralVisionRotaryEmbedding", "dealt"),
        ("qwen2_vl", "Qwen2VLVisionConfig", "Qwen2VLVisionRotaryEmbedding", "split"),
    ],
)
def test_squares_turn_as_in_pixtral_and_qwen(family: str, config: str, name: str, rates: str) -> None:
    """Pixtral deals the rates of a head to rows and columns; Qwen2-VL gives both those of half a head."""
    found: Any = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    width = {"embed_dim": 2 * HEAD, "num_heads": 2} if family == "qwen2_vl" else {"hidden_size": 2 * HEAD}
    heads = {} if family == "qwen2_vl" else {"num_attention_heads": 2}
    places = torch.tensor([(row, column) for row in range(3) for column in range(4)])
    with foreign.widened():
        tables = getattr(found, name)(foreign.config(config, **width, **heads)).double()
        cos, sin = tables(values(1, 12, 4), places.t()[None])
    found_cos, found_sin = AxialRotary(HEAD, 3, 4, 10000.0, rates=rates)(values(1, 12, 4))
    torch.testing.assert_close(found_cos, cos.view(12, HEAD), rtol=1e-12, atol=1e-12)
    signed = torch.cat((-sin.view(12, HEAD)[:, : HEAD // 2], sin.view(12, HEAD)[:, HEAD // 2 :]), dim=1)
    torch.testing.assert_close(found_sin, signed, rtol=1e-12, atol=1e-12)


def test_squares_may_be_numbered_from_one_and_columns_come_first() -> None:
    """As in the images of Llama 4."""
    found: Any = importlib.import_module("transformers.models.llama4.modeling_llama4")
    sizes = {"hidden_size": 2 * HEAD, "num_attention_heads": 2, "image_size": 24, "patch_size": 8}
    with foreign.widened():
        turned = found.Llama4VisionRotaryEmbedding._compute_freqs_ci(foreign.config("Llama4VisionConfig", **sizes))
    table = torch.view_as_real(turned[:-1, 0].to(torch.complex128))  # their class token is the last
    cos, sin = AxialRotary(HEAD, 3, 3, 10000.0, first=1, columns_first=True, style="interleaved")(values(1, 9, 4))
    torch.testing.assert_close(cos[:, ::2], table[..., 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sin[:, 1::2], table[..., 1], rtol=1e-12, atol=1e-12)
