"""DeBERTa's positions against DeBERTa v1 and v2 of transformers in float64."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

import tfdsl
from tests import foreign
from tests.layers.test_attention import values
from tests.layers.test_relative_models import KINDS, attention
from tests.layers.test_rotary_models import BAR, SIZES, apart

SPEC = """
tfdsl: 1
name: deberta
inputs: {{tokens: {{shape: [B, T], vocab: 61, pad: 0}}}}
outputs: {{last: [B, T, 48]}}
defaults:
  norm: {{type: layer, eps: 1e-7}}
  attention: {{heads: 3, bias: {bias}, position: {{type: deberta, {position}}}}}
  ffn: {{hidden: 40, activation: gelu, bias: true}}
blocks:
  layer: [residual: [attention], norm, residual: [ffn], norm]
model:
  - embed: {{id: tok, from: tokens, width: 48}}
  - norm: {{id: first}}
  - repeat: {{block: layer, times: 2}}
  - scale: {{id: last, by: 1}}
"""
TERMS = {"both": ["c2p", "p2c"], "content_to_position": ["c2p"], "position_to_content": ["p2c"]}


def given() -> tuple[Tensor, Tensor]:
    """Return ids, some of them padding, and which are not."""
    ids = foreign.tokens(61)
    ids[1, 9:] = 0
    return ids, ids != 0


def common(theirs: str) -> dict[str, foreign.Given]:
    """Return what both versions call alike."""
    weights: dict[str, foreign.Given] = {"tok.weight": "embeddings.word_embeddings.weight"}
    for kind in KINDS:
        weights[f"first.{kind}"] = f"embeddings.LayerNorm.{kind}"
        weights[f"layers.{{i}}.norm_1.{kind}"] = f"{theirs}.attention.output.LayerNorm.{kind}"
        weights[f"layers.{{i}}.norm_2.{kind}"] = f"{theirs}.output.LayerNorm.{kind}"
        weights[f"layers.{{i}}.attention.out.{kind}"] = f"{theirs}.attention.output.dense.{kind}"
        weights[f"layers.{{i}}.ffn.up.{kind}"] = f"{theirs}.intermediate.dense.{kind}"
        weights[f"layers.{{i}}.ffn.down.{kind}"] = f"{theirs}.output.dense.{kind}"
    return weights


def agree(text: str, theirs: Any, weights: dict[str, foreign.Given], drop: str) -> None:
    ids, keep = given()
    inputs = {"input_ids": ids, "attention_mask": keep.long()}
    foreign.agree(
        text,
        theirs,
        inputs,
        weights,
        ours=[ids],
        output="last_hidden_state",
        valid=keep,
        ignore=drop,
    )


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("buckets", [None, 4])
def test_version_2(terms: str, shared: bool, buckets: int | None) -> None:
    """With and without buckets, a norm over the table, and matrices of its own."""
    config = foreign.config(
        "DebertaV2Config",
        **SIZES,
        relative_attention=True,
        max_relative_positions=7,
        position_buckets=buckets or -1,
        pos_att_type=TERMS[terms],
        share_att_key=shared,
        norm_rel_ebd="layer_norm" if shared else "none",
        position_biased_input=False,
        type_vocab_size=0,
        layer_norm_eps=1e-7,
    )
    letters = {"both": "kq", "content_to_position": "k", "position_to_content": "q"}[terms]
    names = {"k": "key", "q": "query"}
    own = "".join(f", {names[each]}_bias: true" for each in letters)
    position = f"max_distance: 7, terms: {terms}" + (f", buckets: {buckets}" if buckets else "")
    position += ", norm: 1e-7" if shared else f", project: own{own}"
    theirs = "encoder.layer.{i}"
    weights = common(theirs)
    weights["distances_table.weight"] = "encoder.rel_embeddings.weight"
    for kind in KINDS:
        rows = [f"{theirs}.attention.self.{each}_proj.{kind}" for each in ("query", "key", "value")]
        weights[f"layers.{{i}}.attention.qkv.{kind}"] = rows
        if shared:
            weights[f"distances_table.norm.{kind}"] = f"encoder.LayerNorm.{kind}"
        for each in "" if shared else letters:
            name = f"pos_{names[each]}_proj"
            weights[f"layers.{{i}}.attention.place_{names[each]}.{kind}"] = f"{theirs}.attention.self.{name}.{kind}"
    text = SPEC.format(bias="true", position=position)
    agree(text, foreign.tiny("DebertaV2Model", config), weights, "position_ids")


@pytest.mark.parametrize("terms", TERMS)
def test_version_1(terms: str) -> None:
    """Each head's queries, keys and values lie together there, and queries and values have a bias."""
    config = foreign.config(
        "DebertaConfig",
        **SIZES,
        relative_attention=True,
        max_relative_positions=7,
        pos_att_type=TERMS[terms],
        position_biased_input=False,
        type_vocab_size=0,
        layer_norm_eps=1e-7,
    )
    theirs = "encoder.layer.{i}"
    weights = common(theirs)
    weights["distances_table.weight"] = "encoder.rel_embeddings.weight"
    weights["layers.{i}.attention.qkv.weight"] = lambda w, i: (
        w[f"encoder.layer.{i}.attention.self.in_proj.weight"].view(3, 3, 16, 48).transpose(0, 1).reshape(144, 48)
    )
    for each in "qv":
        weights[f"layers.{{i}}.attention.{each}_bias"] = f"{theirs}.attention.self.{each}_bias"
    more = ""
    if terms != "position_to_content":
        weights["layers.{i}.attention.place_key.weight"] = f"{theirs}.attention.self.pos_proj.weight"
    if terms != "content_to_position":
        more = ", query_bias: true"
        for kind in KINDS:
            name = f"layers.{{i}}.attention.place_query.{kind}"
            weights[name] = f"{theirs}.attention.self.pos_q_proj.{kind}"
    position = f"max_distance: 7, terms: {terms}, project: own{more}"
    text = SPEC.format(bias="{q: true, v: true, out: true}", position=position)
    agree(text, foreign.tiny("DebertaModel", config), weights, "position_ids")


def test_it_decodes() -> None:
    fields = "heads: 3, mask: causal, bias: true, position: {type: deberta, max_distance: 7, buckets: 4}"
    assert apart(attention(fields), values(2, 13, 48)) <= BAR


def test_other_fields_are_refused() -> None:
    text = """
tfdsl: 1
name: refused
inputs: {x: {shape: [B, T, 48], dtype: float}}
model: [attention: {from: x, heads: 3, position: deberta, qk_norm: rms}]
"""
    assert [each.code for each in tfdsl.check(text).diagnostics] == ["T248"]
    partly = text.replace("qk_norm: rms", "bias: {q: true}")
    assert [each.code for each in tfdsl.check(partly).diagnostics] == ["T248"]
    assert not tfdsl.check(partly.replace("position: deberta", "position: {type: deberta, project: own}")).diagnostics
