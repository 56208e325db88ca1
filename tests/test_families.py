"""Published families, rebuilt: tiny models whose exact output another library gave in float64 (`tests/families`).

A file holds that library's weights under its own names, the inputs, the logits, and for causal models greedy tokens.
Biases of keys cannot move an output; the names and shapes of `prove` hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import tfdsl
from tests.six import SPECS, first

FOLDER = Path(__file__).parent / "families"
Weights = Mapping[str, Tensor]

LLAMA = """
tfdsl: 1
name: llama
dims: {vocab_size: 97, n_layers: 3, d_model: 48}
inputs: {tokens: {shape: [B, T], vocab: vocab_size}}
outputs: {logits: [B, T, vocab_size]}
defaults:
  norm: {type: rms, eps: 2e-3}
  attention: {heads: 4, kv_heads: 2, head_dim: 16, mask: causal, position: {type: rope, theta: 773}}
blocks:
  layer:
    - residual: [norm, attention]
    - residual: [norm, ffn: {hidden: 80, activation: swiglu}]
model:
  - embed: {from: tokens, width: d_model}
  - repeat: {block: layer, times: n_layers}
  - norm
  - unembed: {id: logits, width: vocab_size}
"""


def gpt2(w: Weights) -> dict[str, Tensor]:
    found = {"tok.weight": w["transformer.wte.weight"], "position.weight": w["transformer.wpe.weight"]}
    found |= pair("norm", w, "transformer.ln_f")
    for n in range(3):
        ours, theirs = f"layers.{n}", f"transformer.h.{n}"
        for part, name in (("qkv", "attn.c_attn"), ("out", "attn.c_proj")):
            found |= pair(f"{ours}.attention.{part}", w, f"{theirs}.{name}", turned=True)
        for part, name in (("up", "mlp.c_fc"), ("down", "mlp.c_proj")):
            found |= pair(f"{ours}.ffn.{part}", w, f"{theirs}.{name}", turned=True)
        found |= pair(f"{ours}.norm_1", w, f"{theirs}.ln_1") | pair(f"{ours}.norm_2", w, f"{theirs}.ln_2")
    return found


def llama(w: Weights) -> dict[str, Tensor]:
    found = {"embed.weight": w["model.embed_tokens.weight"], "norm.weight": w["model.norm.weight"]}
    found["logits.weight"] = w["lm_head.weight"]
    for n in range(3):
        ours, theirs = f"layers.{n}", f"model.layers.{n}"
        found[f"{ours}.norm_1.weight"] = w[f"{theirs}.input_layernorm.weight"]
        found[f"{ours}.norm_2.weight"] = w[f"{theirs}.post_attention_layernorm.weight"]
        found[f"{ours}.attention.qkv.weight"] = rows(w, f"{theirs}.self_attn", "q_proj", "k_proj", "v_proj")
        found[f"{ours}.attention.out.weight"] = w[f"{theirs}.self_attn.o_proj.weight"]
        found[f"{ours}.ffn.up.weight"] = rows(w, f"{theirs}.mlp", "gate_proj", "up_proj")
        found[f"{ours}.ffn.down.weight"] = w[f"{theirs}.mlp.down_proj.weight"]
    return found


def bert(w: Weights) -> dict[str, Tensor]:
    inner = "bert.embeddings"
    found = {
        "encoder.tok.weight": w[f"{inner}.word_embeddings.weight"],
        "encoder.embed.weight": w[f"{inner}.token_type_embeddings.weight"],
        "encoder.position.weight": w[f"{inner}.position_embeddings.weight"],
        "word.logits.bias": w["cls.predictions.bias"],
        "sentence.linear.weight": torch.zeros(48, 48),
        "sentence.linear.bias": torch.zeros(48),
    }
    found |= pair("encoder.norm", w, f"{inner}.LayerNorm")
    found |= pair("word.linear", w, "cls.predictions.transform.dense")
    found |= pair("word.norm", w, "cls.predictions.transform.LayerNorm")
    for n in range(3):
        ours, theirs = f"encoder.layers.{n}", f"bert.encoder.layer.{n}"
        for kind in ("weight", "bias"):
            found[f"{ours}.attention.qkv.{kind}"] = rows(
                w, f"{theirs}.attention.self", "query", "key", "value", kind=kind
            )
        found |= pair(f"{ours}.attention.out", w, f"{theirs}.attention.output.dense")
        found |= pair(f"{ours}.norm_1", w, f"{theirs}.attention.output.LayerNorm")
        found |= pair(f"{ours}.ffn.up", w, f"{theirs}.intermediate.dense")
        found |= pair(f"{ours}.ffn.down", w, f"{theirs}.output.dense")
        found |= pair(f"{ours}.norm_2", w, f"{theirs}.output.LayerNorm")
    return found


def t5(w: Weights) -> dict[str, Tensor]:
    found = {"encoder.tok.weight": w["shared.weight"]}
    for side, layers, names in (("encoder", 2, ("norm_1", "norm_2")), ("decoder", 3, ("norm_1", "norm_2", "norm_3"))):
        table = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found |= {f"{side}.{side}_bias.weight": w[table], f"{side}.norm.weight": w[f"{side}.final_layer_norm.weight"]}
        for n in range(layers):
            ours, theirs = f"{side}.{side}_layers.{n}", f"{side}.block.{n}.layer"
            own = "attention" if side == "encoder" else "attention_1"
            found[f"{ours}.{own}.qkv.weight"] = rows(w, f"{theirs}.0.SelfAttention", "q", "k", "v")
            found[f"{ours}.{own}.out.weight"] = w[f"{theirs}.0.SelfAttention.o.weight"]
            if side == "decoder":
                found[f"{ours}.attention_2.q.weight"] = w[f"{theirs}.1.EncDecAttention.q.weight"]
                found[f"{ours}.attention_2.kv.weight"] = rows(w, f"{theirs}.1.EncDecAttention", "k", "v")
                found[f"{ours}.attention_2.out.weight"] = w[f"{theirs}.1.EncDecAttention.o.weight"]
            found[f"{ours}.ffn.up.weight"] = w[f"{theirs}.{len(names) - 1}.DenseReluDense.wi.weight"]
            found[f"{ours}.ffn.down.weight"] = w[f"{theirs}.{len(names) - 1}.DenseReluDense.wo.weight"]
            found |= {
                f"{ours}.{name}.weight": w[f"{theirs}.{place}.layer_norm.weight"] for place, name in enumerate(names)
            }
    return found


def vit(w: Weights) -> dict[str, Tensor]:
    inner = "vit.embeddings"
    found = {"cls.weight": w[f"{inner}.cls_token"][0], "position.weight": w[f"{inner}.position_embeddings"][0]}
    found |= pair("patch", w, f"{inner}.patch_embeddings.projection")
    found |= pair("norm", w, "vit.layernorm") | pair("logits", w, "classifier")
    for n in range(3):
        ours, theirs = f"layers.{n}", f"vit.layers.{n}"
        for kind in ("weight", "bias"):
            found[f"{ours}.attention.qkv.{kind}"] = rows(
                w, f"{theirs}.attention", "q_proj", "k_proj", "v_proj", kind=kind
            )
        found |= pair(f"{ours}.attention.out", w, f"{theirs}.attention.o_proj")
        found |= pair(f"{ours}.norm_1", w, f"{theirs}.layernorm_before") | pair(
            f"{ours}.norm_2", w, f"{theirs}.layernorm_after"
        )
        found |= pair(f"{ours}.ffn.up", w, f"{theirs}.mlp.fc1") | pair(f"{ours}.ffn.down", w, f"{theirs}.mlp.fc2")
    return found


def pair(ours: str, w: Weights, theirs: str, turned: bool = False) -> dict[str, Tensor]:
    weight = w[f"{theirs}.weight"]
    return {f"{ours}.weight": weight.t() if turned else weight, f"{ours}.bias": w[f"{theirs}.bias"]}


def rows(w: Weights, prefix: str, *names: str, kind: str = "weight") -> Tensor:
    return torch.cat([w[f"{prefix}.{name}.{kind}"] for name in names])


def rebuilt(name: str, source: str, weights: Callable[[Weights], dict[str, Tensor]]) -> tuple[nn.Module, Weights]:
    """Return the model with the family's weights, each given once, and the file."""
    file = load_file(FOLDER / f"{name}.safetensors")
    model = tfdsl.build(tfdsl.check(source))
    mapped = weights({key.removeprefix("weight."): each for key, each in file.items() if key.startswith("weight.")})
    own = dict(model.named_parameters())
    assert {key: each.shape for key, each in mapped.items()} == {key: each.shape for key, each in own.items()}
    with torch.no_grad():
        for key, each in mapped.items():
            own[key].copy_(each)
    return model.double().eval(), file


SIZES = {
    "vocab_size": 97, "context": 40, "n_layers": 3, "d_model": 48, "n_heads": 4, "d_ff": 80, "p": 0.0,
    "head_dim": 10, "image": 24, "patch": 8, "classes": 7,
}  # fmt: skip


def sized(name: str, *pairs: tuple[str, str], **sizes: int) -> str:
    """Return one of the six specs at the fixtures' sizes, with pieces of its text changed."""
    text = (SPECS / f"{name}.yaml").read_text()
    for size, value in (SIZES | sizes).items():
        text = re.sub(rf"\b{size}: [^,}}]+(?=[,}}].*\n(?:inputs|outputs))", f"{size}: {value}", text)
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


SOURCES = {
    "gpt2": sized("gpt2", ("1e-5", "2e-3"), context=32),
    "bert": sized("bert", ("1e-12", "2e-3"), ("pad: 0", "pad: 1")),
    "t5": sized(
        "t5",
        ("block: decoder_layer, times: n_layers", "block: decoder_layer, times: 3"),
        ("1e-6", "2e-3"),
        ("{type: t5, share", "{type: t5, buckets: 8, max_distance: 10, share"),
        n_layers=2,
    ),
    "vit": sized("vit", ("1e-6", "2e-3")),
    "llama": LLAMA,
}
FAMILIES = {"gpt2": gpt2, "bert": bert, "t5": t5, "vit": vit, "llama": llama}
INPUTS = {
    "bert": ("input_ids", "token_type_ids"),
    "t5": ("input_ids", "decoder_input_ids"),
    "vit": ("pixel_values",),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_the_familys(name: str) -> None:
    torch.set_num_threads(1)
    model, file = rebuilt(name, SOURCES[name], FAMILIES[name])
    given = [file[f"in.{each}"] for each in INPUTS.get(name, ("input_ids",))]
    found = first(model(*(each.double() if each.is_floating_point() else each for each in given)))
    valid = file["valid"] if file["valid"].dim() > 1 else torch.ones(found.shape[:-1], dtype=torch.bool)
    assert float((found - file["logits64"])[valid].detach().abs().max()) < 1e-9


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_greedy_tokens_are_the_familys(name: str) -> None:
    torch.set_num_threads(1)
    model, file = rebuilt(name, SOURCES[name], FAMILIES[name])
    wanted, unread = file["greedy.tokens"], file["greedy.prompt"]
    cache, found = model.new_cache(wanted.size(1)), unread
    with torch.inference_mode():
        while found.size(1) < wanted.size(1):
            unread = model(unread, cache=cache)[:, -1:].argmax(dim=-1)
            found = torch.cat((found, unread), dim=1)
    assert torch.equal(found, wanted)
