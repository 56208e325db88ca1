"""Positions that are added to features, against those of transformers in float64."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests import foreign
from tests.layers.test_attention import values
from tests.layers.test_rotary_models import BAR, SIZES, apart

PAD = 1


def padded(side: str) -> Tensor:
    """Return ids of which some rows begin or end with padding."""
    ids = foreign.tokens(61, batch=3, length=9)
    ids[1, slice(None, 3) if side == "left" else slice(6, None)] = PAD
    ids[2, slice(None, 5) if side == "left" else slice(8, None)] = PAD
    return ids


def added(position: str, ids: Tensor, width: int = 16) -> Tensor:
    """Return what a position adds to the embedding of ids: nothing else is in the model."""
    text = f"""
tfdsl: 1
name: added
inputs: {{ids: {{shape: [B, T], vocab: 61, pad: {PAD}}}}}
model: [embed: {{from: ids, width: {width}}}, position: {position}]
"""
    model = tfdsl.build(tfdsl.check(text)).double()
    with torch.no_grad():
        model.embed.weight.zero_()
        return model(ids)


def module(family: str, name: str, *arguments: Any) -> Any:
    """Return a module of a family of transformers, made in float64."""
    found: Any = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    with foreign.widened():
        return getattr(found, name)(*arguments)


def run(layer: nn.Module, *arguments: Any, **named: Any) -> Tensor:
    with foreign.widened(), torch.no_grad():
        return layer(*arguments, **named)


T2T = "type: sinusoidal, style: concatenated, inclusive: true"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["m2m_100", "speech_to_text", "fsmt"])
def test_sines_that_skip_padding(family: str, side: str) -> None:
    """M2M-100, NLLB, Speech2Text and FSMT number what is no padding from the padding's id + 1 on."""
    names = {"m2m_100": "M2M100", "speech_to_text": "Speech2Text", "fsmt": ""}
    name = f"{names[family]}Sinusoidal" + ("PositionalEmbedding" if family != "fsmt" else "PositionalEmbedding")
    layer, ids = module(family, name, 30, 16, PAD), padded(side)
    if family == "fsmt":
        with foreign.widened():
            layer.make_weight(30, 16, PAD)
    found = added(f"{{{T2T}, padding: skipped, offset: {PAD + 1}}}", ids)
    torch.testing.assert_close(found, run(layer, ids), rtol=1e-12, atol=1e-12)


def test_sines_of_other_families() -> None:
    ids = foreign.tokens(61, length=9)
    places = torch.arange(9)[None].expand(2, -1)
    xglm = run(module("xglm", "XGLMSinusoidalPositionalEmbedding", 30, 16, PAD), places)
    torch.testing.assert_close(added(f"{{{T2T}, offset: 2}}", ids), xglm, rtol=1e-12, atol=1e-12)
    found: Any = importlib.import_module("transformers.models.whisper.modeling_whisper")
    with foreign.widened():
        whisper = found.sinusoids(9, 16)
    torch.testing.assert_close(added(f"{{{T2T}}}", ids)[0], whisper, rtol=1e-12, atol=1e-12)
    musicgen = run(module("musicgen", "MusicgenSinusoidalPositionalEmbedding", 30, 16), ids[:, None])
    cosines = added("{type: sinusoidal, style: cosines_first, inclusive: true}", ids)
    torch.testing.assert_close(cosines[0], musicgen, rtol=1e-12, atol=1e-12)
    table = module("marian", "MarianSinusoidalPositionalEmbedding", 30, 16).double()
    made = table.create_weight()  # float32 by its own code
    marian = added("{type: sinusoidal, style: concatenated}", ids)
    torch.testing.assert_close(marian[0], made[:9].double(), rtol=1e-6, atol=1e-6)
    scaled = added("{type: sinusoidal, style: concatenated, scale: 0.25}", ids)
    torch.testing.assert_close(scaled * 4, marian, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("head", [0, 1])
def test_sines_of_squares(head: int) -> None:
    """The rows' half first, and the columns' half first as in MAE; with and without a class token."""
    found: Any = importlib.import_module("transformers.models.vit_mae.modeling_vit_mae")
    rows = found.build_2d_sinusoidal_position_embedding(3, 4, 24, cls_token=bool(head), dtype=torch.float64)
    text = """
tfdsl: 1
name: squares
inputs: {{x: {{shape: [B, {length}, {width}], dtype: float}}}}
model: [position: {{from: x, type: sinusoidal, axes: {axes}, style: concatenated{more}}}]
"""
    x = torch.zeros(1, 12 + head, 24, dtype=torch.float64)
    halves = torch.cat((rows[:, 12:], rows[:, :12]), dim=1)
    for more, wanted in (("", halves), (", rows_first: true", rows)):
        model = tfdsl.build(tfdsl.check(text.format(length=12 + head, width=24, axes="[3, 4]", more=more)))
        torch.testing.assert_close(model(x)[0], wanted, rtol=1e-12, atol=1e-12)
    flat = tfdsl.build(tfdsl.check(text.format(length=6, width=8, axes="[2, 3]", more=", inclusive: true")))
    for place, row in enumerate(flat(torch.zeros(1, 6, 8, dtype=torch.float64))[0].tolist()):
        angles = [side * rate for side in (place % 3, place // 3) for rate in (1, 1e-4)]
        x_sin, x_cos = np.sin(angles[:2]).tolist(), np.cos(angles[:2]).tolist()
        y_sin, y_cos = np.sin(angles[2:]).tolist(), np.cos(angles[2:]).tolist()
        assert row == pytest.approx([*x_sin, *x_cos, *y_sin, *y_cos], abs=1e-14)


def test_rows_and_columns_that_learn() -> None:
    text = """
tfdsl: 1
name: squares
inputs: {x: {shape: [B, 7, 4], dtype: float}}
model: [position: {from: x, type: learned, axes: [2, 3]}]
"""
    model, x = tfdsl.build(tfdsl.check(text)).double(), values(1, 7, 4)
    for each in model.parameters():
        nn.init.normal_(each)
    layer, found = model.position, model(x) - x
    assert torch.equal(found[0, 0], torch.zeros(4, dtype=torch.float64))
    for place in range(6):
        torch.testing.assert_close(found[0, place + 1], layer.rows[place // 3] + layer.columns[place % 3])


DECODER = """
tfdsl: 1
name: opt
inputs: {{tokens: {{shape: [B, T], vocab: 61, pad: 1}}}}
outputs: {{logits: [B, T, 61]}}
defaults:
  norm: {{type: layer, eps: 1e-5}}
  attention: {{heads: 3, mask: causal, bias: true}}
  ffn: {{hidden: 40, activation: relu, bias: true}}
blocks:
  layer: [residual: [norm, attention], residual: [norm, ffn]]
model:
  - embed: {{id: tok, from: tokens, width: 48}}
  - position: {{type: learned, length: 32, offset: 2, padding: {padding}}}
  - repeat: {{block: layer, times: 2}}
  - norm
  - unembed: {{id: logits, tie: tok}}
"""


@pytest.mark.parametrize("side", ["left", "right", "none"])
def test_opt_numbers_what_is_no_padding(side: str) -> None:
    sizes = {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    config = foreign.config(
        "OPTConfig", **sizes, ffn_dim=40, max_position_embeddings=32, word_embed_proj_dim=48, pad_token_id=PAD
    )
    theirs = "model.decoder.layers.{i}"
    weights: dict[str, foreign.Given] = {
        "tok.weight": "model.decoder.embed_tokens.weight",
        "position.weight": "model.decoder.embed_positions.weight",
    }
    for kind in ("weight", "bias"):
        weights[f"layers.{{i}}.norm_1.{kind}"] = f"{theirs}.self_attn_layer_norm.{kind}"
        weights[f"layers.{{i}}.norm_2.{kind}"] = f"{theirs}.final_layer_norm.{kind}"
        weights[f"layers.{{i}}.attention.qkv.{kind}"] = [f"{theirs}.self_attn.{each}_proj.{kind}" for each in "qkv"]
        weights[f"layers.{{i}}.attention.out.{kind}"] = f"{theirs}.self_attn.out_proj.{kind}"
        weights[f"layers.{{i}}.ffn.up.{kind}"] = f"{theirs}.fc1.{kind}"
        weights[f"layers.{{i}}.ffn.down.{kind}"] = f"{theirs}.fc2.{kind}"
        weights[f"norm.{kind}"] = f"model.decoder.final_layer_norm.{kind}"
    ids = foreign.tokens(61, length=9) if side == "none" else padded(side)
    keep = ids != PAD
    model = foreign.agree(
        DECODER.format(padding="skipped"),
        foreign.tiny("OPTForCausalLM", config),
        {"input_ids": ids, "attention_mask": keep.long()},
        weights,
        ours=[ids],
        valid=keep,
        ignore="lm_head",
    )
    assert apart(model, ids) <= BAR
    counted = tfdsl.build(tfdsl.check(DECODER.format(padding="counted"))).double()
    counted.load_state_dict(model.state_dict())
    assert torch.allclose(model(ids)[keep], counted(ids)[keep]) == (side != "left")


@pytest.mark.parametrize("side", ["left", "right"])
def test_roberta_numbers_what_is_no_padding(side: str) -> None:
    sizes = {**SIZES, "pad_token_id": PAD, "max_position_embeddings": 34, "type_vocab_size": 1}
    config = foreign.config("RobertaConfig", **sizes, layer_norm_eps=1e-5)
    theirs, ids = foreign.tiny("RobertaModel", config), padded(side)
    names = theirs.state_dict()
    text = """
tfdsl: 1
name: embeddings
inputs: {tokens: {shape: [B, T], vocab: 61, pad: 1}}
model:
  - embed: {from: tokens, width: 48}
  - position: {type: learned, length: 32, offset: 2, padding: skipped}
  - norm: {type: layer, eps: 1e-5}
"""
    model = tfdsl.build(tfdsl.check(text)).double()
    given: dict[str, foreign.Given] = {
        "embed.weight": lambda w: w["embeddings.word_embeddings.weight"] + w["embeddings.token_type_embeddings.weight"],
        "position.weight": "embeddings.position_embeddings.weight",
        **{f"norm.{kind}": f"embeddings.LayerNorm.{kind}" for kind in ("weight", "bias")},
    }
    foreign.fill(model, names, given, ignore="encoder|pooler|_ids")
    wanted = run(theirs.embeddings, input_ids=ids)
    torch.testing.assert_close(model(ids), wanted, rtol=1e-11, atol=1e-11)


def test_a_table_in_two_places_and_positions_before_added_tokens() -> None:
    text = """
tfdsl: 1
name: twice
inputs: {tokens: {shape: [B, T], vocab: 61, pad: 1}}
model:
  - embed: {from: tokens, width: 48}
  - position: {id: places, type: learned, length: 32}
  - prepend: 2
  - attention: {heads: 3, mask: causal}
  - position: {type: learned, length: 32, tie: places}
  - attention: {heads: 3, mask: causal, position: rope}
"""
    model, ids = tfdsl.build(tfdsl.check(text)).double().eval(), padded("right")
    for each in model.parameters():
        nn.init.normal_(each)
    assert model.position.weight is model.places.weight
    cache, parts = model.new_cache(11), []
    with torch.no_grad():
        for part in ids.split([1, 3, 1, 4], dim=1):
            parts.append(model(part, cache=cache))
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-10, atol=1e-10)
