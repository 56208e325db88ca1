"""Published models' beginnings (convolutions, overlapping patches, films), and heads that look several tokens ahead."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import tfdsl
from tests import foreign
from tests.ends import DEFAULTS, IMAGES, PRE, VOCAB, pair, vit
from tests.six import spread
from tests.test_primitives import same, values

LAYERS = """  - repeat: {block: layer, times: 2}
  - norm
"""
WHISPER = f"""tfdsl: 1
name: whisper
inputs: {{mels: {{shape: [B, 8, 18], dtype: float}}}}
outputs: {{logits: [B, 5]}}
defaults:
  attention: {{heads: 4, bias: {{q: true, v: true, out: true}}}}
  ffn: {{hidden: 40, activation: gelu, bias: true}}
{PRE}
model:
  - rearrange: {{from: mels, pattern: b c t -> b t c}}
  - conv: {{id: first, kernel: 3, width: 32, padding: 1}}
  - activation: gelu
  - conv: {{id: second, kernel: 3, stride: 2, padding: 1}}
  - activation: gelu
  - position: {{id: places, type: learned}}
{LAYERS}
  - linear: {{id: project, width: 12, bias: true}}
  - pool: mean
  - linear: {{id: logits, width: 5, bias: true}}
"""


def test_whispers_stem() -> None:
    sizes = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 40, "vocab_size": 50}
    more = {"num_mel_bins": 8, "max_source_positions": 9, "num_labels": 5, "classifier_proj_size": 12}
    config = foreign.config("WhisperConfig", **sizes, **more, decoder_layers=1)
    theirs = foreign.tiny("WhisperForAudioClassification", config)
    layer = "encoder.layers.{i}"
    weights: dict[str, foreign.Given] = {
        "places.weight": "encoder.embed_positions.weight",
        "layers.{i}.attention.qkv.weight": [f"{layer}.self_attn.{each}_proj.weight" for each in "qkv"],
        "layers.{i}.attention.q_bias": f"{layer}.self_attn.q_proj.bias",
        "layers.{i}.attention.v_bias": f"{layer}.self_attn.v_proj.bias",
    }
    weights |= pair("layers.{i}.attention.out", f"{layer}.self_attn.out_proj")
    weights |= pair("layers.{i}.norm_1", f"{layer}.self_attn_layer_norm")
    weights |= pair("layers.{i}.norm_2", f"{layer}.final_layer_norm")
    weights |= pair("layers.{i}.ffn.up", f"{layer}.fc1") | pair("layers.{i}.ffn.down", f"{layer}.fc2")
    weights |= pair("first", "encoder.conv1") | pair("second", "encoder.conv2") | pair("norm", "encoder.layer_norm")
    weights |= pair("project", "projector") | pair("logits", "classifier")
    foreign.agree(WHISPER, theirs, {"input_features": values(2, 8, 18)}, weights)


SPECTRUM = f"""tfdsl: 1
name: spectrum
inputs: {{sound: {{shape: [B, 14, 9], dtype: float}}}}
outputs: {{logits: [B, 5]}}
{DEFAULTS}{PRE}
model:
  - rearrange: {{from: sound, pattern: b t f -> b 1 f t}}
  - patch: {{size: 4, stride: [2, 3], width: 32}}
  - prepend: {{id: teacher, tokens: 1}}
  - prepend: {{id: class, tokens: 1}}
  - position: {{id: places, type: learned}}
{LAYERS}
  - slice: {{axis: 1, stop: 2}}
  - pool: mean
  - norm: {{id: last}}
  - linear: {{id: logits, width: 5, bias: true}}
"""


def test_patches_of_sound_that_overlap() -> None:
    sound = {"time_stride": 3, "frequency_stride": 2, "max_length": 14, "num_mel_bins": 9, "num_labels": 5}
    sizes = {name: size for name, size in IMAGES.items() if name != "image_size"}
    theirs = foreign.tiny("ASTForAudioClassification", foreign.config("ASTConfig", **sizes, **sound))
    inner = "audio_spectrogram_transformer"
    weights: dict[str, foreign.Given] = {
        "class_.weight": lambda w: w[f"{inner}.embeddings.cls_token"][0],
        "teacher.weight": lambda w: w[f"{inner}.embeddings.distillation_token"][0],
        "places.weight": lambda w: w[f"{inner}.embeddings.position_embeddings"][0],
    }
    weights |= pair("patch", f"{inner}.embeddings.patch_embeddings.projection") | vit(f"{inner}.layers.{{i}}")
    weights |= pair("norm", f"{inner}.layernorm") | pair("logits", "classifier.dense")
    weights |= pair("last", "classifier.layernorm")
    foreign.agree(SPECTRUM, theirs, {"input_values": values(2, 14, 9)}, weights)


FILM = f"""tfdsl: 1
name: film
inputs: {{film: {{shape: [B, 4, 3, 8, 8], dtype: float}}}}
outputs: {{logits: [B, 5]}}
{DEFAULTS}{PRE}
model:
  - rearrange: {{from: film, pattern: b f c h w -> b c f h w}}
  - patch: {{size: [2, 4, 4], width: 32}}
  - prepend: {{id: class, tokens: 1}}
  - position: {{id: places, type: learned}}
{LAYERS}
  - pool: first
  - linear: {{id: logits, width: 5, bias: true}}
"""


def test_boxes_of_a_film() -> None:
    film = {
        **IMAGES,
        "image_size": 8,
        "num_frames": 4,
        "tubelet_size": [2, 4, 4],
        "num_labels": 5,
        "hidden_act": "gelu",
    }
    del film["patch_size"]
    theirs = foreign.tiny("VivitForVideoClassification", foreign.config("VivitConfig", **film))
    weights: dict[str, foreign.Given] = {
        "class_.weight": lambda w: w["vivit.embeddings.cls_token"][0],
        "places.weight": lambda w: w["vivit.embeddings.position_embeddings"][0],
    }
    weights |= pair("patch", "vivit.embeddings.patch_embeddings.projection") | vit("vivit.layers.{i}")
    weights |= pair("norm", "vivit.layernorm") | pair("logits", "classifier")
    foreign.agree(FILM, theirs, {"pixel_values": values(2, 4, 3, 8, 8)}, weights)


# -- several tokens ahead ---------------------------------------------------------------------------------------------

AHEAD = f"""tfdsl: 1
name: ahead
inputs: {{tokens: {{shape: [B, T], vocab: {VOCAB}}}}}
outputs: {{logits: [B, T, {VOCAB}], second: [B, T - 1, {VOCAB}], third: [B, T, {VOCAB}]}}
defaults:
  norm: {{type: rms, eps: 1e-3}}
  attention: {{heads: 4, mask: causal}}
  ffn: {{hidden: 40, activation: swiglu}}
{PRE}
model:
  trunk:
    - embed: {{id: words, from: tokens, width: 32}}
    - repeat: {{block: layer, times: 2}}
  first:
    - norm: {{from: trunk}}
    - unembed: {{id: logits, width: {VOCAB}}}
  ahead:                                              # DeepSeek-V3, equations 21 to 24
    - slice: {{id: now, from: trunk, axis: 1, stop: -1}}
    - slice: {{id: next, from: words, axis: 1, start: 1}}
    - concat: [[norm: {{id: of_now, from: now}}], [norm: {{id: of_next, from: next}}]]
    - linear: {{id: join, width: 32}}
    - use: {{id: module, block: layer}}
    - norm: {{id: last}}
    - unembed: {{id: second, tie: logits}}
  medusa:                                             # arXiv:2401.10774, section 2.1
    - residual: {{from: trunk, body: [linear: {{id: guess, width: 32, bias: true}}, activation: silu]}}
    - unembed: {{id: third, width: {VOCAB}}}
"""


def test_heads_that_look_ahead() -> None:
    model = spread(tfdsl.build(tfdsl.check(AHEAD))).double()
    w = dict(model.named_parameters())
    parts = dict(model.named_modules())
    tokens = foreign.tokens(VOCAB)

    def rms(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * w[f"{name}.weight"]

    words = F.embedding(tokens, w["trunk.words.weight"])
    hidden = words
    for layer in parts["trunk.layers"]:  # type: ignore[attr-defined]
        hidden = layer(hidden)
    same(model(tokens)["logits"], rms(hidden, "first.norm") @ w["first.logits.weight"].t())
    both = torch.cat((rms(hidden[:, :-1], "ahead.of_now"), rms(words[:, 1:], "ahead.of_next")), dim=-1)
    ahead = parts["ahead.module"](both @ w["ahead.join.weight"].t())
    same(model(tokens)["second"], rms(ahead, "ahead.last") @ w["first.logits.weight"].t())
    guess = hidden + F.silu(hidden @ w["medusa.guess.weight"].t() + w["medusa.guess.bias"])
    same(model(tokens)["third"], guess @ w["medusa.third.weight"].t())


LATENTS = """tfdsl: 1
name: latents
inputs: {x: {shape: [B, T, 24], dtype: float}, mask: {shape: [B, T], keeps: x}}
defaults: {attention: {heads: 4, bias: true}, ffn: {hidden: 48, bias: true}}
blocks:
  read: [residual: [norm, attention: {kv: seen}], residual: [norm, ffn]]
model:
  seen: [norm: {from: x}]
  read:
    - parameter: {id: queries, shape: [5, 32], batch: x}
    - repeat: {block: read, times: 2}
    - residual: [norm, attention]
"""


def test_learned_queries_read_from_a_padded_sequence() -> None:
    """A Perceiver's, or a Q-Former's: what is padded is not read."""
    model = spread(tfdsl.build(tfdsl.check(LATENTS))).double()
    x = values(2, 7, 24)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    found = model(x, mask)
    assert found.shape == (2, 5, 32)
    same(found[:1], model(x[:1, :4], mask[:1, :4]))


CLASS_ATTENTION = """tfdsl: 1
name: class_attention
inputs: {x: {shape: [B, 9, 32], dtype: float}}
defaults: {residual: {gate: channel}}
blocks:
  layer:
    - residual:
        - concat: {with: x, axis: 1}
        - norm: {id: all}
        - slice: {axis: 1, stop: 1}
        - attention: {heads: 4, kv: all, bias: true}
    - residual: [norm, ffn: 64]
model:
  - parameter: {shape: [1, 32], batch: x}
  - repeat: {block: layer, times: 2}
"""


def test_class_attention_by_its_equations() -> None:
    """CaiT (arXiv:2103.17239), equations 1 to 5: queries of the class token, keys and values of it and the patches."""
    model = spread(tfdsl.build(tfdsl.check(CLASS_ATTENTION))).double()
    w, x = dict(model.named_parameters()), values(2, 9, 32)

    def linear(x: Tensor, name: str, bias: bool = True) -> Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"] if bias else None)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (32,), w[f"{name}.weight"], w[f"{name}.bias"])

    token = w["parameter.weight"].expand(2, -1, -1)
    for layer in ("layers.0", "layers.1"):
        z = norm(torch.cat((token, x), dim=1), f"{layer}.all")
        q = linear(z[:, :1], f"{layer}.attention.q").unflatten(-1, (4, 8)).transpose(1, 2)
        k, v = linear(z, f"{layer}.attention.kv").unflatten(-1, (2, 4, 8)).permute(2, 0, 3, 1, 4)
        read = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1) @ v
        token = token + w[f"{layer}.residual_1.weight"] * linear(
            read.transpose(1, 2).flatten(2), f"{layer}.attention.out"
        )
        h = F.gelu(linear(norm(token, f"{layer}.norm"), f"{layer}.ffn.up", bias=False))
        token = token + w[f"{layer}.residual_2.weight"] * linear(h, f"{layer}.ffn.down", bias=False)
    same(model(x), token)
