"""What no model of `transformers` has, against the equations; and what holds of all fields."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests.attention import T, causal, ours, values

PADDED = """
tfdsl: 1
name: padded
inputs: {{t: {{shape: [B, T], vocab: 40, pad: 0}}}}
model:
  - embed: {{from: t, width: 32}}
  - attention: {{heads: 4, mask: {mask}, {fields}}}
"""
FIELDS = (
    "softcap: 0.5",
    "sinks: learned",
    "sinks: zero",
    "softcap: 0.5, sinks: learned",
    "talking_heads: {at: before, bias: true}, softcap: 0.5",
    "talking_heads: after, sinks: zero",
    "differential: 0.5, gate: {per: head}",
    "value_dim: 6, out_norm: rms",
)


def drawn(text: str) -> nn.Module:
    """Return a model in float64 whose weights are all random."""
    model = tfdsl.build(tfdsl.check(text)).double().eval()
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.3 * torch.randn(each.shape, generator=torch.Generator().manual_seed(each.numel())))
    return model


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max().detach())


@pytest.mark.parametrize("mask", ["causal", "full"])
@pytest.mark.parametrize("fields", FIELDS)
def test_padding_on_either_side_changes_nothing(fields: str, mask: str) -> None:
    model = drawn(PADDED.format(mask=mask, fields=fields))
    tokens, nothing = torch.randint(1, 40, (1, 5)), torch.zeros(1, 3, dtype=torch.long)
    whole = model(torch.cat((nothing, tokens), dim=1))
    assert far(whole[:, 3:], model(tokens)) < 1e-12
    assert far(model(torch.cat((tokens, nothing), dim=1))[:, :5], model(tokens)) < 1e-12
    whole.sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters())
    none = model(torch.zeros(1, 4, dtype=torch.long))
    assert torch.equal(none, torch.zeros_like(none)), "who may read nothing reads zeros"


CROSS = """
tfdsl: 1
name: cross
inputs: {{x: {{shape: [B, T, 32], dtype: float}}}}
model:
  - attention: {{from: x, heads: 4, {fields}}}
"""


@pytest.mark.parametrize(
    "fields", [*FIELDS, "qk_norm: {type: rms, over: all}, v_norm: rms", "kv_heads: 2, clip_qkv: 0.3"]
)
@pytest.mark.parametrize("bias", ["true", "{q: true, v: true}"])
def test_attention_to_oneself_as_to_another_is_self_attention(fields: str, bias: str) -> None:
    alone, cross = (drawn(CROSS.format(fields=f"{fields}, bias: {bias}{more}")) for more in ("", ", kv: x"))
    given = dict(alone.named_parameters())
    with torch.no_grad():
        for name, each in cross.named_parameters():
            fused = given.get(name.replace(".q.", ".qkv.").replace(".kv.", ".qkv."))
            rows = each.shape[0]
            if name in given:
                each.copy_(given[name])
            elif fused is None:  # a bias of its own
                each.copy_(given["attention.q_bias"])
            else:
                each.copy_(fused[:rows] if ".q." in name else fused[-rows:])
    x = values(32)
    assert far(cross(x), alone(x)) < 1e-12


def heads(x: Tensor, count: int) -> Tensor:
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def shown(weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return queries, keys and values of four heads, and the scores of what may be seen."""
    q, k, v = (heads(each, 4) for each in (x @ weights["qkv.weight"].T).chunk(3, dim=-1))
    return q, k, v, (q @ k.mT / 12**0.5)


def random(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    names = {name.replace("__", "."): shape for name, shape in shapes.items()}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) / 5 for name, shape in names.items()}


@pytest.mark.parametrize("at", ["before", "after", "both"])
def test_talking_heads(at: str) -> None:
    """Shazeer et al. 2020, section 3: logits and weights, each times a matrix over the heads."""
    mixes = {f"{name}__weight": (4, 4) for name in ("before", "after") if at in (name, "both")}
    weights, x = random(qkv__weight=(144, 48), out__weight=(48, 48), **mixes), values()
    _, _, v, scores = shown(weights, x)
    if at != "after":
        scores = torch.einsum("bhts,gh->bgts", scores, weights["before.weight"])
    shares = scores.masked_fill(causal(), -torch.inf).softmax(-1)
    if at != "before":
        shares = torch.einsum("bhts,gh->bgts", shares, weights["after.weight"])
    wanted = (shares @ v).transpose(1, 2).flatten(2) @ weights["out.weight"].T
    assert far(ours(f"heads: 4, mask: causal, talking_heads: {at}", weights)(x), wanted) < 1e-12


def test_off_by_one_softmax() -> None:
    """exp(s) / (1 + sum exp(s))."""
    weights, x = random(qkv__weight=(144, 48), out__weight=(48, 48)), values()
    _, _, v, scores = shown(weights, x)
    shares = scores.exp().masked_fill(causal(), 0)
    wanted = (shares / (1 + shares.sum(-1, keepdim=True)) @ v).transpose(1, 2).flatten(2) @ weights["out.weight"].T
    assert far(ours("heads: 4, mask: causal, sinks: zero", weights)(x), wanted) < 1e-12


TWO = """
tfdsl: 1
name: two
inputs: {{x: {{shape: [B, T, 48], dtype: float}}}}
defaults: {{attention: {{heads: 4, mask: causal}}}}
model:
  - attention: {{id: one, from: x, keep: first}}
  - attention: {{id: two, {fields}}}
"""


def both(fields: str) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    model, x = drawn(TWO.format(fields=fields)), values()
    return model, {name: each.detach() for name, each in model.named_parameters()}, x


def read(q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> Tensor:
    shares = (q @ k.mT / 12**0.5).masked_fill(causal(), -torch.inf).softmax(-1)
    return (shares @ v).transpose(1, 2).flatten(2) @ out.T


def test_keys_and_values_of_an_earlier_layer() -> None:
    model, weights, x = both("reuse: first")
    q, k, v, _ = shown({"qkv.weight": weights["one.qkv.weight"]}, x)
    y = read(q, k, v, weights["one.out.weight"])
    wanted = read(heads(y @ weights["two.q.weight"].T, 4), k, v, weights["two.out.weight"])
    assert far(model(x), wanted) < 1e-12
    decoded(model, x, wanted, entries=2)


@pytest.mark.parametrize("learned", ["false", "true"])
def test_values_of_the_first_layer(learned: str) -> None:
    """Zhou et al. 2024, equation 4: V = λ1 V_1 + λ2 V."""
    mix = f"value_mix: {{own: 0.3, kept: 0.6, learned: {learned}}}"
    model, weights, x = both(f"value_residual: first, {mix}")
    q, k, first, _ = shown({"qkv.weight": weights["one.qkv.weight"]}, x)
    y = read(q, k, first, weights["one.out.weight"])
    q, k, v, _ = shown({"qkv.weight": weights["two.qkv.weight"]}, y)
    own, kept = (
        weights[f"two.residual.{name}"] if learned == "true" else n for name, n in (("own", 0.3), ("kept", 0.6))
    )
    wanted = read(q, k, own * v + kept * first, weights["two.out.weight"])
    assert far(model(x), wanted) < 1e-12
    decoded(model, x, wanted, entries=4)


def decoded(model: nn.Module, x: Tensor, wanted: Tensor, entries: int) -> None:
    cache = model.new_cache(T)
    parts = [model(part, cache=cache) for part in x.split([5, 1, 4, 1, 2], dim=1)]
    assert far(torch.cat(parts, dim=1), wanted) < 1e-12
    assert len(cache.entries) == entries


def test_heads_and_widths_may_differ_by_layer() -> None:
    """OpenELM (Mehta et al. 2024, section 2.1): each layer has heads and hidden units of its own."""
    head = "tfdsl: 1\nname: elm\ninputs: {x: {shape: [B, T, 48], dtype: float}}\n"
    layer = "attention: {{heads: {}, kv_heads: {}, head_dim: 12, mask: causal, position: rope}}"
    scaled = f"""{head}
blocks:
  layer:
    params: {{h: 1, g: 1, f: 1}}
    body: [residual: [norm, {layer.format("$h", "$g")}], residual: [norm, ffn: $f]]
model:
  - norm: {{from: x}}
  - repeat: {{block: layer, times: 3, vary: {{h: 2 * layer + 2, g: {{list: [1, 2, 2]}}, f: 16 * (layer + 1)}}}}
"""
    plain = f"{head}model:\n  - norm: {{from: x}}\n"
    for h, g, f in ((2, 1, 16), (4, 2, 32), (6, 2, 48)):
        plain += f"  - residual: [norm, {layer.format(h, g)}]\n  - residual: [norm, ffn: {f}]\n"
    one, two = drawn(scaled), drawn(plain)
    with torch.no_grad():
        for ours_, theirs in zip(one.parameters(), two.parameters(), strict=True):
            theirs.copy_(ours_)
    assert far(one(values()), two(values())) < 1e-12
