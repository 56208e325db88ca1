"""deepseek_v3: latent attention; experts chosen by groups with a bias of their own, and one that all share."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import OWN, Manner, decoder
from tfdsl.weights.recipes import GATED, Tree, experts, rope


def spec(c: Config) -> Tree:
    """Return the spec of a DeepSeek-V3 or R1."""
    c.only("topk_method", "noaux_tc")
    c.only("scoring_func", "sigmoid")
    c.only("moe_layer_freq", 1)
    c.inert("head_dim", "qk_head_dim", "num_key_value_heads", "ep_size", "aux_loss_alpha", "seq_aux")
    layers, dense = c.whole("num_hidden_layers", 61), c.whole("first_k_dense_replace", 3)
    fields: Tree = {
        "scores": "sigmoid",
        "choice_bias": True,
        "groups": c.whole("n_group", 8),
        "top_groups": c.whole("topk_group", 4),
        "group_best": 2,
        "scale": c.number("routed_scaling_factor", 2.5),
    }
    sparse = [layer >= dense for layer in range(layers)]
    tree = latent(c, "deepseek_v3", fields, sparse, c.truth("norm_topk_prob", True))
    further = c.whole("num_nextn_predict_layers", 1)  # what it foretells beyond the next word is not built
    tree["weights"]["ignore"] += [f"model.layers.{layers + each}.*" for each in range(further)]
    return tree


def latent(c: Config, name: str, fields: Tree, sparse: list[bool], renormalised: bool) -> Tree:
    """Return the spec of a decoder with latent attention and experts, which `fields` choose."""
    few, shared = c.whole("q_lora_rank", None), c.whole("n_shared_experts", 0) or 0
    style = "interleaved" if c.truth("rope_interleave", True) else "half"
    fields = {
        "experts": "n_experts",
        "top_k": c.whole("num_experts_per_tok", 8),
        "hidden": "d_expert",
        "activation": c.word("hidden_act", GATED, "silu"),
        **({} if renormalised else {"renormalise": False}),
        **fields,
        **({"shared": f"{shared} * d_expert"} if shared else {}),
    }
    attention = {
        "kv_rank": "kv_rank",
        **({"q_rank": "q_rank"} if few else {}),
        "head_dim": "head_dim",
        "rope_dim": "rope_dim",
        "value_dim": "value_dim",
        "position": rope(c, style=style),
        **({"bias": True} if c.truth("attention_bias", False) else {}),
    }
    entries = experts(f"{OWN}.mlp", "gate_proj", "up_proj", "down_proj", "shared_experts" if shared else "")
    further: Tree = {}
    if "choice_bias" in fields:
        further["layers.$i.moe.choice_bias"] = f"{OWN}.mlp.gate.e_score_correction_bias"
    manner = Manner(
        name,
        attention=attention,
        mixture=fields,
        sparse=sparse,
        experts={**entries, **further},
        kind="latent_attention",
        dims={
            "head_dim": c.whole("qk_nope_head_dim", 128),
            "rope_dim": c.whole("qk_rope_head_dim", 64),
            "value_dim": c.whole("v_head_dim", 128),
            "kv_rank": c.whole("kv_lora_rank", 512),
            **({"q_rank": few} if few else {}),
            "d_expert": c.whole("moe_intermediate_size", 2048),
            "n_experts": c.whole("n_routed_experts", 256),
        },
    )
    return decoder(c, manner)
