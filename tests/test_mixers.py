"""The mixers in whole models of `transformers`: the same numbers, with padding on the left too, and while decoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

import tfdsl
from tests import foreign
from tests.foreign import Given, Weights

HEAD = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 97, pad: 0}}
outputs: {logits: [B, T, 97]}
defaults: {norm: {type: rms, eps: 0.002}, ffn: {hidden: 40, activation: swiglu}}
"""
SIZES = {"vocab_size": 97, "num_hidden_layers": 2, "hidden_size": 32, "pad_token_id": 0}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
EMBED, HEAD_WEIGHT = {"embed.weight": "model.embed_tokens.weight"}, {"unembed.weight": "lm_head.weight"}
SWIGLU: dict[str, Given] = {
    "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.mlp.{each}_proj.weight" for each in ("gate", "up")],
    "layers.{i}.ffn.down.weight": "model.layers.{i}.mlp.down_proj.weight",
}


@dataclass(frozen=True)
class Case:
    """A model of `transformers` and ours beside it."""

    name: str
    settings: dict[str, Any]
    spec: str
    weights: dict[str, Given] = field(default_factory=dict[str, Given])
    bar: float = 1e-11


def taken(name: str) -> Any:
    """Return the taps of a convolution of theirs, [features, 1, size], as ours."""
    return lambda w, i=None: w[name.replace("{i}", str(i))][:, 0].T


def mamba2(place: str, ours: str, norm: bool = True) -> dict[str, Given]:
    """Return what a Mamba-2 of ours takes of one of theirs."""
    plain = {"parts.weight": "in_proj.weight", "taps.bias": "conv1d.bias", "dt_bias": "dt_bias", "skip": "D"}
    plain |= {"decay_log": "A_log", "out.weight": "out_proj.weight", **({"norm.weight": "norm.weight"} if norm else {})}
    found: dict[str, Given] = {f"{ours}.{mine}": f"{place}.{other}" for mine, other in plain.items()}
    return {**found, f"{ours}.taps.weight": taken(f"{place}.conv1d.weight")}


def mamba(place: str, ours: str, norms: bool = False) -> dict[str, Given]:
    """Return what a Mamba of ours takes of one of theirs."""
    plain = {"parts.weight": "in_proj.weight", "taps.bias": "conv1d.bias", "select.weight": "x_proj.weight"}
    plain |= {"dt.weight": "dt_proj.weight", "dt.bias": "dt_proj.bias", "skip": "D", "decay_log": "A_log"}
    plain |= {"out.weight": "out_proj.weight"}
    plain |= {f"{each}_norm.weight": f"{each}_layernorm.weight" for each in ("dt", "b", "c")} if norms else {}
    found: dict[str, Given] = {f"{ours}.{mine}": f"{place}.{other}" for mine, other in plain.items()}
    return {**found, f"{ours}.taps.weight": taken(f"{place}.conv1d.weight")}


def latent() -> dict[str, Given]:
    """Return what latent attention of ours takes of that of a DeepSeek model."""
    names = {"kv_down": "kv_a_proj_with_mqa", "kv_norm": "kv_a_layernorm", "kv_up": "kv_b_proj", "out": "o_proj"}
    names |= {"q_down": "q_a_proj", "q_norm": "q_a_layernorm", "q_up": "q_b_proj"}
    ours, theirs = "layers.{i}.latent_attention", "model.layers.{i}.self_attn"
    return {f"{ours}.{mine}.weight": f"{theirs}.{other}.weight" for mine, other in names.items()}


def norms(first: str = "input_layernorm", second: str = "post_attention_layernorm", last: str = "norm") -> Any:
    """Return what the norms of ours take of theirs."""
    found = {"layers.{i}.norm_1.weight": f"model.layers.{{i}}.{first}.weight", "norm.weight": f"model.{last}.weight"}
    return found | {"layers.{i}.norm_2.weight": f"model.layers.{{i}}.{second}.weight"}


def parts(w: Weights, i: int) -> Tensor:
    """Return the first matrix of a Gated DeltaNet of Qwen3-Next, whose rows stand by key head, as ours."""
    place = f"model.layers.{i}.linear_attn"
    first = w[f"{place}.in_proj_qkvz.weight"].view(2, 6 + 6 + 10 + 10, -1).split((6, 6, 10, 10), 1)
    second = w[f"{place}.in_proj_ba.weight"].view(2, 4, -1).split((2, 2), 1)
    return torch.cat([each.flatten(0, 1) for each in (*first, *second)])


def delta(place: str, norm: str, out: str) -> dict[str, Given]:
    """Return what a Gated DeltaNet of ours takes of theirs, but for its first matrix."""
    plain = {"dt_bias": "dt_bias", "decay_log": "A_log", "norm.weight": f"{norm}.weight", "out.weight": f"{out}.weight"}
    found: dict[str, Given] = {f"layers.{{i}}.gated_delta.{mine}": f"{place}.{other}" for mine, other in plain.items()}
    return {**found, "layers.{i}.gated_delta.taps.weight": taken(f"{place}.conv1d.weight")}


def repeated(pipe: str, times: int = 2) -> str:
    """Return a spec of a plain decoder."""
    return f"""{HEAD}model:
  - embed: {{from: tokens, width: 32}}
  - repeat: {{times: {times}, body: [{pipe}]}}
  - norm
  - unembed: {{id: logits, width: 97}}
"""


LATENT = "heads: 4, kv_rank: 16, head_dim: 8, rope_dim: 4, value_dim: 6"
DEEPSEEK = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 4, "kv_lora_rank": 16, "qk_nope_head_dim": 8}
DEEPSEEK |= {"qk_rope_head_dim": 4, "v_head_dim": 6, "intermediate_size": 40, "rms_norm_eps": 0.002}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8, "rope_theta": 773.0}
YARN |= {"mscale": 0.7, "mscale_all_dim": 0.7, "beta_fast": 32, "beta_slow": 1}
MAMBA2 = "mamba2: {heads: 8, head_dim: 8, state: 6, groups: 2, eps: 0.002, chunk: 4}"
LFM2: dict[str, Given] = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.embedding_norm.weight",
    "layers.{i}.norm_1.weight": "model.layers.{i}.operator_norm.weight",
    "layers.{i}.norm_2.weight": "model.layers.{i}.ffn_norm.weight",
    "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.feed_forward.w{each}.weight" for each in (1, 3)],
    "layers.{i}.ffn.down.weight": "model.layers.{i}.feed_forward.w2.weight",
    "layers.{i}.short_conv.parts.weight": "model.layers.{i}.conv.in_proj.weight",
    "layers.{i}.short_conv.taps.weight": taken("model.layers.{i}.conv.conv.weight"),
    "layers.{i}.short_conv.out.weight": "model.layers.{i}.conv.out_proj.weight",
    "unembed.weight": "lm_head.weight",
}
CASES = [
    Case(
        "DeepseekV3",
        {
            **DEEPSEEK,
            "q_lora_rank": 12,
            "first_k_dense_replace": 2,
            "rope_interleave": True,
            "rope_parameters": YARN,
        },
        repeated(
            f"residual: [norm, latent_attention: {{{LATENT}, q_rank: 12, position: {{type: rope, theta: 773, "
            "style: interleaved, scaling: {type: yarn, factor: 4, length: 8, mscale: 0.7, mscale_all_dim: 0.7}}}], "
            "residual: [norm, ffn]"
        ),
        {**EMBED, **HEAD_WEIGHT, **norms(), **SWIGLU, **latent()},
    ),
    Case(
        "Lfm2",
        {**SIZES, **HEADS, "intermediate_size": 40, "block_auto_adjust_ff_dim": False, "norm_eps": 0.002}
        | {"layer_types": ["conv", "conv"], "tie_word_embeddings": False},
        repeated("residual: [norm, short_conv: 3], residual: [norm, ffn]"),
        LFM2,
    ),
    Case(
        "Mamba2",
        {**SIZES, "num_heads": 8, "head_dim": 8, "state_size": 6, "n_groups": 2, "layer_norm_epsilon": 0.002},
        repeated(f"residual: [norm, {MAMBA2}]"),
        {
            "embed.weight": "backbone.embeddings.weight",
            "layers.{i}.norm.weight": "backbone.layers.{i}.norm.weight",
            **mamba2("backbone.layers.{i}.mixer", "layers.{i}.mamba2"),
            "norm.weight": "backbone.norm_f.weight",
            **HEAD_WEIGHT,
        },
    ),
    Case(
        "NemotronH",
        {**SIZES, **HEADS, "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 6, "n_groups": 2}
        | {"layer_norm_epsilon": 0.002, "layers_block_type": ["mamba", "mamba"], "intermediate_size": 40},
        repeated(f"residual: [norm, {MAMBA2.replace('chunk: 4', 'dt_min: 0.001')}]"),
        {
            "embed.weight": "model.embeddings.weight",
            "layers.{i}.norm.weight": "model.layers.{i}.norm.weight",
            **mamba2("model.layers.{i}.mixer", "layers.{i}.mamba2"),
            "norm.weight": "model.norm_f.weight",
            **HEAD_WEIGHT,
        },
    ),
    Case(
        "FalconH1",
        {**SIZES, **HEADS, "head_dim": 8, "mamba_d_ssm": 48, "mamba_n_heads": 8, "mamba_n_groups": 2}
        | {"mamba_d_head": 6, "mamba_d_state": 6, "mamba_rms_norm": True, "mamba_norm_before_gate": True}
        | {"intermediate_size": 40, "rms_norm_eps": 0.002, "ssm_multipliers": [0.5, 0.7, 1.1, 1.3, 0.9]}
        | {"ssm_in_multiplier": 1.2, "ssm_out_multiplier": 0.8, "attention_in_multiplier": 0.6, "key_multiplier": 0.9}
        | {"attention_out_multiplier": 1.4, "lm_head_multiplier": 0.3, "embedding_multiplier": 5.0},
        repeated(
            "residual: [norm, sum: [[scale: 1.2, mamba2: {heads: 8, head_dim: 6, state: 6, groups: 2, norm: before, "
            "eps: 0.002, multipliers: [0.5, 0.7, 1.1, 1.3, 0.9]}, scale: 0.8], [scale: 0.6, attention: {heads: 4, "
            "kv_heads: 2, head_dim: 8, mask: causal, position: rope, scale: 0.9 * 8 ** -0.5}, scale: 1.4]]], "
            "residual: [norm, ffn]"
        )
        .replace("width: 32}", "width: 32, scale: 5}")
        .replace("  - unembed: {id: logits, width: 97}", "  - unembed: {width: 97}\n  - scale: {id: logits, by: 0.3}"),
        {
            **EMBED,
            **norms("input_layernorm", "pre_ff_layernorm", "final_layernorm"),
            **mamba2("model.layers.{i}.mamba", "layers.{i}.mamba2"),
            "layers.{i}.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{p}_proj.weight" for p in "qkv"],
            "layers.{i}.attention.out.weight": "model.layers.{i}.self_attn.o_proj.weight",
            "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.feed_forward.{p}_proj.weight" for p in ("gate", "up")],
            "layers.{i}.ffn.down.weight": "model.layers.{i}.feed_forward.down_proj.weight",
            "unembed.weight": "lm_head.weight",
        },
    ),
    Case(
        "Mamba",
        {
            **SIZES,
            "state_size": 5,
            "time_step_rank": 3,
            "tie_word_embeddings": False,
            "layer_norm_epsilon": 0.002,
            "expand": 2,
        },
        repeated("residual: [norm, mamba: {inner: 64, state: 5, rank: 3}]"),
        {
            "embed.weight": "backbone.embeddings.weight",
            "layers.{i}.norm.weight": "backbone.layers.{i}.norm.weight",
            **mamba("backbone.layers.{i}.mixer", "layers.{i}.mamba"),
            "norm.weight": "backbone.norm_f.weight",
            **HEAD_WEIGHT,
        },
    ),
    Case(
        "FalconMamba",
        {
            **SIZES,
            "state_size": 5,
            "time_step_rank": 3,
            "tie_word_embeddings": False,
            "layer_norm_epsilon": 0.002,
            "mixer_rms_eps": 0.003,
        },
        repeated("residual: [norm, mamba: {inner: 64, state: 5, rank: 3, norm: plain, eps: 0.003}]"),
        {
            "embed.weight": "backbone.embeddings.weight",
            "layers.{i}.norm.weight": "backbone.layers.{i}.norm.weight",
            **mamba("backbone.layers.{i}.mixer", "layers.{i}.mamba"),
            "norm.weight": "backbone.norm_f.weight",
            **HEAD_WEIGHT,
        },
    ),
    Case(
        "Jamba",
        {**SIZES, **HEADS, "intermediate_size": 40, "num_experts": 1, "mamba_d_state": 5, "mamba_dt_rank": 3}
        | {"attn_layer_period": 2, "attn_layer_offset": 1, "rms_norm_eps": 0.002, "num_hidden_layers": 4},
        HEAD
        + """
blocks:
  see: [attention: {heads: 4, kv_heads: 2, mask: causal}]
  keep: [mamba: {inner: 64, state: 5, rank: 3, norm: rms, eps: 0.002}]
  layer: {params: {mix: keep}, body: [residual: [norm, use: $mix], residual: [norm, ffn]]}
model:
  - embed: {from: tokens, width: 32}
  - repeat: {block: layer, times: 4, vary: {mix: {cycle: [keep, see]}}}
  - norm
  - unembed: {id: logits, width: 97}
""",
        {
            **EMBED,
            **HEAD_WEIGHT,
            **norms("input_layernorm", "pre_ff_layernorm", "final_layernorm"),
            **mamba("model.layers.{i}.mamba", "layers.{i}.mix.mamba", norms=True),
            "layers.{i}.mix.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{p}_proj.weight" for p in "qkv"],
            "layers.{i}.mix.attention.out.weight": "model.layers.{i}.self_attn.o_proj.weight",
            "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.feed_forward.{p}_proj.weight" for p in ("gate", "up")],
            "layers.{i}.ffn.down.weight": "model.layers.{i}.feed_forward.down_proj.weight",
        },
    ),
    Case(
        "Qwen3Next",
        {**SIZES, **HEADS, "intermediate_size": 40, "linear_num_key_heads": 2, "linear_num_value_heads": 4}
        | {"linear_key_head_dim": 6, "linear_value_head_dim": 5, "layer_types": ["linear_attention"] * 2}
        | {"mlp_only_layers": [0, 1], "rms_norm_eps": 0.002},
        repeated(
            "residual: [norm, gated_delta: {heads: 4, key_heads: 2, key_dim: 6, value_dim: 5, eps: 0.002, chunk: 4}], "
            "residual: [norm, ffn]"
        ),
        {
            **EMBED,
            **HEAD_WEIGHT,
            **SWIGLU,
            **{ours: lambda w, i=None, name=name: 1 + w[name.replace("{i}", str(i))] for ours, name in norms().items()},
            "layers.{i}.gated_delta.parts.weight": parts,
            **delta("model.layers.{i}.linear_attn", "norm", "out_proj"),
        },
    ),
    Case(
        "GraniteMoeHybrid",
        {**SIZES, **HEADS, "layer_types": ["mamba", "attention"], "shared_intermediate_size": 24, "rms_norm_eps": 0.002}
        | {"mamba_n_heads": 8, "mamba_n_groups": 1, "mamba_d_state": 6, "mamba_d_head": 8, "num_local_experts": 4}
        | {"embedding_multiplier": 3.0, "logits_scaling": 2.0, "residual_multiplier": 0.7, "attention_multiplier": 0.2}
        | {"intermediate_size": 20, "position_embedding_type": "nope"},
        HEAD
        + """
blocks:
  see: [attention: {heads: 4, kv_heads: 2, mask: causal, scale: 0.2}]
  keep: [mamba2: {heads: 8, head_dim: 8, state: 6, eps: 0.002}]
  layer:
    params: {mix: keep}
    body:
      - residual: {body: [norm, use: $mix], scale: 0.7}
      - residual: {body: [norm, moe: {experts: 4, top_k: 2, hidden: 20, activation: swiglu, shared: 24}], scale: 0.7}
model:
  - embed: {from: tokens, width: 32, scale: 3}
  - repeat: {block: layer, times: 2, vary: {mix: {cycle: [keep, see]}}}
  - norm
  - unembed: {width: 97}
  - scale: {id: logits, by: 0.5}
""",
        {
            **EMBED,
            **HEAD_WEIGHT,
            **norms(),
            **mamba2("model.layers.{i}.mamba", "layers.{i}.mix.mamba2"),
            "layers.{i}.mix.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{p}_proj.weight" for p in "qkv"],
            "layers.{i}.mix.attention.out.weight": "model.layers.{i}.self_attn.o_proj.weight",
            "layers.{i}.moe.shared.up.weight": "model.layers.{i}.shared_mlp.input_linear.weight",
            "layers.{i}.moe.shared.down.weight": "model.layers.{i}.shared_mlp.output_linear.weight",
            "layers.{i}.moe.router.weight": "model.layers.{i}.block_sparse_moe.router.weight",
            "layers.{i}.moe.up": "model.layers.{i}.block_sparse_moe.experts.gate_up_proj",
            "layers.{i}.moe.down": "model.layers.{i}.block_sparse_moe.experts.down_proj",
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_numbers(case: Case) -> None:
    theirs = foreign.tiny(f"{case.name}ForCausalLM", foreign.config(f"{case.name}Config", **case.settings))
    tokens = foreign.tokens(97)
    tokens[0, :4] = 0  # padding on the left
    inputs = {"input_ids": tokens, "attention_mask": (tokens != 0).long()}
    weights = {
        name.replace("unembed.", "unembed." if "- unembed: {width" in case.spec else "logits."): each
        for name, each in case.weights.items()
    }
    model = foreign.agree(case.spec, theirs, inputs, weights, ours=[tokens], valid=tokens != 0, bar=case.bar)
    with torch.no_grad():
        whole = model(tokens)
        for cuts in ([5, 1, 1, 6], [1] * 13):
            cache = model.new_cache(13)
            found = torch.cat([model(part, cache=cache) for part in tokens.split(cuts, dim=1)], dim=1)
            torch.testing.assert_close(found[tokens != 0], whole[tokens != 0], rtol=1e-10, atol=1e-11)


def test_the_gated_delta_of_olmo_hybrid() -> None:
    sizes = {"linear_num_key_heads": 4, "linear_num_value_heads": 4, "linear_key_head_dim": 6}
    sizes |= {
        "linear_value_head_dim": 5,
        "linear_allow_neg_eigval": True,
        "layer_types": ["linear_attention", "full_attention"],
    }
    settings = foreign.config("OlmoHybridConfig", **{**SIZES, **HEADS, **sizes, "intermediate_size": 40})
    whole: Any = foreign.tiny("OlmoHybridForCausalLM", settings)
    theirs = whole.model.layers[0].linear_attn
    spec = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, T, 32], dtype: float}}
model: [gated_delta: {from: x, heads: 4, key_dim: 6, value_dim: 5, eps: 1e-5, negative: true}]
"""
    model = tfdsl.build(tfdsl.check(spec)).double().eval()
    weights = {name.removeprefix("layers.{i}."): each for name, each in delta("", "o_norm", "o_proj").items()}
    weights |= {"gated_delta.parts.weight": [f".{each}_proj.weight" for each in "qkvgba"]}
    foreign.fill(model, {f".{name}": each for name, each in theirs.state_dict().items()}, weights)
    x = torch.randn(2, 13, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad(), foreign.widened():
        torch.testing.assert_close(model(x), theirs(x), rtol=0, atol=1e-12)


def test_the_latent_attention_of_longcat() -> None:
    sizes = {**SIZES, **HEADS, "num_layers": 1, "ffn_hidden_size": 40, "q_lora_rank": 12, "kv_lora_rank": 16}
    sizes |= {
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "v_head_dim": 6,
        "n_routed_experts": 2,
        "zero_expert_num": 1,
    }
    sizes |= {"num_key_value_heads": 4, "moe_topk": 1, "expert_ffn_hidden_size": 8, "head_dim": 4}
    whole: Any = foreign.tiny("LongcatFlashForCausalLM", foreign.config("LongcatFlashConfig", **sizes))
    theirs = whole.model.layers[0].self_attn[0]
    spec = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, T, 32], dtype: float}}
model:
  - latent_attention: {from: x, heads: 4, kv_rank: 16, q_rank: 12, head_dim: 8, rope_dim: 4, value_dim: 6,
      position: {type: rope, theta: 1e7, style: interleaved},
      scale: (32 / 12) ** 0.5 * 12 ** -0.5, latent_scale: (32 / 16) ** 0.5}
"""
    model = tfdsl.build(tfdsl.check(spec)).double().eval()
    weights = {
        mine.removeprefix("layers.{i}."): f".{str(each).rpartition('self_attn.')[2]}" for mine, each in latent().items()
    }
    foreign.fill(model, {f".{name}": each for name, each in theirs.state_dict().items()}, weights)
    x = torch.randn(2, 13, 32, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mask = torch.full((13, 13), -torch.inf, dtype=torch.float64).triu(1)[None, None]
    with torch.no_grad(), foreign.widened():
        turns = whole.model.rotary_emb(x, torch.arange(13)[None])
        torch.testing.assert_close(model(x), theirs(x, turns, mask)[0], rtol=0, atol=1e-12)
