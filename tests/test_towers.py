"""Published ends of models of images, rebuilt: heads, registers, poolers and two towers, against `transformers`."""

from __future__ import annotations

import torch

from tests import foreign
from tests.ends import CLIPS, DEFAULTS, IMAGES, PRE, SIZES, VOCAB, pair, pixels, vit

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
