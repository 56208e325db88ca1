"""Positions, feed-forward layers, mixtures and pools against what papers say, written out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.layers.flat import flat
from tests.layers.test_attention import drawn, values
from tfdsl.layers.added import Prepend
from tfdsl.layers.feedforward import FeedForward
from tfdsl.layers.patch import Patch
from tfdsl.layers.pooling import last_of_kept, max_of_kept, mean_of_kept
from tfdsl.layers.position import LearnedPosition, SinusoidalPosition
from tfdsl.layers.relative import T5Bias

FUNCTIONS = {
    "relu": lambda x: max(x, 0.0),
    "relu2": lambda x: max(x, 0.0) ** 2,
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}

MixtureOfExperts = flat("MixtureOfExperts", "experts")


@torch.no_grad()
def each(function: str, x: Tensor) -> Tensor:
    return torch.tensor([FUNCTIONS[function](float(value)) for value in x.flatten()], dtype=x.dtype).view_as(x)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_feed_forward(activation: str, gated: bool) -> None:
    layer = drawn(FeedForward(6, 5, activation=activation, gated=gated, bias=True, down_bias=True))
    x = values(2, 3, 6)
    hidden = layer.up(x)
    if gated:
        gate, hidden = hidden[..., :5], hidden[..., 5:]
        hidden = each(activation, gate) * hidden
    else:
        hidden = each(activation, hidden)
    torch.testing.assert_close(layer(x), layer.down(hidden), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_mixture_of_experts(gated: bool, top_k: int) -> None:
    layer = drawn(MixtureOfExperts(6, 5, experts=4, top_k=top_k, activation="silu", gated=gated))
    x = values(2, 9, 6)
    wanted = torch.zeros_like(x)
    for row in range(2):
        for t in range(9):
            shares = layer.router(x[row, t]).softmax(dim=-1)
            chosen = shares.argsort(descending=True)[:top_k]
            for expert in chosen.tolist():
                hidden = layer.up[expert] @ x[row, t]
                hidden = F.silu(hidden[:5]) * hidden[5:] if gated else F.silu(hidden)
                wanted[row, t] += shares[expert] / shares[chosen].sum() * (layer.down[expert] @ hidden)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-12, atol=1e-12)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 33, 200])
def test_the_blocks_of_a_compiled_mixture_give_its_gradients(rows: int) -> None:
    layer, x = drawn(MixtureOfExperts(6, 5, experts=4, top_k=2)), values(1, rows, 6)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    plain = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    blocks = torch.autograd.grad(compiled(x).square().sum(), list(layer.parameters()))
    torch.testing.assert_close(blocks, plain, rtol=1e-9, atol=1e-9)


def test_sinusoidal_positions() -> None:
    added = SinusoidalPosition(6)(torch.zeros(1, 4, 6, dtype=torch.float64), start=3)[0]
    for t in range(4):
        for i in range(3):
            angle = (t + 3) / 10000 ** (2 * i / 6)
            assert float(added[t, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-14)
            assert float(added[t, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-14)
    apart = SinusoidalPosition(6, style="concatenated")(torch.zeros(1, 4, 6, dtype=torch.float64), start=3)[0]
    assert torch.equal(apart, torch.cat((added[:, ::2], added[:, 1::2]), dim=1))


def test_learned_positions_and_tokens() -> None:
    learned, tokens, x = drawn(LearnedPosition(5, 6)), drawn(Prepend(2, 6)), values(2, 3, 6)
    assert torch.equal(learned(x, 2), x + learned.weight[2:])
    assert torch.equal(tokens(x), torch.cat((tokens.weight.expand(2, 2, 6), x), dim=1))
    assert tokens(x, 4) is x


def bucket(distance: int, causal: bool, buckets: int, far: int) -> int:
    """Return T5's bucket of a distance, key minus query (Raffel et al. 2020, and their released code)."""
    first = 0
    if causal:
        distance = max(-distance, 0)
    else:
        buckets //= 2
        first = buckets if distance > 0 else 0
        distance = abs(distance)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    step = math.log(distance / exact) / math.log(far / exact) * (buckets - exact)
    return first + min(exact + int(step + 1e-9), buckets - 1)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (8, 10), (16, 20)])
def test_relative_buckets(causal: bool, buckets: int, far: int) -> None:
    distance = torch.arange(-300, 301)
    found = T5Bias(1, buckets, far, causal=causal).bucket(distance).tolist()
    assert found == [bucket(each, causal, buckets, far) for each in distance.tolist()]


def test_relative_bias() -> None:
    layer = drawn(T5Bias(2, 8, 10, causal=True))
    found = layer(values(1, 2, 4), start=3)[0]
    assert found.shape == (2, 2, 5)
    for t in range(2):
        for s in range(5):
            assert torch.equal(found[:, t, s], layer.weight[bucket(s - t - 3, True, 8, 10)])


def test_patches() -> None:
    layer, x = drawn(Patch(3, 5, 2)), values(1, 3, 4, 6)
    weight = layer.weight.flatten(1)
    squares = [x[0, :, i : i + 2, j : j + 2].flatten() for i in (0, 2) for j in (0, 2, 4)]
    wanted = torch.stack([weight @ each + layer.bias for each in squares])
    torch.testing.assert_close(layer(x)[0], wanted, rtol=1e-12, atol=1e-12)


def test_pools_leave_padding_out() -> None:
    x, keep = values(2, 4, 3), torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]]).bool()
    torch.testing.assert_close(mean_of_kept(x, keep), torch.stack([x[0, :3].mean(0), x[1, 0]]), rtol=1e-12, atol=1e-12)
    assert torch.equal(max_of_kept(x, keep), torch.stack([x[0, :3].amax(0), x[1, 0]]))
    assert torch.equal(last_of_kept(x, keep), torch.stack([x[0, 2], x[1, 0]]))
