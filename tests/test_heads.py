"""Published models' ends, rebuilt: heads, poolers, towers and stems, each against `transformers` in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests import foreign

VOCAB = 50
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
    "layer_norm_eps": 2e-3,
}
IMAGES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "image_size": 16,
    "patch_size": 4,
    "layer_norm_eps": 2e-3,
}
DEFAULTS = """defaults:
  norm: {eps: 2e-3}
  attention: {heads: 4, bias: true}
  ffn: {hidden: 40, activation: gelu, bias: true}
"""
CLIPS = {"norm_1": "layer_norm1", "norm_2": "layer_norm2", "attention": "self_attn", "out": "out_proj"}
POST = """blocks:
  layer: [residual: [attention], norm, residual: [ffn], norm]
"""
PRE = """blocks:
  layer: [residual: [norm, attention], residual: [norm, ffn]]
"""


def batch(padded: int = 3, side: str = "right") -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, the kinds of them, and a mask with some padding in the first row."""
    tokens = foreign.tokens(VOCAB)
    kinds = torch.randint(0, 2, tokens.shape, generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(tokens)
    mask[0, slice(13 - padded, None) if side == "right" else slice(padded)] = 0
    return tokens, kinds, mask


def pixels() -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def pair(ours: str, theirs: str, bias: bool = True) -> dict[str, foreign.Given]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in (("weight", "bias") if bias else ("weight",))}


def rows(ours: str, theirs: str, *names: str) -> dict[str, foreign.Given]:
    return {f"{ours}.{part}": [f"{theirs}.{name}.{part}" for name in names] for part in ("weight", "bias")}


# -- text -------------------------------------------------------------------------------------------------------------


def bert(prefix: str, home: str) -> dict[str, foreign.Given]:
    """Return where the weights of BERT's embeddings and layers are; ours stand in the stream `home`."""
    inner, layer, ours = f"{prefix}.embeddings", f"{prefix}.encoder.layer.{{i}}", f"{home}layers.{{i}}"
    found: dict[str, foreign.Given] = {
        f"{home}words.weight": f"{inner}.word_embeddings.weight",
        f"{home}kinds.weight": f"{inner}.token_type_embeddings.weight",
        f"{home}places.weight": f"{inner}.position_embeddings.weight",
    }
    found |= pair(f"{home}norm", f"{inner}.LayerNorm")
    found |= rows(f"{ours}.attention.qkv", f"{layer}.attention.self", "query", "key", "value")
    found |= pair(f"{ours}.attention.out", f"{layer}.attention.output.dense")
    found |= pair(f"{ours}.norm_1", f"{layer}.attention.output.LayerNorm")
    found |= pair(f"{ours}.ffn.up", f"{layer}.intermediate.dense") | pair(f"{ours}.ffn.down", f"{layer}.output.dense")
    return found | pair(f"{ours}.norm_2", f"{layer}.output.LayerNorm")


ENCODER = f"""tfdsl: 1
name: encoder
inputs:
  tokens: {{shape: [B, T], vocab: {VOCAB}}}
  kinds: {{shape: [B, T], vocab: 2}}
  mask: {{shape: [B, T], keeps: tokens}}
OUTPUTS
{DEFAULTS}{POST}
model:
  encoder:
    - sum:
        - [embed: {{id: words, from: tokens, width: WIDTH}}]
        - [embed: {{id: kinds, from: kinds, width: WIDTH}}]
    - position: {{id: places, type: learned, length: 24}}
    - norm
PROJECT
    - repeat: {{block: layer, times: 2}}
"""


def encoder(outputs: str, heads: str, width: int = 32, project: str = "") -> str:
    """Return BERT's encoder with these heads."""
    text = ENCODER.replace("OUTPUTS", f"outputs: {outputs}").replace("WIDTH", str(width))
    return text.replace("PROJECT\n", project).replace("id: kinds, from", "id: kind, from") + heads


def agrees(spec: str, theirs: Any, weights: dict[str, foreign.Given], **more: Any) -> None:
    """Compare a spec over tokens, kinds and a mask with a foreign model."""
    tokens, kinds, mask = batch()
    weights = {name.replace("kinds.weight", "kind.weight"): each for name, each in weights.items()}
    inputs = {"input_ids": tokens, "token_type_ids": kinds, "attention_mask": mask}
    foreign.agree(spec, theirs, inputs, weights, ours=(tokens, kinds, mask), **more)


def test_span_extraction() -> None:
    theirs = foreign.tiny("BertForQuestionAnswering", foreign.config("BertConfig", **SIZES))
    spec = encoder(
        "{start: [B, T], end: [B, T]}",
        """
  span:
    - linear: {id: both, from: encoder, width: 2, bias: true}
    - slice: {id: start, from: both, at: 0}
    - slice: {id: end, from: both, at: 1}
""",
    )
    weights = bert("bert", "encoder.") | pair("span.both", "qa_outputs")
    for ours, output in (("start", "start_logits"), ("end", "end_logits")):
        agrees(spec, theirs, weights, output=output, result=ours)


def test_token_classification() -> None:
    theirs = foreign.tiny("BertForTokenClassification", foreign.config("BertConfig", **SIZES, num_labels=5))
    spec = encoder("{logits: [B, T, 5]}", "  head: [linear: {id: logits, from: encoder, width: 5, bias: true}]\n")
    agrees(spec, theirs, bert("bert", "encoder.") | pair("head.logits", "classifier"))


def test_whether_a_token_was_replaced() -> None:
    theirs = foreign.tiny("ElectraForPreTraining", foreign.config("ElectraConfig", **SIZES, embedding_size=16))
    head = """
  head:
    - linear: {id: dense, from: encoder, width: 32, bias: true}
    - activation: gelu
    - linear: {id: score, width: 1, bias: true}
    - rearrange: {id: logits, pattern: b t 1 -> b t}
"""
    spec = encoder("{logits: [B, T]}", head, 16, "    - linear: {id: wide, width: 32, bias: true}\n")
    weights = bert("electra", "encoder.") | pair("encoder.wide", "electra.embeddings_project")
    theirs_head = "discriminator_predictions"
    weights |= pair("head.dense", f"{theirs_head}.dense") | pair("head.score", f"{theirs_head}.dense_prediction")
    agrees(spec, theirs, weights)


ROBERTA = f"""tfdsl: 1
name: roberta
inputs:
  tokens: {{shape: [B, T], vocab: {VOCAB}, pad: 1}}
  places: {{shape: [B, T], vocab: 24}}
outputs: {{logits: [B, 5]}}
{DEFAULTS}{POST}
model:
  - parameter: {{id: kind, shape: [1, 32]}}
  - sum:
      - [embed: {{id: words, from: tokens, width: 32}}]
      - [embed: {{id: place, from: places, width: 32}}]
      - [slice: {{from: kind, axis: 0, at: 0}}]
  - norm
  - repeat: {{block: layer, times: 2}}
  - pool: first
  - linear: {{id: dense, width: 32, bias: true}}
  - activation: tanh
  - linear: {{id: logits, width: 5, bias: true}}
"""


def test_sequence_classification_from_the_first_position_with_places_as_an_input() -> None:
    config = foreign.config("RobertaConfig", **SIZES, num_labels=5, pad_token_id=1, type_vocab_size=1)
    theirs = foreign.tiny("RobertaForSequenceClassification", config)
    tokens = foreign.tokens(VOCAB)
    tokens[0, 10:] = 1
    real = (tokens != 1).long()
    places = real.cumsum(1) * real + 1
    weights = bert("roberta", "")
    weights["place.weight"] = weights.pop("places.weight")
    weights["kind.weight"] = weights.pop("kinds.weight")
    weights |= pair("dense", "classifier.dense") | pair("logits", "classifier.out_proj")
    foreign.agree(ROBERTA, theirs, {"input_ids": tokens, "attention_mask": real}, weights, ours=(tokens, places))


GPT2 = f"""tfdsl: 1
name: gpt2
inputs: {{tokens: {{shape: [B, T], vocab: {VOCAB}, pad: 0}}}}
outputs: {{logits: [B, 5]}}
defaults:
  norm: {{eps: 2e-3}}
  attention: {{heads: 4, bias: true, mask: causal}}
  ffn: {{hidden: 128, activation: gelu_tanh, bias: true}}
{PRE}
model:
  - embed: {{id: words, from: tokens, width: 32}}
  - position: {{id: places, type: learned, length: 24}}
  - repeat: {{block: layer, times: 2}}
  - norm
  - pool: last
  - linear: {{id: logits, width: 5}}
"""


def test_sequence_classification_from_the_last_position() -> None:
    config = foreign.config(
        "GPT2Config", vocab_size=VOCAB, n_positions=24, n_embd=32, n_layer=2, n_head=4, num_labels=5, pad_token_id=0,
        layer_norm_epsilon=2e-3,
    )  # fmt: skip
    tokens = foreign.tokens(VOCAB)
    tokens[0, 9:] = 0
    inner, layer = "transformer", "transformer.h.{i}"
    weights: dict[str, foreign.Given] = {"words.weight": f"{inner}.wte.weight", "places.weight": f"{inner}.wpe.weight"}
    weights |= pair("norm", f"{inner}.ln_f") | pair("logits", "score", bias=False)
    for ours, name in (("norm_1", "ln_1"), ("norm_2", "ln_2")):
        weights |= pair(f"layers.{{i}}.{ours}", f"{layer}.{name}")
    for ours, name in (
        ("attention.qkv", "attn.c_attn"),
        ("attention.out", "attn.c_proj"),
        ("ffn.up", "mlp.c_fc"),
        ("ffn.down", "mlp.c_proj"),
    ):
        weights[f"layers.{{i}}.{ours}.bias"] = f"{layer}.{name}.bias"
        weights[f"layers.{{i}}.{ours}.weight"] = lambda w, i, name=name: w[f"{inner}.h.{i}.{name}.weight"].t()
    theirs = foreign.tiny("GPT2ForSequenceClassification", config)
    foreign.agree(GPT2, theirs, {"input_ids": tokens}, weights, ours=(tokens,))


# -- images -----------------------------------------------------------------------------------------------------------


def vit(layer: str, ours: str = "layers.{i}", **names: str) -> dict[str, foreign.Given]:
    """Return where the weights of a ViT's layers are."""
    known = {
        "norm_1": "layernorm_before",
        "norm_2": "layernorm_after",
        "attention": "attention",
        "out": "o_proj",
    } | names
    found = pair(f"{ours}.norm_1", f"{layer}.{known['norm_1']}") | pair(f"{ours}.norm_2", f"{layer}.{known['norm_2']}")
    found |= rows(f"{ours}.attention.qkv", f"{layer}.{known['attention']}", "q_proj", "k_proj", "v_proj")
    found |= pair(f"{ours}.attention.out", f"{layer}.{known['attention']}.{known['out']}")
    return found | pair(f"{ours}.ffn.up", f"{layer}.mlp.fc1") | pair(f"{ours}.ffn.down", f"{layer}.mlp.fc2")


DEIT = f"""tfdsl: 1
name: deit
inputs: {{pixels: {{shape: [B, 3, 16, 16], dtype: float}}}}
outputs: {{logits: [B, 5]}}
{DEFAULTS}{PRE}
model:
  - patch: {{from: pixels, size: 4, width: 32}}
  - prepend: {{id: tokens, tokens: 2}}                  # class and distillation
  - position: {{id: places, type: learned}}
  - repeat: {{block: layer, times: 2}}
  - norm
  - sum:
      - [slice: {{axis: 1, at: 0}}, linear: {{id: of_class, width: 5, bias: true}}]
      - [slice: {{axis: 1, at: 1}}, linear: {{id: of_teacher, width: 5, bias: true}}]
  - scale: {{id: logits, by: 0.5}}
"""


def test_the_mean_of_a_class_head_and_a_distillation_head() -> None:
    theirs = foreign.tiny("DeiTForImageClassificationWithTeacher", foreign.config("DeiTConfig", **IMAGES, num_labels=5))
    inner = "deit.embeddings"
    weights: dict[str, foreign.Given] = {
        "tokens.weight": lambda w: torch.cat((w[f"{inner}.cls_token"], w[f"{inner}.distillation_token"]), dim=1)[0],
        "places.weight": lambda w: w[f"{inner}.position_embeddings"][0],
    }
    weights |= pair("patch", f"{inner}.patch_embeddings.projection") | pair("norm", "deit.layernorm")
    weights |= pair("of_class", "cls_classifier") | pair("of_teacher", "distillation_classifier")
    weights |= vit("deit.layers.{i}")
    foreign.agree(DEIT, theirs, {"pixel_values": pixels()}, weights)


DINO = f"""tfdsl: 1
name: dino
inputs: {{pixels: {{shape: [B, 3, 16, 16], dtype: float}}}}
outputs: {{logits: [B, 5]}}
{DEFAULTS.replace("hidden: 40", "hidden: 64")}
  residual: {{gate: channel}}
{PRE}
model:
  - patch: {{from: pixels, size: 4, width: 32}}
  - prepend: {{id: class, tokens: 1}}
  - position: {{id: places, type: learned}}
  - prepend: {{id: registers, tokens: 3, after: 1}}
  - repeat: {{block: layer, times: 2}}
  - norm
  - concat:
      - [pool: first]
      - [slice: {{axis: 1, start: 4}}, pool: mean]
  - linear: {{id: logits, width: 5, bias: true}}
"""


def test_registers_behind_the_class_token() -> None:
    config = foreign.config("Dinov2WithRegistersConfig", **IMAGES, num_labels=5, num_register_tokens=3, mlp_ratio=2)
    theirs = foreign.tiny("Dinov2WithRegistersForImageClassification", config)
    inner, layer = "dinov2_with_registers.embeddings", "dinov2_with_registers.encoder.layer.{i}"
    weights: dict[str, foreign.Given] = {
        "class_.weight": lambda w: w[f"{inner}.cls_token"][0],
        "registers.weight": lambda w: w[f"{inner}.register_tokens"][0],
        "places.weight": lambda w: w[f"{inner}.position_embeddings"][0],
        "layers.{i}.residual_1.weight": f"{layer}.layer_scale1.lambda1",
        "layers.{i}.residual_2.weight": f"{layer}.layer_scale2.lambda1",
    }
    weights |= pair("patch", f"{inner}.patch_embeddings.projection") | pair("norm", "dinov2_with_registers.layernorm")
    weights |= pair("logits", "classifier") | vit(layer, norm_1="norm1", norm_2="norm2")
    foreign.agree(DINO, theirs, {"pixel_values": pixels()}, weights, ignore="mask_token", count=False)


SIGLIP = f"""tfdsl: 1
name: siglip
inputs: {{pixels: {{shape: [B, 3, 16, 16], dtype: float}}}}
{DEFAULTS.replace("activation: gelu", "activation: gelu_tanh")}{PRE}
model:
  - patch: {{from: pixels, size: 4, width: 32}}
  - position: {{id: places, type: learned}}
  - repeat: {{block: layer, times: 2}}
  - norm: {{id: last}}
  - pool: {{type: attention, heads: 4, bias: true}}
  - residual: [norm: {{id: second}}, ffn]
"""


def test_a_learned_query_that_pools() -> None:
    theirs = foreign.tiny("SiglipVisionModel", foreign.config("SiglipVisionConfig", **IMAGES))
    attention = "head.attention"
    weights: dict[str, foreign.Given] = {
        "places.weight": "embeddings.position_embedding.weight",
        "pool.query": lambda w: w["head.probe"][0, 0],
        "pool.q.weight": lambda w: w[f"{attention}.in_proj_weight"][:32],
        "pool.q.bias": lambda w: w[f"{attention}.in_proj_bias"][:32],
        "pool.kv.weight": lambda w: w[f"{attention}.in_proj_weight"][32:],
        "pool.kv.bias": lambda w: w[f"{attention}.in_proj_bias"][32:],
    }
    weights |= pair("pool.out", f"{attention}.out_proj") | pair("last", "post_layernorm")
    weights |= pair("second", "head.layernorm")
    weights |= pair("ffn.up", "head.mlp.fc1") | pair("ffn.down", "head.mlp.fc2")
    weights |= pair("patch", "embeddings.patch_embedding")
    weights |= vit(
        "encoder.layers.{i}", norm_1="layer_norm1", norm_2="layer_norm2", attention="self_attn", out="out_proj"
    )
    foreign.agree(SIGLIP, theirs, {"pixel_values": pixels()}, weights, output="pooler_output")


# -- two towers -------------------------------------------------------------------------------------------------------

CLIP = f"""tfdsl: 1
name: clip
inputs:
  tokens: {{shape: [C, T], vocab: {VOCAB}}}
  mask: {{shape: [C, T], keeps: tokens}}
  pixels: {{shape: [B, 3, 16, 16], dtype: float}}
outputs: {{text_to_image: [C, B], image_to_text: [B, C], of_text: [C, 20], of_image: [B, 20]}}
{DEFAULTS.replace("activation: gelu", "activation: gelu_quick")}
blocks:
  text_layer: [residual: [norm, attention: {{mask: causal}}], residual: [norm, ffn]]
  image_layer: [residual: [norm, attention], residual: [norm, ffn]]
model:
  text:
    - embed: {{id: words, from: tokens, width: 24}}
    - position: {{id: places, type: learned, length: 24}}
    - repeat: {{id: layers, block: text_layer, times: 2}}
    - norm
    - pool: {{type: at, of: tokens, token: EOS}}
    - linear: {{id: project, width: 20}}
    - norm: {{id: of_text, type: l2}}
  image:
    - patch: {{from: pixels, size: 4, width: 32, bias: false}}
    - prepend: {{id: class, tokens: 1}}
    - position: {{id: grid, type: learned}}
    - norm: {{id: first}}
    - repeat: {{id: image_layers, block: image_layer, times: 2}}
    - pool: first
    - norm: {{id: last}}
    - linear: {{id: see, width: 20}}
    - norm: {{id: of_image, type: l2}}
  temperature:
    - parameter: {{id: logit_scale, shape: [], init: 2.6592}}
    - activation: exp
  alike:
    - einsum: {{from: [of_text, of_image], pattern: "c d, b d -> c b"}}
    - multiply: {{id: text_to_image, with: temperature}}
    - rearrange: {{id: image_to_text, pattern: c b -> b c}}
"""


def test_two_towers_compared() -> None:
    text = {**SIZES, "hidden_size": 24, "bos_token_id": 48, "pad_token_id": 1}
    inner, seen = "text_model.embeddings", "vision_model.embeddings"
    weights: dict[str, foreign.Given] = {
        "text.words.weight": f"{inner}.token_embedding.weight",
        "text.places.weight": f"{inner}.position_embedding.weight",
        "text.project.weight": "text_projection.weight",
        "image.class_.weight": lambda w: w[f"{seen}.class_embedding"][None],
        "image.grid.weight": f"{seen}.position_embedding.weight",
        "image.patch.weight": f"{seen}.patch_embedding.weight",
        "image.see.weight": "visual_projection.weight",
        "temperature.logit_scale.weight": "logit_scale",
    }
    weights |= pair("text.norm", "text_model.final_layer_norm") | pair("image.last", "vision_model.post_layernorm")
    weights |= pair("image.first", "vision_model.pre_layrnorm")
    for ours, theirs in (("text.layers", "text_model"), ("image.image_layers", "vision_model")):
        weights |= vit(f"{theirs}.encoder.layers.{{i}}", f"{ours}.{{i}}", **CLIPS)
    tokens = foreign.tokens(VOCAB - 2, batch=3)
    tokens[0, 8], tokens[1, 12], tokens[2, 5], tokens[2, 9] = 49, 49, 49, 49
    mask = torch.ones_like(tokens)
    mask[0, 9:] = 0
    given = {"input_ids": tokens, "pixel_values": pixels(), "attention_mask": mask}
    for eos, token in ((49, "49"), (2, "highest")):
        sizes = {"text_config": {**text, "eos_token_id": eos}, "vision_config": IMAGES, "projection_dim": 20}
        theirs = foreign.tiny("CLIPModel", foreign.config("CLIPConfig", **sizes))
        spec = CLIP.replace("EOS", token)
        for result, output in (("text_to_image", "logits_per_text"), ("image_to_text", "logits_per_image"),
                               ("of_text", "text_embeds"), ("of_image", "image_embeds")):  # fmt: skip
            foreign.agree(spec, theirs, given, weights, ours=(tokens, mask, pixels()), result=result, output=output)
