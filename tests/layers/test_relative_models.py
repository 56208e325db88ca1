"""Positions that add to scores, against attention of transformers in float64, and against the papers' equations."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests import foreign
from tests.layers.test_attention import values
from tests.layers.test_rotary_models import BAR, SIZES, apart
from tfdsl.layers.relative import Alibi, GridBias

WIDTH, HEADS, T = 48, 3, 13


def attention(fields: str, length: str = "T", width: int = WIDTH) -> nn.Module:
    """Return attention alone, [B, T, D] -> [B, T, D], its weights drawn."""
    text = f"""
tfdsl: 1
name: alone
inputs: {{x: {{shape: [B, {length}, {width}], dtype: float}}}}
model: [attention: {{id: y, from: x, {fields}}}]
"""
    torch.manual_seed(0)
    model = tfdsl.build(tfdsl.check(text)).double().eval()
    with torch.no_grad():
        for each in model.parameters():
            each.copy_(0.4 * torch.randn_like(each))
    return model


def foreign_layer(family: str, name: str, config: Any, *more: Any) -> Any:
    """Return a module of a family of transformers in float64, its weights drawn."""
    found: Any = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    config._attn_implementation = "eager"
    with foreign.widened():
        torch.manual_seed(1)
        layer = getattr(found, name)(config, *more).double().eval()
        with torch.no_grad():
            for each in layer.parameters():
                each.copy_(0.4 * torch.randn_like(each))
    return layer


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    own = dict(model.named_parameters())
    assert set(own) == set(weights)
    with torch.no_grad():
        for name, each in weights.items():
            assert own[name].shape == each.shape, name
            own[name].copy_(each)


def projections(w: Mapping[str, Tensor], form: str, out: str, names: str = "qkv") -> dict[str, Tensor]:
    """Return our projections from a foreign layer's, called `form.format("q")` and so on."""
    found = {f"y.qkv.{kind}": torch.cat([w[f"{form.format(each)}.{kind}"] for each in names]) for kind in KINDS}
    return found | {f"y.out.{kind}": w[f"{out}.{kind}"] for kind in KINDS}


KINDS = ("weight", "bias")


@pytest.mark.parametrize("heads", [4, 6])
def test_alibi_is_that_of_mpt(heads: int) -> None:
    sizes = {"d_model": 48, "n_heads": heads, "n_layers": 2, "vocab_size": 61, "max_seq_len": 32}
    config = foreign.config("MptConfig", **sizes, attn_config={"alibi": True, "alibi_bias_max": 8})
    text = f"""
tfdsl: 1
name: mpt
inputs: {{tokens: {{shape: [B, T], vocab: 61}}}}
outputs: {{logits: [B, T, 61]}}
defaults: {{norm: {{type: layer, eps: 1e-5, bias: false}}}}
blocks:
  layer:
    - residual: [norm, attention: {{heads: {heads}, mask: causal, position: alibi}}]
    - residual: [norm, ffn: {{hidden: 192, activation: gelu}}]
model:
  - embed: {{id: tok, from: tokens, width: 48}}
  - repeat: {{block: layer, times: 2}}
  - norm
  - unembed: {{id: logits, tie: tok}}
"""
    theirs, ids = "transformer.blocks.{i}", foreign.tokens(61)
    weights: dict[str, foreign.Given] = {
        "tok.weight": "transformer.wte.weight",
        "layers.{i}.norm_1.weight": f"{theirs}.norm_1.weight",
        "layers.{i}.norm_2.weight": f"{theirs}.norm_2.weight",
        "layers.{i}.attention.qkv.weight": f"{theirs}.attn.Wqkv.weight",
        "layers.{i}.attention.out.weight": f"{theirs}.attn.out_proj.weight",
        "layers.{i}.ffn.up.weight": f"{theirs}.ffn.up_proj.weight",
        "layers.{i}.ffn.down.weight": f"{theirs}.ffn.down_proj.weight",
        "norm.weight": "transformer.norm_f.weight",
    }
    model = foreign.agree(text, foreign.tiny("MptForCausalLM", config), {"input_ids": ids}, weights, ignore="lm_head")
    assert apart(model, ids) <= BAR


@pytest.mark.parametrize("heads", [2, 3, 6, 8, 12])
def test_alibi_slopes_are_those_of_bloom_and_mpt(heads: int) -> None:
    bloom: Any = importlib.import_module("transformers.models.bloom.modeling_bloom")
    with foreign.widened():
        wanted = bloom.build_alibi_tensor(torch.ones(1, T), heads, torch.float64)
    bias = Alibi(heads)(torch.zeros(1, T, 4, dtype=torch.float64))
    torch.testing.assert_close(bias[0, :, -1] - bias[0, :, -1, :1], wanted[:, 0], rtol=1e-12, atol=1e-12)
    assert torch.equal(bias, bias.transpose(2, 3))
    mpt: Any = importlib.import_module("transformers.models.mpt.modeling_mpt")
    with foreign.widened():
        wanted = mpt.build_mpt_alibi_tensor(heads, T, alibi_bias_max=5)
    steep = Alibi(heads, 5.0)(torch.zeros(1, T, 4, dtype=torch.float64))
    torch.testing.assert_close(steep[0, :, -1], wanted[:, 0], rtol=1e-12, atol=1e-12)


def test_alibi_is_scaled_in_falcon() -> None:
    sizes = {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers")}
    config = foreign.config(
        "FalconConfig", **sizes, num_attention_heads=2, alibi=True, multi_query=False, bias=True, parallel_attn=False
    )
    layer = foreign_layer("falcon", "FalconAttention", config, 0)
    model = attention("heads: 2, mask: causal, bias: true, position: {type: alibi, scaled: true}")
    w, x = layer.state_dict(), values(2, T, WIDTH)
    rows = {kind: w[f"query_key_value.{kind}"].view(2, 3, 24, -1).transpose(0, 1) for kind in KINDS}
    found = {f"y.qkv.{kind}": rows[kind].reshape(w[f"query_key_value.{kind}"].shape) for kind in KINDS}
    fill(model, found | {f"y.out.{kind}": w[f"dense.{kind}"] for kind in KINDS})
    falcon: Any = importlib.import_module("transformers.models.falcon.modeling_falcon")
    hidden = torch.full((T, T), -math.inf, dtype=torch.float64).triu(1)[None, None]
    with foreign.widened():
        alibi = falcon.build_alibi_tensor(torch.ones(2, T), 2, torch.float64).view(2, 2, 1, T)
        wanted = layer(x, alibi, hidden)[0]
    torch.testing.assert_close(model(x), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("left", "right"), [(4, 2), (20, 20)])
def test_shaw_is_relative_key(left: int, right: int) -> None:
    """As w2v-BERT 2.0 has it."""
    config = foreign.config(
        "Wav2Vec2BertConfig",
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        position_embeddings_type="relative_key",
        left_max_position_embeddings=left,
        right_max_position_embeddings=right,
    )
    layer, x = foreign_layer("wav2vec2_bert", "Wav2Vec2BertSelfAttention", config), values(2, T, WIDTH)
    ahead = "" if left == right else f", ahead: {right}"
    model = attention(f"heads: {HEADS}, bias: true, position: {{type: shaw, max_distance: {left}{ahead}}}")
    w = layer.state_dict()
    fill(model, projections(w, "linear_{}", "linear_out") | {"y.relative.weight": w["distance_embedding.weight"]})
    with foreign.widened():
        torch.testing.assert_close(model(x), layer(x)[0], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_both_queries_and_keys_may_look_at_distances() -> None:
    """BERT's `relative_key_query` (Huang et al. 2020, equation 18), one pair at a time."""
    model = attention(f"heads: {HEADS}, mask: causal, position: {{type: shaw, max_distance: 3, both: true}}")
    x = values(1, T, WIDTH)
    layer = model.y
    q, k, v = layer.qkv(x[0]).view(T, 3, HEADS, 16).permute(1, 2, 0, 3)
    mixed = torch.zeros(T, HEADS, 16, dtype=torch.float64)
    for head in range(HEADS):
        for t in range(T):
            a = [layer.relative.weight[max(s - t, -3) + 3] for s in range(t + 1)]
            scores = [float(q[head, t] @ k[head, s] + q[head, t] @ a[s] + k[head, s] @ a[s]) / 4 for s in range(t + 1)]
            shares = torch.tensor(scores, dtype=torch.float64).softmax(0)
            mixed[t, head] = shares @ v[head, : t + 1]
    torch.testing.assert_close(model(x)[0], layer.out(mixed.flatten(1)), rtol=1e-10, atol=1e-10)
    assert apart(model, x) <= BAR


@torch.no_grad()
@pytest.mark.parametrize("mask", ["full", "causal"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", ["true", "{q: true, v: true}"])
def test_values_may_have_vectors_for_distances(mask: str, both: bool, bias: str) -> None:
    """Shaw et al. 2018, equations 3 to 5, one pair at a time."""
    more = ", both: true" if both else ""
    position = f"{{type: shaw, max_distance: 3, ahead: 2, values: true{more}}}"
    model = attention(f"heads: {HEADS}, mask: {mask}, bias: {bias}, position: {position}")
    x, layer = values(1, T, WIDTH), model.y
    q, k, v = layer.qkv(x[0]).view(T, 3, HEADS, 16).permute(1, 2, 0, 3)
    if bias != "true":
        q, v = q + layer.q_bias.view(HEADS, 1, 16), v + layer.v_bias.view(HEADS, 1, 16)
    mixed = torch.zeros(T, HEADS, 16, dtype=torch.float64)
    for head in range(HEADS):
        for t in range(T):
            ends = range(t + 1 if mask == "causal" else T)
            rows = [max(min(s - t, 2), -3) + 3 for s in ends]
            a, b = layer.key_rows[rows], layer.value_rows[rows]
            scores = (k[head, : len(ends)] + a) @ q[head, t] / 4
            if both:
                scores = scores + (k[head, : len(ends)] * a).sum(-1) / 4
            mixed[t, head] = scores.softmax(0) @ (v[head, : len(ends)] + b)
    torch.testing.assert_close(model(x)[0], layer.out(mixed.flatten(1)), rtol=1e-10, atol=1e-10)
    if mask == "causal":
        assert apart(model, x) <= BAR


@pytest.mark.parametrize("mask", ["full", "causal"])
def test_transformer_xl_is_what_its_equations_say(mask: str) -> None:
    """Section 3.3: (a) q·k, (b) q·W R, (c) u·k, (d) v·W R, one pair at a time."""
    model, x = attention(f"heads: {HEADS}, mask: {mask}, position: transformer_xl"), values(1, T, WIDTH)
    layer = model.y
    q, k, v = layer.qkv(x[0]).view(T, 3, HEADS, 16).permute(1, 2, 0, 3)
    rates = [10000 ** (-2 * i / WIDTH) for i in range(WIDTH // 2)]
    mixed = torch.zeros(T, HEADS, 16, dtype=torch.float64)
    for t in range(T):
        ends = range(t + 1 if mask == "causal" else T)
        angles = [[(t - s) * rate for rate in rates] for s in ends]
        table = torch.tensor([[*map(math.sin, each), *map(math.cos, each)] for each in angles], dtype=torch.float64)
        places = layer.relative.position(table).view(-1, HEADS, 16)
        for head in range(HEADS):
            content = k[head, : len(ends)] @ (q[head, t] + layer.relative.u[head])
            place = places[:, head] @ (q[head, t] + layer.relative.v[head])
            mixed[t, head] = ((content + place) / 4).softmax(0) @ v[head, : len(ends)]
    torch.testing.assert_close(model(x)[0], layer.out(mixed.flatten(1)), rtol=1e-10, atol=1e-10)
    if mask == "causal":
        assert apart(model, x) <= BAR


def test_transformer_xl_is_that_of_conformers() -> None:
    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "max_source_positions": 40}
    config = foreign.config("Wav2Vec2ConformerConfig", **sizes, position_embeddings_type="relative")
    layer = foreign_layer("wav2vec2_conformer", "Wav2Vec2ConformerSelfAttention", config)
    table = foreign_layer("wav2vec2_conformer", "Wav2Vec2ConformerRelPositionalEmbedding", config)
    model = attention(f"heads: {HEADS}, bias: true, position: {{type: transformer_xl, style: interleaved}}")
    x, w = values(2, T, WIDTH), layer.state_dict()
    found = projections(w, "linear_{}", "linear_out")
    found |= {"y.relative.position.weight": w["linear_pos.weight"]}
    fill(model, found | {f"y.relative.{each}": w[f"pos_bias_{each}"] for each in "uv"})
    with foreign.widened():
        wanted = layer(x, relative_position_embeddings=table(x))[0]
    torch.testing.assert_close(model(x), wanted, rtol=1e-10, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("form", ["log", "power"])
def test_kerple_is_what_its_equations_say(form: str) -> None:
    model, x = attention(f"heads: {HEADS}, mask: causal, position: {{type: kerple, form: {form}}}"), values(1, T, WIDTH)
    layer = model.y
    with torch.no_grad():
        layer.relative.table.strength.copy_(torch.tensor([0.3, 1.2, -1.0], dtype=torch.float64))
        layer.relative.table.growth.copy_(torch.tensor([0.7, 2.5, 0.0], dtype=torch.float64))
    strength, growth = [0.3, 1.2, 0.01], [0.7, 2.5, 0.01]
    q, k, v = layer.qkv(x[0]).view(T, 3, HEADS, 16).permute(1, 2, 0, 3)
    mixed = torch.zeros(T, HEADS, 16, dtype=torch.float64)
    for head in range(HEADS):
        for t in range(T):
            away = torch.arange(t, -1, -1, dtype=torch.float64)
            told = torch.log(1 + growth[head] * away) if form == "log" else away ** min(growth[head], 2)
            mixed[t, head] = (k[head, : t + 1] @ q[head, t] / 4 - strength[head] * told).softmax(0) @ v[head, : t + 1]
    torch.testing.assert_close(model(x)[0], layer.out(mixed.flatten(1)), rtol=1e-10, atol=1e-10)
    assert apart(model, x) <= BAR


@pytest.mark.parametrize("shared", [False, True])
def test_a_grid_is_that_of_beit(shared: bool) -> None:
    """A table with rows for the class token, one for all layers or one a layer."""
    sizes = {"hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = foreign.config(
        "BeitConfig",
        **sizes,
        image_size=16,
        patch_size=4,
        use_shared_relative_position_bias=shared,
        use_relative_position_bias=not shared,
        layer_scale_init_value=0.0,
        use_mean_pooling=False,
        use_mask_token=False,
    )
    share = ", share: ways" if shared else ""
    text = f"""
tfdsl: 1
name: beit
inputs: {{pixels: {{shape: [B, 3, 16, 16], dtype: float}}}}
outputs: {{last: [B, 17, 24]}}
defaults:
  norm: {{type: layer, eps: 1e-12}}
  attention: {{heads: 3, bias: {{q: true, v: true, out: true}}, position: {{type: grid, axes: [4, 4]{share}}}}}
blocks:
  layer: [residual: [norm, attention], residual: [norm, ffn: {{hidden: 20, activation: gelu, bias: true}}]]
model:
  - patch: {{from: pixels, size: 4, width: 24}}
  - prepend: {{id: cls, tokens: 1}}
  - repeat: {{block: layer, times: 2}}
  - norm: {{id: last}}
"""
    theirs = "layers.{i}"
    weights: dict[str, foreign.Given] = {"cls.weight": lambda w: w["embeddings.cls_token"][0]}
    for kind in KINDS:
        weights[f"patch.{kind}"] = f"embeddings.patch_embeddings.projection.{kind}"
        weights[f"last.{kind}"] = f"layernorm.{kind}"
        weights[f"layers.{{i}}.norm_1.{kind}"] = f"{theirs}.layernorm_before.{kind}"
        weights[f"layers.{{i}}.norm_2.{kind}"] = f"{theirs}.layernorm_after.{kind}"
        weights[f"layers.{{i}}.attention.out.{kind}"] = f"{theirs}.attention.o_proj.{kind}"
        weights[f"layers.{{i}}.ffn.up.{kind}"] = f"{theirs}.mlp.fc1.{kind}"
        weights[f"layers.{{i}}.ffn.down.{kind}"] = f"{theirs}.mlp.fc2.{kind}"
    weights["layers.{i}.attention.qkv.weight"] = [f"{theirs}.attention.{each}_proj.weight" for each in "qkv"]
    for each in "qv":
        weights[f"layers.{{i}}.attention.{each}_bias"] = f"{theirs}.attention.{each}_proj.bias"
    table = "relative_position_bias_table"
    own = {"layers.{i}.attention.relative.table.weight": f"{theirs}.relative_position_bias.{table}"}
    weights |= {"ways_bias.weight": f"shared_position_bias.{table}"} if shared else own
    pixels = {"pixel_values": values(2, 3, 16, 16)}
    foreign.agree(text, foreign.tiny("BeitModel", config), pixels, weights, output="last_hidden_state")


@pytest.mark.parametrize("first", [0, 1])
def test_ways_on_a_grid(first: int) -> None:
    """Rows of the table for each pair of squares of a grid that is not square, counted one by one."""
    layer = GridBias(2, 2, 3, first=bool(first))
    with torch.no_grad():
        layer.weight.copy_(torch.arange(layer.weight.numel()).view_as(layer.weight))
    bias = layer(torch.zeros(1, 6 + first, 4))[0, 0] / 2
    for query in range(6):
        for key in range(6):
            down, right = query // 3 - key // 3, query % 3 - key % 3
            assert bias[query + first, key + first] == (down + 1) * 5 + right + 2
    if first:
        assert bias[0].tolist() == [17, *[15] * 6]
        assert bias[1:, 0].tolist() == [16] * 6
