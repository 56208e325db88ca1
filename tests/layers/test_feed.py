"""Feed-forward layers and activations against those of transformers, and against their equations."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from tests import foreign, single
from tests.layers.test_norms import theirs
from tfdsl.activations import GATES, Gated, Pointwise

NAMES = {
    "relu": "relu",
    "relu2": "relu2",
    "relu6": "relu6",
    "leaky_relu": "leaky_relu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "gelu_quick": "quick_gelu",
    "gelu_10": "gelu_10",
    "silu": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "sqrt_softplus": "sqrtsoftplus",
    "hard_swish": "hardswish",
    "laplace": "laplace",
    "identity": "linear",
    "xielu": "xielu",
}
EQUATIONS = {
    "gelu_rounded": lambda x: 0.5 * x * (1 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x))),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "selu": lambda x: 1.0507009873554804934 * torch.where(x > 0, x, 1.6732632423543772848 * (x.exp() - 1)),
    "softplus": lambda x: (1 + x.exp()).log(),
    "softsign": lambda x: x / (1 + x.abs()),
    "hard_sigmoid": lambda x: ((x + 3) / 6).clamp(0, 1),
    "exp": lambda x: x.exp(),
}


def function(name: str, weights: dict[str, Tensor] | None = None) -> Any:
    """Return an activation by other hands."""
    if name in EQUATIONS:
        return EQUATIONS[name]
    with foreign.widened():
        made: Any = ACT2FN[NAMES[name]]
        made.double()
    for key, each in (weights or {}).items():
        made.state_dict()[key].copy_(each)
    return made


def called(made: Any, x: Tensor) -> Tensor:
    with foreign.widened(), torch.no_grad():
        return made(x)


def test_every_activation_is_compared() -> None:
    assert {*NAMES, *EQUATIONS} == set(get_args(Pointwise))


@pytest.mark.parametrize("name", get_args(Pointwise))
def test_activations(name: str) -> None:
    ours, x = single.model(f"activation: {name}"), 3 * single.values()
    weights = {key.removeprefix("activation."): each for key, each in ours.state_dict().items()}
    single.near(ours(x), called(function(name, weights), x), 1e-8 if name == "xielu" else 1e-12)
    single.priced(f"activation: {name}", kept=0.06 if name == "xielu" else 0.005)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", get_args(Pointwise))
def test_hidden_units(name: str, gated: bool) -> None:
    node = f"ffn: {{hidden: 9, activation: {name}, gated: {str(gated).lower()}, bias: true}}"
    ours, x = single.model(node), single.values()
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    xielu = {key.removeprefix("xielu."): held[key] for key in held if "xielu" in key}
    hidden = x @ held["up.weight"].T + held["up.bias"]
    act = function(name, xielu)
    hidden = called(act, hidden[..., :9]) * hidden[..., 9:] if gated else called(act, hidden)
    single.near(ours(x), hidden @ held["down.weight"].T + held["down.bias"], 1e-8 if name == "xielu" else 1e-12)
    for dropout in (0, 0.1):
        fields = f"hidden: 9, activation: {name}, gated: {str(gated).lower()}, dropout: {dropout}"
        # A mask of dropout takes a byte an element, and counts as one as large.
        single.priced(f"ffn: {{{fields}}}", kept=None if dropout else 0.06 if name == "xielu" else 0.005)


@pytest.mark.parametrize("name", sorted(set(get_args(Gated)) - {"clamped_swiglu"}))
def test_a_gated_name_is_its_function_gated(name: str) -> None:
    one = single.model(f"ffn: {{hidden: 9, activation: {name}}}")
    other = single.model(f"ffn: {{hidden: 9, activation: {GATES[name]}, gated: true}}")
    assert torch.equal(one(single.values()), other(single.values()))


def mlp(width: int, hidden: int, **settings: Any) -> Any:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    return foreign.config("LlamaConfig", hidden_size=width, intermediate_size=hidden, **heads, **settings)


def gate_up(weights: dict[str, Tensor], kind: str = "weight") -> dict[str, Tensor]:
    gate, up = weights[f"up.{kind}"].chunk(2)
    return {f"gate_proj.{kind}": gate, f"up_proj.{kind}": up, f"down_proj.{kind}": weights[f"down.{kind}"]}


@pytest.mark.parametrize("bias", [True, False])
def test_llama(bias: bool) -> None:
    ours = single.model(f"ffn: {{hidden: 40, activation: swiglu, bias: {str(bias).lower()}}}")
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    other = theirs("llama", "LlamaMLP", mlp(single.WIDTH, 40, mlp_bias=bias))
    single.put(other, {**gate_up(held), **(gate_up(held, "bias") if bias else {})})
    single.near(ours(single.values()), other(single.values()))


def test_bitnet_norms_its_hidden_units() -> None:
    ours = single.model("ffn: {hidden: 40, activation: relu2_glu, norm: {type: rms, eps: 1e-3}}")
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    sizes = {"hidden_size": single.WIDTH, "intermediate_size": 40, "rms_norm_eps": 1e-3, "hidden_act": "relu2"}
    other = theirs("bitnet", "BitNetMLP", foreign.config("BitNetConfig", **sizes))
    single.put(other, {**gate_up(held), "ffn_sub_norm.weight": held["norm.weight"]})
    with foreign.widened():
        single.near(ours(single.values()), other(single.values()))


def test_a_layer_norm_of_hidden_units() -> None:
    ours, x = single.model("ffn: {hidden: 9, activation: gelu, norm: {type: layer, eps: 1e-3}}"), single.values()
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    hidden = nn.functional.gelu(x @ held["up.weight"].T)
    hidden = (hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, keepdim=True, unbiased=False) + 1e-3).sqrt()
    hidden = hidden * held["norm.weight"] + held["norm.bias"]
    single.near(ours(x), hidden @ held["down.weight"].T)


def test_falcon_h1_scales_the_gate() -> None:
    ours = single.model("ffn: {hidden: 40, activation: swiglu, gate_scale: 0.7}", "scale: 1.3")
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    sizes = {"hidden_size": single.WIDTH, "intermediate_size": 40, "mlp_multipliers": [0.7, 1.3]}
    other = theirs("falcon_h1", "FalconH1MLP", foreign.config("FalconH1Config", **sizes))
    single.put(other, gate_up(held))
    single.near(ours(single.values()), other(single.values()))


def test_limits() -> None:
    ours, x = single.model("ffn: {hidden: 9, activation: swiglu, limit: 0.3}"), 4 * single.values()
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    gate, up = (x @ held["up.weight"].T).chunk(2, -1)
    wanted = nn.functional.silu(gate.clamp(max=0.3)) * up.clamp(-0.3, 0.3)
    single.near(ours(x), wanted @ held["down.weight"].T)
    ours = single.model("ffn: {hidden: 9, activation: clamped_swiglu, alpha: 1.3, limit: 0.3}")
    held = {key.removeprefix("ffn."): each for key, each in ours.state_dict().items()}
    gate, up = (x @ held["up.weight"].T).chunk(2, -1)
    gate, up = gate.clamp(max=0.3), up.clamp(-0.3, 0.3)
    single.near(ours(x), ((up + 1) * gate * torch.sigmoid(1.3 * gate)) @ held["down.weight"].T)
    single.priced("ffn: {hidden: 9, activation: clamped_swiglu}")
    single.priced("ffn: {hidden: 9, activation: swiglu, limit: 3}")
    single.priced("ffn: {hidden: 9, activation: swiglu, norm: rms}")
    single.priced("ffn: {hidden: 9, activation: swiglu, gate_scale: 3}")


@pytest.mark.parametrize("bias", ["true", "{up: true}", "{down: true}"])
def test_biases(bias: str) -> None:
    single.priced(f"ffn: {{hidden: 9, bias: {bias}}}")
