"""Methods of attention against their papers' equations, and the forms of one method against each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.layers.test_attention import values
from tfdsl.layers.cache import Cache
from tfdsl.layers.linear import LinearAttention, RandomFeatures, draw_features
from tfdsl.layers.lowrank import LowRank

B, H, T, K, V = 2, 3, 37, 4, 5

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "elu": lambda x: x + 1 if x > 0 else math.exp(x),
    "relu": lambda x: max(x, 0.0),
    "relu2": lambda x: max(x, 0.0) ** 2,
    "exp": math.exp,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
}


def given(length: int = T, groups: int = H) -> tuple[Tensor, Tensor, Tensor]:
    return values(B, H, length, K, seed=1), values(B, groups, length, K, seed=2), values(B, groups, length, V, seed=3)


def quadratic(q: Tensor, k: Tensor, v: Tensor, causal: bool, keep: Tensor | None = None) -> Tensor:
    """Return sum_j q_i · k_j v_j / sum_j q_i · k_j from a table of all pairs (Katharopoulos et al. 2020, equation 4).

    Nothing over nothing is 0.
    """
    weights = torch.einsum("bhik,bhjk->bhij", q, k)
    if causal:
        weights = weights.tril()
    if keep is not None:
        weights = weights * keep[:, None, None]
    return (torch.einsum("bhij,bhjv->bhiv", weights, v) / weights.sum(-1, keepdim=True)).nan_to_num(0.0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("feature", FUNCTIONS)
def test_linear_attention_is_the_papers_sum(feature: str, causal: bool) -> None:
    q, k, v = given(9)
    applied = [each.clone().apply_(FUNCTIONS[feature]) for each in (q, k)]
    found = LinearAttention(feature, causal=causal, chunk=4)(q, k, v)
    torch.testing.assert_close(found, quadratic(applied[0], applied[1], v, causal), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("feature", ["relu", "relu2"])
def test_a_query_without_features_reads_nothing_and_teaches_nothing(feature: str) -> None:
    q, k, v = given(5)
    q[:, :, 2] = -1
    for each in (q, k, v):
        each.requires_grad_()
    found = LinearAttention(feature, causal=True)(q, k, v)
    (1000 * found).sum().backward()
    assert not found[:, :, 2].any()
    assert all(each.grad is not None and bool(each.grad.isfinite().all()) for each in (q, k, v))


def recurrent(layer: LinearAttention, q: Tensor, k: Tensor, v: Tensor, sizes: list[int]) -> Tensor:
    """Return what a layer gives a few positions at a time, with one state of one size."""
    cache, parts = Cache(0), list[Tensor]()
    for each in zip(*(x.split(sizes, dim=2) for x in (q, k, v)), strict=True):
        parts.append(layer(*each, cache=cache))
        cache.advance()
        assert [tuple(entry.shape[:2]) for entry in cache.entries] == [(B, H)]
    return torch.cat(parts, dim=2)


def performer(kernel: str = "softmax", eps: float = 0.0) -> RandomFeatures:
    features = RandomFeatures(K, 16, K**-0.5, kernel, eps).double()
    draw_features(features.projection, 3)
    return features


@pytest.mark.parametrize("name", ["elu", "performer", "relu performer"])
def test_three_forms_agree(name: str) -> None:
    features = {"elu": None, "performer": performer(), "relu performer": performer("relu", 1e-3)}[name]
    q, k, v = given(groups=H)
    whole = LinearAttention("elu", features, causal=True, chunk=64)(q, k, v)  # one chunk: every pair
    for chunk in (1, 5, 36):
        layer = LinearAttention("elu", features, causal=True, chunk=chunk)
        torch.testing.assert_close(layer(q, k, v), whole, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(recurrent(layer, q, k, v, [1] * T), whole, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(recurrent(layer, q, k, v, [20, 1, 1, 15]), whole, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_has_no_part(causal: bool) -> None:
    q, k, v = given()
    keep = torch.ones(B, T, dtype=torch.bool)
    keep[0, :4], keep[1, -5:] = False, False
    layer = LinearAttention("elu", causal=causal, chunk=8)
    found = layer(q, k, v, keep[:, None, None])
    q, k = (each.clone().apply_(FUNCTIONS["elu"]) for each in (q, k))
    wanted = quadratic(q, k, v, causal, keep)
    torch.testing.assert_close(found[keep[:, None].expand(-1, H, -1)], wanted[keep[:, None].expand(-1, H, -1)])
    assert found.isfinite().all()  # the first four of a causal row see nothing


def test_several_heads_share_a_key() -> None:
    q, k, v = given(groups=1)
    found = LinearAttention("elu", causal=True, shared=H)(q, k, v)
    wanted = LinearAttention("elu", causal=True)(q, k.expand(-1, H, -1, -1), v.expand(-1, H, -1, -1))
    torch.testing.assert_close(found, wanted)


def test_random_features_are_the_papers() -> None:
    """Choromanski et al. 2021, equation 5: h(x) exp(w · x) with h(x) = exp(-|x|² / 2), for both queries and keys."""
    features, (q, k, v) = performer(), given()
    found = LinearAttention(features=features, causal=True, chunk=8)(q, k, v)

    def map_(x: Tensor) -> Tensor:
        x = x * K**-0.25
        return torch.exp(x @ features.projection.T - x.square().sum(-1, keepdim=True) / 2) / math.sqrt(16)

    torch.testing.assert_close(found, quadratic(map_(q), map_(k), v, causal=True), rtol=1e-11, atol=1e-12)


def test_random_features_stand_for_softmax() -> None:
    q, k, v = (0.5 * each for each in given())
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    errors: list[float] = []
    for count in (64, 4096):
        features = RandomFeatures(K, count, K**-0.5).double()
        draw_features(features.projection, 0)
        errors.append(float((LinearAttention(features=features)(q, k, v) - wanted).abs().mean()))
    assert errors[1] < 0.004 < 0.008 < errors[0], errors


def test_a_draw_is_orthogonal_and_as_long_as_normal_rows() -> None:
    weight, again = torch.empty(300, 64, dtype=torch.float64), torch.empty(300, 64)
    draw_features(weight, 5)
    draw_features(again, 5)
    torch.testing.assert_close(again.double(), weight, rtol=1e-6, atol=1e-6)  # the same in each precision
    for block in weight.split(64):
        products = block @ block.T
        assert (products - products.diag().diag()).abs().max() < 1e-12
    assert float(weight.square().sum(1).mean()) == pytest.approx(64, rel=0.05)  # chi-squared of 64
    assert float(weight.square().sum(1).var()) == pytest.approx(128, rel=0.3)


@pytest.mark.parametrize("share", ["none", "heads", "keys_values", "layers"])
@pytest.mark.parametrize("length", [T, 20])
def test_low_rank_attention_is_the_papers(share: str, length: int) -> None:
    """Wang et al. 2020, equation 7: softmax(q (E k)ᵀ / sqrt(d)) (F v), shorter sequences with the first columns."""
    layer = LowRank(6, T, share, heads=H).double()
    q, k, v = given(length)
    for seed, weight in enumerate(layer.parameters()):
        weight.data.copy_(values(*weight.shape, seed=seed + 5))
    shared = values(6, length, seed=9)
    keep = torch.ones(B, length, dtype=torch.bool)
    keep[0, -3:] = False
    found = layer(q, k, v, keep[:, None, None], rank=shared if share == "layers" else None)
    for row in range(B):
        for head in range(H):
            if share == "layers":
                e = f = shared
            else:
                tables = [weight[head] if share == "none" else weight for weight in layer.parameters()]
                e, f = (each[:, :length] for each in (tables[0], tables[-1]))
            real = keep[row].double().unsqueeze(1)
            scores = q[row, head] @ (e @ (k[row, head] * real)).T / math.sqrt(K)
            wanted = scores.softmax(-1) @ (f @ (v[row, head] * real))
            torch.testing.assert_close(found[row, head], wanted, rtol=1e-12, atol=1e-12)
