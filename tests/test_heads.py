"""Published ends of models of text, rebuilt: heads and poolers, each against `transformers` in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests import foreign
from tests.ends import DEFAULTS, POST, PRE, SIZES, VOCAB, pair, rows


def batch(padded: int = 3, side: str = "right") -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, the kinds of them, and a mask with some padding in the first row."""
    tokens = foreign.tokens(VOCAB)
    kinds = torch.randint(0, 2, tokens.shape, generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(tokens)
    mask[0, slice(13 - padded, None) if side == "right" else slice(padded)] = 0
    return tokens, kinds, mask


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
