"""Mixtures of experts against those of transformers, and against the equations of their papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tfdsl
from tests import foreign, single
from tests.layers.test_norms import theirs

SIZES = {"hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": 2}
EIGHT = {"num_experts_per_tok": 2, "num_experts": 8, "num_local_experts": 8, "n_routed_experts": 8}
ROUTER = {"gate.weight": "router.weight"}
EXPERTS = {"experts.gate_up_proj": "up", "experts.down_proj": "down"}
SHARED = "shared_experts"
QWEN2 = {"moe_intermediate_size": 12, "shared_expert_intermediate_size": 20}
DEEPSEEK = {"moe_intermediate_size": 12, "n_shared_experts": 2, "n_group": 4, "topk_group": 2}
MOE = "moe: {experts: 8, top_k: 2, hidden: 12, activation: swiglu"
CASES: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "mixtral": ("", "mixtral", "MixtralSparseMoeBlock", {"intermediate_size": 12}, ""),
    "qwen3": ("", "qwen3_moe", "Qwen3MoeSparseMoeBlock", {"moe_intermediate_size": 12, "norm_topk_prob": True}, ""),
    "qwen3 plain": (
        "renormalise: false",
        "qwen3_moe",
        "Qwen3MoeSparseMoeBlock",
        {"moe_intermediate_size": 12, "norm_topk_prob": False},
        "",
    ),
    "olmoe": ("renormalise: false", "olmoe", "OlmoeSparseMoeBlock", {"intermediate_size": 12}, ""),
    "qwen2": (
        "renormalise: false, shared: 20, shared_gate: true",
        "qwen2_moe",
        "Qwen2MoeSparseMoeBlock",
        QWEN2,
        "shared_expert",
    ),
    "deepseek v2": (
        "renormalise: false, scale: 1.7, shared: 24, groups: 4, top_groups: 2",
        "deepseek_v2",
        "DeepseekV2Moe",
        {**DEEPSEEK, "topk_method": "group_limited_greedy", "routed_scaling_factor": 1.7},
        SHARED,
    ),
    "deepseek v3": (
        "scores: sigmoid, choice_bias: true, scale: 1.7, shared: 24, groups: 4, top_groups: 2, group_best: 2",
        "deepseek_v3",
        "DeepseekV3MoE",
        {**DEEPSEEK, "routed_scaling_factor": 1.7},
        SHARED,
    ),
    "glm 4.5": (
        "scores: sigmoid, choice_bias: true, scale: 1.7, shared: 24, groups: 4, top_groups: 2, group_best: 2",
        "glm4_moe",
        "Glm4MoeMoE",
        {**DEEPSEEK, "routed_scaling_factor": 1.7},
        SHARED,
    ),
    "ernie 4.5": (
        "choice_bias: true, shared: 24",
        "ernie4_5_moe",
        "Ernie4_5_MoeSparseMoeBlock",
        {"moe_intermediate_size": 12, "moe_num_experts": 8, "moe_k": 2, "moe_num_shared_experts": 2},
        SHARED,
    ),
    "jamba": ("renormalise: false", "jamba", "JambaSparseMoeBlock", {"intermediate_size": 12}, ""),
    "minimax": ("", "minimax", "MiniMaxSparseMoeBlock", {"intermediate_size": 12}, ""),
}
CONFIGS = {
    "mixtral": "MixtralConfig",
    "qwen3_moe": "Qwen3MoeConfig",
    "olmoe": "OlmoeConfig",
    "qwen2_moe": "Qwen2MoeConfig",
    "deepseek_v2": "DeepseekV2Config",
    "deepseek_v3": "DeepseekV3Config",
    "glm4_moe": "Glm4MoeConfig",
    "ernie4_5_moe": "Ernie4_5_MoeConfig",
    "jamba": "JambaConfig",
    "minimax": "MiniMaxConfig",
    "phimoe": "PhimoeConfig",
    "llama4": "Llama4TextConfig",
    "gpt_oss": "GptOssConfig",
    "switch_transformers": "SwitchTransformersConfig",
}


def block(family: str, name: str, settings: dict[str, Any]) -> nn.Module:
    """Return a block of transformers."""
    config = foreign.config(CONFIGS[family], **settings)
    config._experts_implementation = "eager"
    return theirs(family, name, config)


def held(model: nn.Module) -> dict[str, Tensor]:
    return {key.removeprefix("moe."): each for key, each in model.state_dict().items()}


def shared(ours: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the weights of their shared layer."""
    gate, up = ours["shared.up.weight"].chunk(2)
    found = {f"{name}.gate_proj.weight": gate, f"{name}.up_proj.weight": up}
    return {**found, f"{name}.down_proj.weight": ours["shared.down.weight"]}


@pytest.mark.parametrize("case", CASES)
def test_mixtures_of_transformers(case: str) -> None:
    fields, family, name, settings, second = CASES[case]
    ours, x = single.model(f"{MOE}, {fields}}}"), single.values()
    other, weights = block(family, name, {**SIZES, **EIGHT, **settings}), held(ours)
    found = {key: weights[value] for key, value in EXPERTS.items()} | (shared(weights, second) if second else {})
    for key, each in other.state_dict().items():
        if key.endswith("e_score_correction_bias"):
            found[key] = weights["choice_bias"].view_as(each)
        elif key.endswith("shared_expert_gate.weight"):
            found[key] = weights["shared_gate.weight"]
        elif key in ("gate.weight", "router.weight"):
            found[key] = weights["router.weight"]
    single.put(other, found)
    with foreign.widened(), torch.no_grad():
        wanted = other(x)
    wanted = wanted[0] if isinstance(wanted, tuple) else wanted
    single.near(ours(x), wanted.view_as(x), 1e-11)
    if case in ("qwen2", "deepseek v3"):
        torch.compiler.reset()
        compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
        single.near(compiled(x), wanted.view_as(x), 1e-11)


@pytest.mark.parametrize("margin", [0.02, 0.6])
def test_phi_moe(margin: float) -> None:
    fields = f"scores: sparsemixer, margin: {margin}, activation: swiglu"
    ours, x = single.model(f"moe: {{experts: 8, top_k: 2, hidden: 12, {fields}}}"), single.values()
    settings = {**SIZES, **EIGHT, "intermediate_size": 12, "router_jitter_noise": margin / 2}
    other, weights = block("phimoe", "PhimoeSparseMoeBlock", settings), held(ours)
    found = {key: weights[value] for key, value in EXPERTS.items()}
    single.put(other, {**found, "router.weight": weights["router.weight"]})
    with foreign.widened(), torch.no_grad():
        single.near(ours(x), other(x.clone()), 1e-11)


def test_gpt_oss() -> None:
    fields = "activation: clamped_swiglu, alpha: 1.4, limit: 0.9, router_bias: true, bias: true"
    ours, x = single.model(f"moe: {{experts: 8, top_k: 2, hidden: 12, {fields}}}"), 3 * single.values()
    other = block("gpt_oss", "GptOssMLP", {**SIZES, **EIGHT, "intermediate_size": 12})
    other.experts.alpha, other.experts.limit = 1.4, 0.9
    weights, found = held(ours), dict[str, Tensor]()
    for ours_, theirs_ in (("up", "gate_up_proj"), ("up_bias", "gate_up_proj_bias")):
        gate, up = weights[ours_].chunk(2, dim=1)
        both = torch.stack((gate, up), dim=2).flatten(1, 2)
        found[f"experts.{theirs_}"] = both.mT if both.dim() == 3 else both
    found |= {"experts.down_proj": weights["down"].mT, "experts.down_proj_bias": weights["down_bias"]}
    found |= {"router.weight": weights["router.weight"], "router.bias": weights["router.bias"]}
    single.put(other, found)
    with torch.no_grad():
        single.near(ours(x), other(x)[0], 1e-11)
    torch.compiler.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    single.near(compiled(x), ours(x), 1e-11)


@pytest.mark.parametrize("top_k", [1, 2])
def test_llama_4_weighs_what_its_experts_take(top_k: int) -> None:
    fields = f"top_k: {top_k}, scores: sigmoid, renormalise: false, weigh: input, shared: 20"
    ours, x = single.model(f"moe: {{experts: 8, hidden: 20, activation: swiglu, {fields}}}"), single.values()
    settings = {**SIZES, **EIGHT, "intermediate_size": 20, "num_experts_per_tok": top_k, "head_dim": 6}
    other, weights = block("llama4", "Llama4TextMoe", settings), held(ours)
    found = {"experts.gate_up_proj": weights["up"].mT, "experts.down_proj": weights["down"].mT}
    found |= {"router.weight": weights["router.weight"], **shared(weights, "shared_expert")}
    single.put(other, found)
    with foreign.widened(), torch.no_grad():
        single.near(ours(x), other(x)[0].view_as(x), 1e-11)


@pytest.mark.parametrize("capacity", [64, 3])
def test_switch(capacity: int) -> None:
    fields = f"top_k: 1, renormalise: false, activation: relu, capacity: {{tokens: {capacity}}}"
    ours, x = single.model(f"moe: {{experts: 4, hidden: 12, {fields}}}"), single.values(2, 17, 24)
    settings = {"d_model": 24, "d_ff": 12, "num_experts": 4, "expert_capacity": capacity, "dropout_rate": 0.0}
    other, weights = block("switch_transformers", "SwitchTransformersSparseMLP", settings), held(ours)
    found = {"router.classifier.weight": weights["router.weight"]}
    for expert in range(4):
        found[f"experts.expert_{expert}.wi.weight"] = weights["up"][expert]
        found[f"experts.expert_{expert}.wo.weight"] = weights["down"][expert]
    single.put(other, found)
    with foreign.widened(), torch.no_grad():
        wanted = other(x)
    single.near(ours(x), wanted, 1e-11)
    assert ((wanted == 0).all(dim=-1).sum() > 0) == (capacity == 3)


def routed(x: Tensor, weights: dict[str, Tensor], top_k: int) -> tuple[Tensor, Tensor]:
    share = (x @ weights["router.weight"].T).softmax(-1)
    return share, share.topk(top_k, dim=-1).indices


@pytest.mark.parametrize("per", ["sequence", "batch"])
def test_capacity_of_two_choices(per: str) -> None:
    """GShard's order, position by position: all first choices, then all second ones."""
    fields = f"capacity: {{factor: 0.6, per: {per}}}"
    ours, x = single.model(f"moe: {{experts: 4, top_k: 2, hidden: 12, {fields}}}"), single.values(2, 9, 24)
    weights = held(ours)
    share, expert = routed(x, weights, 2)
    wanted = torch.zeros_like(x)
    rows = [[0], [1]] if per == "sequence" else [[0, 1]]
    for group in rows:
        room = [-(-0.6 * 9 * len(group) * 2 // 4)] * 4
        for choice in range(2):
            for row in group:
                for t in range(9):
                    e = int(expert[row, t, choice])
                    if room[e] > 0:
                        room[e] -= 1
                        hidden = F.gelu(weights["up"][e] @ x[row, t])
                        part = share[row, t, e] / share[row, t, expert[row, t]].sum()
                        wanted[row, t] += part * (weights["down"][e] @ hidden)
    single.near(ours(x), wanted, 1e-11)


def test_square_roots_of_softplus() -> None:
    ours, x = single.model("moe: {experts: 4, top_k: 2, hidden: 12, scores: sqrt_softplus}"), single.values()
    weights = held(ours)
    score = F.softplus(x @ weights["router.weight"].T).sqrt()
    expert = score.topk(2, dim=-1).indices
    each = torch.einsum("edf,...ef->...ed", weights["down"], F.gelu(torch.einsum("efd,...d->...ef", weights["up"], x)))
    part = torch.zeros_like(score).scatter(-1, expert, score.gather(-1, expert))
    single.near(ours(x), ((part / part.sum(-1, keepdim=True)).unsqueeze(-1) * each).sum(-2), 1e-11)


def test_losses_that_even_out_the_experts() -> None:
    fields = "top_k: 2, hidden: 12, balance_loss: 0.01, z_loss: 0.001"
    node = f"moe: {{experts: 4, {fields}}}"
    ours, x = single.model(node, "linear: 24", node).train(), single.values()
    layers = [each for name, each in ours.named_children() if name.startswith("moe")]
    seen: list[Tensor] = []
    hook = layers[1].register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    ours(x)
    hook.remove()
    wanted = torch.zeros((), dtype=torch.float64)
    for layer, value in zip(layers, (x, seen[0]), strict=True):
        score = value.flatten(0, 1) @ layer.router.weight.T
        share = score.softmax(-1)
        often = F.one_hot(share.topk(2, dim=-1).indices, 4).double().mean(0).sum(0)
        wanted = wanted + 0.01 * 4 * (often * share.mean(0)).sum() + 0.001 * score.logsumexp(-1).square().mean()
    single.near(ours.auxiliary_loss(), wanted)
    ours.auxiliary_loss().backward()
    assert float(layers[0].router.weight.grad.abs().max()) > 0
    torch.compiler.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    compiled(x)
    single.near(ours.auxiliary_loss(), wanted)


def test_the_balance_loss_is_that_of_transformers() -> None:
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    ours, x = single.model("moe: {experts: 4, top_k: 2, hidden: 12, balance_loss: 1}").train(), single.values()
    ours(x)
    score = x.flatten(0, 1) @ held(ours)["router.weight"].T
    with foreign.widened():
        single.near(ours.auxiliary_loss(), load_balancing_loss_func((score,), 4, 2))


def test_a_choice_bias_evens_out_the_experts() -> None:
    """Wang et al. 2024, algorithm 1: in training up by the speed where there were too few, and down where too many."""
    fields = (
        "experts: 4, top_k: 1, hidden: 12, renormalise: false, scores: sigmoid, choice_bias: true, bias_speed: 0.01"
    )
    ours, x = single.model(f"moe: {{{fields}}}"), single.values()
    before = held(ours)["choice_bias"].clone()
    ours(x)
    assert torch.equal(held(ours)["choice_bias"], before)
    expert = ((x @ held(ours)["router.weight"].T).sigmoid() + before).argmax(-1)
    often = F.one_hot(expert, 4).sum((0, 1)).double()
    ours.train()(x)
    single.near(held(ours)["choice_bias"], before + 0.01 * (often.mean() - often).sign())
    assert "moe.choice_bias" not in dict(ours.named_parameters())
    torch.compiler.reset()
    kept = held(ours)["choice_bias"].clone()
    torch.compile(ours, fullgraph=True, backend="aot_eager")(x)
    assert not torch.equal(held(ours)["choice_bias"], kept)


def test_noise_is_the_routers_and_of_training() -> None:
    ours = single.model("moe: {experts: 4, top_k: 4, hidden: 12, jitter: 0.5}")
    x = single.values()
    assert torch.equal(ours(x), ours(x))
    assert not torch.equal(ours.train()(x), ours(x))


def test_a_capacity_is_not_decoded_with_a_cache() -> None:
    text = """
tfdsl: 1
name: m
inputs: {t: {shape: [B, T], vocab: 9}}
model:
  - embed: {from: t, width: 8}
  - attention: {heads: 2, mask: causal}
  - moe: {experts: 2, top_k: 2, hidden: 8CAPACITY}
"""
    assert "new_cache" in tfdsl.compile(tfdsl.check(text.replace("CAPACITY", "")))
    assert "new_cache" not in tfdsl.compile(tfdsl.check(text.replace("CAPACITY", ", capacity: {tokens: 3}")))


OPTIONS = [
    "activation: swiglu",
    "bias: true",
    "scores: sigmoid, choice_bias: true, groups: 4, top_groups: 2",
    "renormalise: false",
    "weigh: input",
    "shared: 10, shared_gate: true",
    "scale: 2",
    "activation: clamped_swiglu",
]


@pytest.mark.parametrize("fields", OPTIONS)
def test_costs(fields: str) -> None:
    single.priced(f"moe: {{experts: 8, top_k: 2, hidden: 20, {fields}}}", kept=0.1)
