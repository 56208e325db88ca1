"""Attention against the same thing written out: one head, one query, one key at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.layers.flat import flat
from tfdsl.layers import attention
from tfdsl.layers.cache import Cache
from tfdsl.layers.entering import Entering, Sizing
from tfdsl.layers.holding import Holding
from tfdsl.layers.masks import causal_table, window_table
from tfdsl.layers.relative import OwnScores, T5Bias
from tfdsl.layers.rotary import Rotary
from tfdsl.layers.weighing import Leaving, Weighing

WIDTH, HEADS, B, T, S = 24, 4, 2, 7, 5
Attention, CrossAttention = flat("Attention", "attention"), flat("CrossAttention", "cross")
BIASES = ("", "qkv", "qv", "k", "qk")


def drawn(module: torch.nn.Module) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
    return module.double().eval()


def values(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / math.sqrt(float((x * x).mean()) + eps) * weight


@torch.no_grad()
def turned(x: Tensor, place: int, theta: float, style: str) -> Tensor:
    """Return a head's features turned pair by pair, each pair as a complex number (Su et al. 2021, equation 13)."""
    size, found = x.numel(), x.clone()
    for i in range(size // 2):
        a, b = (i, i + size // 2) if style == "half" else (2 * i, 2 * i + 1)
        angle = place * theta ** (-2 * i / size)
        number = complex(float(x[a]), float(x[b])) * complex(math.cos(angle), math.sin(angle))
        found[a], found[b] = number.real, number.imag
    return found


@torch.no_grad()
def attend(q: Tensor, k: Tensor, v: Tensor, may: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """Return (H, T, K): softmax(q k scale + bias) v over the keys that may be read, one query and head at a time."""
    found = torch.zeros(q.shape[0], q.shape[1], v.shape[2], dtype=q.dtype)
    for head in range(q.shape[0]):
        group = head * k.shape[0] // q.shape[0]
        for t in range(q.shape[1]):
            keys = [s for s in range(k.shape[1]) if bool(may[t, s])]
            scores = [
                float(q[head, t] @ k[group, s]) * scale + (float(bias[head, t, s]) if bias is not None else 0.0)
                for s in keys
            ]
            weights = [math.exp(score) for score in scores]
            for s, weight in zip(keys, weights, strict=True):
                found[head, t] += weight / sum(weights) * v[group, s]
    return found


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "sizes": {"head_dim": 10, "scale": 0.7, "out_bias": True},
    "grouped": {"kv_heads": 2, "causal": True},
    "one key head": {"kv_heads": 1},
    "rms": {"q_norm": torch.nn.RMSNorm(6, eps=1e-3), "k_norm": torch.nn.RMSNorm(6, eps=1e-3)},
    **{f"bias {each}": {"bias": each} for each in BIASES},
}


@pytest.mark.parametrize("case", CASES)
def test_self_attention(case: str) -> None:
    options = CASES[case]
    layer, x = drawn(Attention(WIDTH, HEADS, **options)), values(B, T, WIDTH)
    dim, groups = options.get("head_dim", WIDTH // HEADS), options.get("kv_heads", HEADS)
    may = torch.ones(T, T).tril().bool() if options.get("causal") else torch.ones(T, T).bool()
    wanted = torch.zeros(B, T, HEADS * dim, dtype=x.dtype)
    for row in range(B):
        heads = (layer.qkv(x[row])).view(T, HEADS + 2 * groups, dim).transpose(0, 1).clone()
        parts = dict(zip("qkv", heads.split((HEADS, groups, groups)), strict=True))
        if options.get("bias", "qkv") not in ("", "qkv"):
            for letter in options["bias"]:
                parts[letter] = parts[letter] + getattr(layer, f"{letter}_bias").view(-1, 1, dim)
        for letter in "qk" if options.get("q_norm") else "":
            norm = getattr(layer, f"{letter}_norm")
            rows = [rms(each, norm.weight, 1e-3) for each in parts[letter].reshape(-1, dim)]
            parts[letter] = torch.stack(rows).view(-1, T, dim)
        scale = options.get("scale", dim**-0.5)
        wanted[row] = attend(parts["q"], parts["k"], parts["v"], may, scale).transpose(0, 1).reshape(T, -1)
    torch.testing.assert_close(layer(x), layer.out(wanted), rtol=1e-12, atol=1e-12)


def test_its_parts_apart_give_the_same() -> None:
    norms = {name: torch.nn.RMSNorm(6) for name in ("q_norm", "k_norm")}
    sizes, parts = {"kv_heads": 2}, {"fit": Sizing(clip=0.5, **norms), "hold": Holding()}
    weigh, leave = Weighing(WIDTH, HEADS, softcap=2.0, **sizes), Leaving(WIDTH, HEADS, gate_heads=True)
    leave.gate = torch.nn.Linear(WIDTH, HEADS)
    enter = Entering(WIDTH, HEADS, bias="q", **sizes)
    apart = drawn(attention.Attention(enter=enter, weigh=weigh, leave=leave, **parts))
    layer = Attention(WIDTH, HEADS, bias="q", clip=0.5, softcap=2.0, gate=leave.gate, gate_heads=True, **sizes, **norms)
    names = {f"{name}.{key}" for name in ("enter", "fit", "weigh", "leave") for key in layer.state_dict()}
    assert set(apart.state_dict()) <= names
    layer.load_state_dict({name.partition(".")[2]: weight for name, weight in apart.state_dict().items()})
    x = values(B, T, WIDTH)
    assert torch.equal(layer.double().eval()(x), apart(x))


def test_layer_norm_on_queries_and_keys() -> None:
    norms = {name: torch.nn.LayerNorm(6, eps=1e-3) for name in ("q_norm", "k_norm")}
    layer, x = drawn(Attention(WIDTH, HEADS, **norms)), values(1, T, WIDTH)
    q, k, v = layer.qkv(x[0]).view(T, 3 * HEADS, -1).transpose(0, 1).split(HEADS)
    q, k = layer.q_norm(q), layer.k_norm(k)
    wanted = attend(q, k, v, torch.ones(T, T).bool(), 6**-0.5).transpose(0, 1).reshape(T, -1)
    torch.testing.assert_close(layer(x)[0], layer.out(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("style", ["half", "interleaved"])
@pytest.mark.parametrize("rotated", [None, 4])
def test_rotary(style: str, rotated: int | None) -> None:
    layer, x = drawn(Attention(WIDTH, HEADS, causal=True, style=style, rotated=rotated)), values(1, T, WIDTH)
    rope = Rotary(rotated or 6, theta=50.0, style=style)(x)
    q, k, v = layer.qkv(x[0]).view(T, 3 * HEADS, 6).transpose(0, 1).split(HEADS)

    def placed(heads: Tensor) -> Tensor:
        end = rotated or 6
        rows = [[torch.cat((turned(head[t, :end], t, 50.0, style), head[t, end:])) for t in range(T)] for head in heads]
        return torch.stack([torch.stack(each) for each in rows])

    wanted = attend(placed(q), placed(k), v, torch.ones(T, T).tril().bool(), 6**-0.5)
    torch.testing.assert_close(
        layer(x, rope=rope)[0], layer.out(wanted.transpose(0, 1).reshape(T, -1)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("causal", [True, False])
def test_a_relative_table_of_its_own(causal: bool) -> None:
    relative = OwnScores(table=T5Bias(HEADS, 8, 10, causal=causal))
    layer, x = drawn(Attention(WIDTH, HEADS, causal=causal, relative=relative)), values(1, T, WIDTH)
    mask = causal_table(x) if causal else None
    q, k, v = layer.qkv(x[0]).view(T, 3 * HEADS, 6).transpose(0, 1).split(HEADS)
    bias = relative.table(x)[0]
    may = torch.ones(T, T).tril().bool() if causal else torch.ones(T, T).bool()
    wanted = attend(q, k, v, may, 6**-0.5, bias).transpose(0, 1).reshape(T, -1)
    torch.testing.assert_close(layer(x, mask=mask)[0], layer.out(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_heads": 2, "bias": "qkv"},
        {"bias": "qv"},
        {"bias": "k"},
        {"memory_width": 10},
        {"q_norm": torch.nn.RMSNorm(6), "k_norm": torch.nn.RMSNorm(6)},
    ],
)
def test_cross_attention(options: dict[str, Any]) -> None:
    layer, x, memory = (
        drawn(CrossAttention(WIDTH, HEADS, **options)),
        values(1, T, WIDTH),
        values(1, S, options.get("memory_width", WIDTH), seed=2),
    )
    groups, keep = options.get("kv_heads", HEADS), torch.tensor([True, True, True, True, False])
    q, kv = layer.q(x[0]).view(T, HEADS, 6).transpose(0, 1), layer.kv(memory[0]).view(S, 2 * groups, 6).transpose(0, 1)
    k, v = kv.split(groups)
    k = k + (layer.k_bias.view(-1, 1, 6) if options.get("bias") == "k" else 0)
    v = v + (layer.v_bias.view(-1, 1, 6) if options.get("bias") == "qv" else 0)
    if options.get("q_norm"):
        q, k = layer.q_norm(q), layer.k_norm(k)
    wanted = attend(q, k, v, keep.expand(T, S), 6**-0.5).transpose(0, 1).reshape(T, -1)
    torch.testing.assert_close(layer(x, memory, mask=keep.expand(T, S))[0], layer.out(wanted), rtol=1e-12, atol=1e-12)


def test_a_query_that_may_read_nothing_reads_zeros() -> None:
    layer, x = drawn(Attention(WIDTH, HEADS)), values(1, T, WIDTH)
    mask = torch.ones(T, T).bool()
    mask[3] = False
    assert torch.equal(layer(x, mask=mask)[0, 3], torch.zeros(WIDTH, dtype=x.dtype))
    bias = T5Bias(HEADS, 8, 10)(x, mask=mask)
    assert torch.equal(layer(x, mask=bias)[0, 3], torch.zeros(WIDTH, dtype=x.dtype))


def test_dropout_is_on_the_weights_and_only_in_training() -> None:
    layer, x = drawn(Attention(WIDTH, HEADS, dropout=0.5)), values(1, T, WIDTH)
    assert torch.equal(layer(x), layer(x))
    layer.train()
    assert not torch.equal(layer(x), layer(x))


def test_tables() -> None:
    x = values(1, 3, 1)
    assert causal_table(x, 2).int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert causal_table(x, 2, window=2).int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]
    assert window_table(x, 2).int().tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def test_a_cache_makes_memory_keys_once_and_no_room_is_told() -> None:
    layer, x, memory = drawn(CrossAttention(WIDTH, HEADS)), values(1, T, WIDTH), values(1, S, WIDTH, seed=2)
    cache, wanted = Cache(9), layer(x, memory)
    for _ in range(2):
        assert torch.equal(layer(x, torch.zeros_like(memory) if cache.entries else memory, cache=cache), wanted)
        cache.advance()
    assert len(cache.entries) == 1
    with pytest.raises(ValueError, match="the cache has room for 9, not 10 positions"):
        Cache(9).extend(values(1, 10, 2), 1)
