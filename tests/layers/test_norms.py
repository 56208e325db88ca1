"""Norms against those of transformers and of torch, and against their equations."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tfdsl
from tests import foreign, single
from tfdsl.layers.norms import RMSNorm


def theirs(family: str, name: str, *arguments: Any, **named: Any) -> nn.Module:
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    return getattr(module, name)(*arguments, **named)


CASES = {
    "llama": ("{type: rms, eps: 1e-3}", "llama", "LlamaRMSNorm", {"eps": 1e-3}),
    "t5": ("{type: rms, eps: 1e-3}", "t5", "T5LayerNorm", {"eps": 1e-3}),
    "gemma": ("{type: rms, eps: 1e-3, offset: true}", "gemma", "GemmaRMSNorm", {"eps": 1e-3}),
    "cohere": ("{type: layer, eps: 1e-3, bias: false}", "cohere", "CohereLayerNorm", {"eps": 1e-3}),
    "olmo": ("{type: layer, weight: false}", "olmo", "OlmoLayerNorm", {}),
    "nemotron": ("{type: layer, eps: 1e-3, offset: true}", "nemotron", "NemotronLayerNorm1P", {"eps": 1e-3}),
}


@pytest.mark.parametrize("case", CASES)
def test_norms_of_transformers(case: str) -> None:
    fields, family, name, named = CASES[case]
    ours, x = single.model(f"norm: {fields}"), single.values()
    other = theirs(family, name, single.WIDTH, **named)
    weights = {key.removeprefix("norm."): each for key, each in ours.state_dict().items()}
    single.put(other, weights)
    with foreign.widened():
        single.near(ours(x), other(x))


def test_a_weightless_rms_norm_is_that_of_llama_4_on_queries() -> None:
    other = theirs("llama4", "Llama4TextL2Norm", eps=1e-3)
    x = single.values()
    with foreign.widened():
        single.near(single.model("norm: {type: rms, eps: 1e-3, weight: false}")(x), other(x))


def test_scale_norm() -> None:
    ours, x = single.model("norm: {type: scale, eps: 1e-5}"), single.values()
    g = ours.state_dict()["norm.weight"]
    single.near(ours(x), g * x / x.square().sum(-1, keepdim=True).sqrt())
    single.near(ours(1e-9 * x), g * 1e-9 * x / 1e-5)  # the released code: the length is at least eps


def test_a_scale_norm_starts_at_the_root_of_the_width() -> None:
    model = tfdsl.build(single.spec("norm: {type: scale}"))
    assert model.norm.weight.item() == pytest.approx(single.WIDTH**0.5)


@pytest.mark.parametrize("weight", [True, False])
def test_unit_norm(weight: bool) -> None:
    ours, x = single.model(f"norm: {{type: l2, weight: {str(weight).lower()}}}"), single.values()
    wanted = F.normalize(x, dim=-1)
    single.near(ours(x), wanted * ours.state_dict()["norm.weight"] if weight else wanted)


def test_dynamic_tanh() -> None:
    ours, x = single.model("norm: {type: dyt}"), single.values()
    alpha, weight, bias = ours.state_dict().values()
    single.near(ours(x), weight * torch.tanh(alpha * x) + bias)


@pytest.mark.parametrize("bias", [True, False])
def test_an_affine_layer_is_the_no_norm_of_mobilebert(bias: bool) -> None:
    ours, x = single.model(f"norm: {{type: affine, bias: {str(bias).lower()}}}"), single.values()
    weights = {key.removeprefix("norm."): each for key, each in ours.state_dict().items()}
    other = theirs("mobilebert", "NoNorm", single.WIDTH)
    single.put(other, {"bias": torch.zeros(single.WIDTH), **weights})
    single.near(ours(x), other(x))


@pytest.mark.parametrize("groups", [1, 3, 8])
def test_groups(groups: int) -> None:
    ours, x = single.model(f"norm: {{type: layer, groups: {groups}, eps: 1e-3}}"), single.values()
    weight, bias = ours.state_dict().values()
    wanted = F.group_norm(x.flatten(0, 1), groups, weight, bias, eps=1e-3).view_as(x)
    single.near(ours(x), wanted)
    ours = single.model(f"norm: {{type: rms, groups: {groups}, eps: 1e-3}}")
    parts = x.unflatten(-1, (groups, -1))
    parts = parts / (parts.square().mean(-1, keepdim=True) + 1e-3).sqrt()
    single.near(ours(x), parts.flatten(-2) * ours.state_dict()["norm.weight"])


@pytest.mark.parametrize("fields", ["offset: true", "groups: 3", "groups: 3, offset: true", "bias: true"])
def test_fields_together(fields: str) -> None:
    for kind in ("layer", "rms"):
        ours, x = single.model(f"norm: {{type: {kind}, eps: 1e-3, {fields}}}"), single.values()
        parts = x.unflatten(-1, (3 if "groups" in fields else 1, -1))
        parts = parts - parts.mean(-1, keepdim=True) if kind == "layer" else parts
        wanted = (parts / (parts.square().mean(-1, keepdim=True) + 1e-3).sqrt()).flatten(-2)
        held = ours.state_dict()
        wanted = wanted * (held["norm.weight"] + ("offset" in fields)) + held.get("norm.bias", 0)
        single.near(ours(x), wanted)


@pytest.mark.parametrize("shape", [(5, 24), (3, 7, 24), (2, 4, 7, 24)])
def test_the_gradients_of_the_fast_rms_norm(shape: tuple[int, ...]) -> None:
    layer, x = RMSNorm(24, eps=1e-3).double(), single.values(*shape).requires_grad_()
    torch.nn.init.normal_(layer.weight)
    slope = single.values(*shape, seed=2)

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-3) * weight

    ours = torch.autograd.grad(layer(x), (x, layer.weight), slope)
    wanted = torch.autograd.grad(plain(x, layer.weight), (x, layer.weight), slope)
    for found, each in zip(ours, wanted, strict=True):
        single.near(found, each)
    with torch.no_grad():
        single.near(layer(x), plain(x, layer.weight))
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    single.near(compiled(x), plain(x, layer.weight))


def test_an_rms_norm_in_bfloat16_is_as_exact_as_torchs() -> None:
    layer, x = RMSNorm(24).bfloat16(), single.values().bfloat16()
    assert torch.equal(layer(x), F.rms_norm(x, (24,), layer.weight, 1e-6))


FIELDS = ["layer", "rms", "scale", "l2", "dyt", "affine"]
MORE = ["rms, weight: false", "rms, offset: true", "rms, groups: 4", "layer, groups: 4", "layer, weight: false"]


@pytest.mark.parametrize("fields", [*FIELDS, *MORE, "rms, bias: true", "l2, weight: true", "layer, offset: true"])
def test_costs(fields: str) -> None:
    single.priced(f"norm: {{type: {fields}}}")
