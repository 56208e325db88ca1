"""Hyper-connections against the equations of their paper, and against those of DeepSeek-V4 in transformers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tfdsl
from tests import foreign, single
from tests.layers.test_norms import theirs

BODY = "body: [linear: {width: 24, bias: true}]"


def step(h: Tensor, weights: dict[str, Tensor], dynamic: bool, linear: str) -> Tensor:
    """Return Zhu et al. 2024, algorithm 2, stream by stream: h [B, T, n, D]."""
    n = h.size(2)
    u = h - h.mean(-1, keepdim=True)
    if dynamic:
        u = u / (u.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights["norm.weight"] + weights["norm.bias"]
    alpha = weights["alpha"].expand(*h.shape[:3], n + 1)
    beta = weights["beta"].expand(*h.shape[:3])
    if dynamic:
        alpha = alpha + weights["alpha_scale"] * torch.tanh(u @ weights["to_alpha.weight"].T)
        beta = beta + weights["beta_scale"] * torch.tanh((u @ weights["to_beta.weight"].T).squeeze(-1))
    taken = sum(alpha[:, :, i, 0, None] * h[:, :, i] for i in range(n))
    assert isinstance(taken, Tensor)
    made = taken @ weights[f"{linear}.weight"].T + weights[f"{linear}.bias"]
    rows: list[Tensor] = []
    for j in range(n):
        kept = sum(alpha[:, :, i, j + 1, None] * h[:, :, i] for i in range(n))
        rows.append(kept + beta[:, :, j, None] * made)
    return torch.stack(rows, dim=2)


@pytest.mark.parametrize("end", ["sum", "mean"])
@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_hyper_connections(kind: str, end: str) -> None:
    branches = ", ".join(f"hyper_residual: {{{BODY}, connection: {kind}, first: {i}}}" for i in (0, 1))
    ours, x = single.model(f"hyper: {{streams: 3, end: {end}, body: [{branches}]}}"), single.values()
    held, h = ours.state_dict(), x.unsqueeze(2).expand(-1, -1, 3, -1)
    for number in (1, 2):
        own = {key.removeprefix(f"hyper_residual_{number}."): each for key, each in held.items()}
        h = step(h, own, kind == "dynamic", f"linear_{number}")
    single.near(ours(x), h.sum(2) if end == "sum" else h.mean(2), 1e-11)


def test_at_the_start_it_is_a_residual() -> None:
    """With one stream for the branch and the others as they are, the sum is that of pre-norm (section 2.2)."""
    torch.manual_seed(0)
    body = "[norm, linear: 24]"
    ours = tfdsl.build(single.spec(f"hyper: {{streams: 2, body: [hyper_residual: {{body: {body}, first: 1}}]}}"))
    plain = tfdsl.build(single.spec(f"residual: {body}"))
    plain.load_state_dict({key: each for key, each in ours.state_dict().items() if "hyper" not in key})
    x = single.values().float()
    torch.testing.assert_close(ours(x), x + plain(x) + (plain(x) - x), rtol=1e-4, atol=1e-5)
    assert torch.equal(ours.hyper_residual.alpha, torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))


def test_the_manifold_connection_of_deepseek_v4() -> None:
    fields = "connection: {type: manifold, rounds: 3, eps: 1e-3, norm_eps: 1e-2}"
    branch = f"hyper_residual: {{{BODY}, {fields}}}"
    node = f"hyper: {{streams: 3, end: head, eps: 1e-3, norm_eps: 1e-2, body: [{branch}]}}"
    ours, x = single.model(node), single.values()
    sizes = {"hc_mult": 3, "hc_sinkhorn_iters": 3, "hc_eps": 1e-3, "rms_norm_eps": 1e-2, "hidden_size": 24}
    config = foreign.config("DeepseekV4Config", **sizes)
    held = ours.state_dict()
    own = {"fn": "to_mix.weight", "base": "to_mix.bias", "scale": "scale"}
    connection = theirs("deepseek_v4", "DeepseekV4HyperConnection", config)
    single.put(connection, {key: held[f"hyper_residual.{name}"] for key, name in own.items()})
    head = theirs("deepseek_v4", "DeepseekV4HyperHead", config)
    own = {"hc_fn": "to_share.weight", "hc_base": "to_share.bias", "hc_scale": "scale"}
    single.put(head, {key: held[f"hyper.{name}"] for key, name in own.items()})
    with foreign.widened(), torch.no_grad():
        h = x.unsqueeze(2).expand(-1, -1, 3, -1)
        post, comb, taken = connection(h.contiguous())
        made = taken @ held["linear.weight"].T + held["linear.bias"]
        wanted = head(post.unsqueeze(-1) * made.unsqueeze(-2) + comb.mT @ h)
    single.near(ours(x), wanted, 1e-11)


@pytest.mark.parametrize("kind", ["static", "dynamic", "{type: dynamic, norm: rms}", "manifold"])
def test_costs(kind: str) -> None:
    branch = f"hyper_residual: {{body: [norm, linear: 24], connection: {kind}}}"
    for end in ("sum", "head"):
        single.priced(f"hyper: {{streams: 3, end: {end}, body: [{branch}]}}", kept=0.12)


def test_streams_compile_and_export() -> None:
    branch = "hyper_residual: {body: [norm, linear: 24]}"
    ours, x = single.model(f"hyper: {{streams: 3, body: [{branch}]}}"), single.values()
    torch.compiler.reset()
    single.near(torch.compile(ours, fullgraph=True, backend="aot_eager")(x), ours(x))
    single.near(torch.export.export(ours, (x,)).module()(x), ours(x))
