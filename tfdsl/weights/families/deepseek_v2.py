"""deepseek_v2: latent attention, experts chosen by softmax, some that all share."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.families.deepseek_v3 import latent
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of a DeepSeek-V2 or V2-Lite."""
    c.only("scoring_func", "softmax")
    c.only("moe_layer_freq", 1)
    c.only("mlp_bias", False)
    c.only("norm_topk_prob", False)
    c.inert("head_dim", "qk_head_dim", "num_key_value_heads", "ep_size", "aux_loss_alpha", "seq_aux")
    layers, dense = c.whole("num_hidden_layers", 32), c.whole("first_k_dense_replace", 0)
    fields: Tree = {"scale": c.number("routed_scaling_factor", 1.0)}
    grouped = c.word("topk_method", {"greedy": False, "group_limited_greedy": True}, False)
    c.inert("n_group", "topk_group")
    if grouped:
        fields |= {"groups": c.whole("n_group"), "top_groups": c.whole("topk_group")}
    c.only("rope_interleave", True)
    return latent(c, "deepseek_v2", fields, [layer >= dense for layer in range(layers)], False)
