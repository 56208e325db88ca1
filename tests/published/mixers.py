"""The published models with latent attention, and those whose layers keep a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tests.foreign import Given, Weights
from tests.published import Published
from tests.published.llamas import ATTENTION, ENDS, joined, same

YARN = {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096, "rope_theta": 10000.0}
YARN |= {"beta_fast": 32.0, "beta_slow": 1.0}
DEEPSEEK = {"vocab_size": "vocab_size", "n_layers": "num_hidden_layers", "d_model": "hidden_size"}
DEEPSEEK |= {"n_heads": "num_attention_heads", "head_dim": "qk_nope_head_dim", "d_ff": "intermediate_size"}
DEEPSEEK |= {"n_experts": "n_routed_experts", "d_expert": "moe_intermediate_size"}
SMALL = {"num_key_value_heads": 4, "v_head_dim": 16, "kv_lora_rank": 24, "qk_rope_head_dim": 8}
SMALL |= {"num_experts_per_tok": 2, "first_k_dense_replace": 1}
OURS = {"n_dense": 1, "kv_rank": 24, "rope_dim": 8, "top_k": 2}


def deepseek(rank: bool) -> dict[str, Given]:
    """Return the weights of a small DeepSeek model: its first layer has no experts, its second has."""
    names = {"kv_down": "kv_a_proj_with_mqa", "kv_norm": "kv_a_layernorm", "kv_up": "kv_b_proj", "out": "o_proj"}
    names |= {"q_down": "q_a_proj", "q_norm": "q_a_layernorm", "q_up": "q_b_proj"} if rank else {"q": "q_proj"}
    found: dict[str, Given] = dict(ENDS)
    for ours, theirs in (("first_layers.0.", "model.layers.0."), ("layers.0.", "model.layers.1.")):
        norms = {"norm_1": "input_layernorm", "norm_2": "post_attention_layernorm"}
        pairs = {f"latent_attention.{mine}": f"self_attn.{other}" for mine, other in names.items()} | norms
        found |= same({f"{ours}{mine}": f"{theirs}{other}" for mine, other in pairs.items()})
    experts, mlp = "layers.0.mlp.moe.", "model.layers.1.mlp."
    found |= joined("first_layers.0.mlp.ffn.up", "model.layers.0.mlp.", "gate_proj up_proj")
    found |= same({"first_layers.0.mlp.ffn.down": "model.layers.0.mlp.down_proj"})
    found |= joined(f"{experts}shared.up", f"{mlp}shared_experts.", "gate_proj up_proj")
    found |= same({f"{experts}shared.down": f"{mlp}shared_experts.down_proj", f"{experts}router": f"{mlp}gate"})
    found |= {f"{experts}up": f"{mlp}experts.gate_up_proj", f"{experts}down": f"{mlp}experts.down_proj"}
    return found | ({f"{experts}choice_bias": f"{mlp}gate.e_score_correction_bias"} if rank else {})


def taps(name: str) -> Callable[..., Tensor]:
    """Return how the taps of a convolution of theirs, [features, 1, size], become ours."""

    def taken(weights: Weights, i: int) -> Tensor:
        return weights[name.format(i=i)][:, 0].T

    return taken


def mamba(ours: str, theirs: str, names: Mapping[str, str]) -> dict[str, Given]:
    """Return the weights of a state space: those that all have, and `names` besides."""
    names = {"parts.weight": "in_proj.weight", "taps.bias": "conv1d.bias", "out.weight": "out_proj.weight", **names}
    names = {"decay_log": "A_log", "skip": "D", **names}
    found: dict[str, Given] = {f"{ours}.{mine}": f"{theirs}.{other}" for mine, other in names.items()}
    return {**found, f"{ours}.taps.weight": taps(f"{theirs}.conv1d.weight")}


def halves(weights: Weights, i: int) -> tuple[Tensor, Tensor]:
    """Return the queries' matrix of Qwen3-Next and the gates', which stand in turn, head by head."""
    both = weights[f"model.layers.{i}.self_attn.q_proj.weight"].view(4, 2, 16, -1)
    return both[:, 0].flatten(0, 1), both[:, 1].flatten(0, 1)


def attended(weights: Weights, i: int) -> Tensor:
    """Return the matrix of queries, keys and values of Qwen3-Next."""
    rest = [weights[f"model.layers.{i}.self_attn.{each}_proj.weight"] for each in ("k", "v")]
    return torch.cat((halves(weights, i)[0], *rest))


def delta(weights: Weights, i: int) -> Tensor:
    """Return the first matrix of a Gated DeltaNet of Qwen3-Next, whose rows stand by key head, as ours."""
    place = f"model.layers.{i}.linear_attn"
    first = weights[f"{place}.in_proj_qkvz.weight"].view(2, 6 + 6 + 12 + 12, -1).split((6, 6, 12, 12), 1)
    second = weights[f"{place}.in_proj_ba.weight"].view(2, 4, -1).split((2, 2), 1)
    return torch.cat([each.flatten(0, 1) for each in (*first, *second)])


NEXT: dict[str, Given] = {
    **ENDS,
    "layers.{i}.mix.gated_delta.parts.weight": delta,
    "layers.{i}.mix.gated_delta.taps.weight": taps("model.layers.{i}.linear_attn.conv1d.weight"),
    **{
        f"layers.{{i}}.mix.gated_delta.{mine}": f"model.layers.{{i}}.linear_attn.{other}"
        for mine, other in {
            "dt_bias": "dt_bias",
            "decay_log": "A_log",
            "norm.weight": "norm.weight",
            "out.weight": "out_proj.weight",
        }.items()
    },
    "layers.{i}.mix.attention.qkv.weight": attended,
    "layers.{i}.mix.attention.gate.weight": lambda w, i: halves(w, i)[1],
    **same({f"layers.{{i}}.mix.attention.{each}_norm": f"model.layers.{{i}}.self_attn.{each}_norm" for each in "qk"}),
    **same({"layers.{i}.mix.attention.out": "model.layers.{i}.self_attn.o_proj"}),
    **same(
        {
            f"layers.{{i}}.norm_{n}": f"model.layers.{{i}}.{each}_layernorm"
            for n, each in enumerate(("input", "post_attention"), 1)
        }
    ),
    "layers.{i}.moe.router.weight": "model.layers.{i}.mlp.gate.weight",
    "layers.{i}.moe.up": "model.layers.{i}.mlp.experts.gate_up_proj",
    "layers.{i}.moe.down": "model.layers.{i}.mlp.experts.down_proj",
    **joined("layers.{i}.moe.shared.up", "model.layers.{i}.mlp.shared_expert.", "gate_proj up_proj"),
    **same({"layers.{i}.moe.shared.down": "model.layers.{i}.mlp.shared_expert.down_proj"}),
    **same({"layers.{i}.moe.shared_gate": "model.layers.{i}.mlp.shared_expert_gate"}),
}
JAMBA = {"dt.weight": "dt_proj.weight", "dt.bias": "dt_proj.bias", "select.weight": "x_proj.weight"}
JAMBA |= {f"{each}_norm.weight": f"{each}_layernorm.weight" for each in ("dt", "b", "c")}
MODELS: dict[str, Published] = {
    "deepseek_v3": Published(
        "DeepseekV3ForCausalLM",
        {"rope_parameters": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}},
        DEEPSEEK,
        deepseek(rank=True),
        {**SMALL, "q_lora_rank": 12, "n_group": 2, "topk_group": 1},
        {**OURS, "q_rank": 12, "n_groups": 2},
    ),
    "deepseek_v2_lite": Published(
        "DeepseekV2ForCausalLM",
        {
            "vocab_size": 102400,
            "hidden_size": 2048,
            "num_hidden_layers": 27,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "q_lora_rank": None,
            "intermediate_size": 10944,
            "moe_intermediate_size": 1408,
            "n_routed_experts": 64,
            "n_shared_experts": 2,
            "num_experts_per_tok": 6,
            "first_k_dense_replace": 1,
            "rope_parameters": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
        },
        DEEPSEEK,
        deepseek(rank=False),
        SMALL,
        OURS,
    ),
    "mamba2": Published(
        "Mamba2ForCausalLM",
        {
            "vocab_size": 50288,
            "hidden_size": 768,
            "num_hidden_layers": 24,
            "num_heads": 24,
            "head_dim": 64,
            "state_size": 128,
            "n_groups": 1,
            "tie_word_embeddings": True,
        },
        {"vocab_size": "vocab_size", "n_layers": "num_hidden_layers", "d_model": "hidden_size", "head_dim": "head_dim"},
        {
            "tok.weight": "backbone.embeddings.weight",
            **same({"layers.{i}.norm": "backbone.layers.{i}.norm", "norm": "backbone.norm_f"}),
            **mamba(
                "layers.{i}.mamba2",
                "backbone.layers.{i}.mixer",
                {"dt_bias": "dt_bias", "norm.weight": "norm.weight"},
            ),
        },
        {"num_heads": 8, "state_size": 6},
        {"n_heads": 8, "d_state": 6},
    ),
    "qwen3_next": Published(
        "Qwen3NextForCausalLM",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25}},
        {
            "vocab_size": "vocab_size",
            "n_layers": "num_hidden_layers",
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
            "n_kv_heads": "num_key_value_heads",
            "head_dim": "head_dim",
            "n_experts": "num_experts",
            "d_expert": "moe_intermediate_size",
        },
        NEXT,
        {
            "num_hidden_layers": 4,
            "shared_expert_intermediate_size": 32,
            "num_experts_per_tok": 2,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 6,
            "linear_value_head_dim": 6,
        },
        {"n_layers": 4, "n_states": 4, "state_dim": 6, "top_k": 2},
    ),
    "jamba": Published(
        "JambaForCausalLM",
        {},
        {
            "vocab_size": "vocab_size",
            "n_layers": "num_hidden_layers",
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
            "n_kv_heads": "num_key_value_heads",
            "d_ff": "intermediate_size",
            "n_experts": "num_experts",
        },
        {
            **{**ENDS, "norm.weight": "model.final_layernorm.weight"},
            **same(
                {
                    f"layers.{{i}}.norm_{n}": f"model.layers.{{i}}.{each}_layernorm"
                    for n, each in ((1, "input"), (2, "pre_ff"))
                }
            ),
            **mamba("layers.{i}.mix.mamba", "model.layers.{i}.mamba", JAMBA),
            **{name.replace("attention.", "mix.attention."): each for name, each in ATTENTION.items()},
            **joined("layers.{i}.mlp.ffn.up", "model.layers.{i}.feed_forward.", "gate_proj up_proj"),
            **same({"layers.{i}.mlp.ffn.down": "model.layers.{i}.feed_forward.down_proj"}),
            "layers.{i}.mlp.moe.router.weight": "model.layers.{i}.feed_forward.router.weight",
            "layers.{i}.mlp.moe.up": "model.layers.{i}.feed_forward.experts.gate_up_proj",
            "layers.{i}.mlp.moe.down": "model.layers.{i}.feed_forward.experts.down_proj",
        },
        {"mamba_d_state": 6, "mamba_dt_rank": 3, "num_hidden_layers": 6},
        {"d_state": 6, "dt_rank": 3, "n_layers": 6},
    ),
}
