"""The primitives, each against torch or einops in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import einops
import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests import measure
from tests.six import spread
from tfdsl import building

HEAD = """
tfdsl: 1
name: m
inputs: {inputs}
model:
  - {node}
"""
EXAMPLE = Path(__file__).parents[1] / "examples" / "attention_by_hand.yaml"


def made(node: str, **shapes: str) -> nn.Module:
    """Return the model that is one node over inputs of numbers."""
    inputs = ", ".join(f"{name}: {{shape: [{shape}], dtype: float}}" for name, shape in shapes.items())
    checked = tfdsl.check(HEAD.replace("{inputs}", f"{{{inputs}}}").replace("{node}", node))
    assert not checked.diagnostics, checked.diagnostics
    return spread(tfdsl.build(checked)).double().eval()


def values(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


MOVES: list[tuple[str, dict[str, int], str, tuple[int, ...]]] = [
    ("b t (h d) -> b h t d", {"h": 3}, "B, T, 12", (2, 5, 12)),
    ("b t (h d) -> b h t d", {"d": 3}, "B, T, 12", (2, 5, 12)),
    ("b h t d -> b t (h d)", {}, "B, 3, T, 4", (2, 3, 5, 4)),
    ("b t (p h d) -> p b h t d", {"p": 3, "h": 2}, "B, T, 12", (2, 5, 12)),
    ("b c (h p) (w q) -> b (h w) (p q c)", {"p": 2, "q": 4}, "B, 3, 8, 8", (2, 3, 8, 8)),
    ("b (h w) c -> b c h w", {"h": 2}, "B, 6, 5", (2, 6, 5)),
    ("b t c -> b c t", {}, "B, T, 3", (2, 5, 3)),
    ("... d -> d ...", {}, "B, 4, 5, 3", (2, 4, 5, 3)),
    ("b ... (h d) -> b h ... d", {"h": 2}, "B, 4, 5, 6", (2, 4, 5, 6)),
    ("b t 1 -> b t", {}, "B, T, 1", (2, 5, 1)),
    ("b t -> b 1 t 1", {}, "B, T", (2, 5)),
    ("b d -> b n d", {"n": 4}, "B, 3", (2, 3)),
    ("b g t d -> b (g r) t d", {"r": 2}, "B, 3, T, 4", (2, 3, 5, 4)),
    ("B T D -> B (T D)", {}, "B, 4, 3", (2, 4, 3)),
    ("b 1 (x y) c -> (y c) b x", {"x": 2}, "B, 1, 6, 3", (2, 1, 6, 3)),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "length"), MOVES)
def test_rearrange_is_that_of_einops(pattern: str, sizes: dict[str, int], shape: str, length: tuple[int, ...]) -> None:
    told = ", ".join(f"{name}: {size}" for name, size in sizes.items())
    model, x = made(f"rearrange: {{from: x, pattern: {pattern!r}, sizes: {{{told}}}}}", x=shape), values(*length)
    left, right = (side.replace("(", " ").replace(")", " ").split() for side in pattern.split("->"))
    does = einops.repeat if set(right) - set(left) - {"1"} else einops.rearrange
    same(model(x), does(x, pattern, **sizes))


@pytest.mark.parametrize("by", ["mean", "sum", "max", "min"])
@pytest.mark.parametrize(
    ("pattern", "sizes"), [("b t d -> b d", {}), ("b (t s) d -> b t d", {"s": 2}), ("b (t s) d -> s b", {"t": 2})]
)
def test_reduce_is_that_of_einops(pattern: str, sizes: dict[str, int], by: str) -> None:
    told = ", ".join(f"{name}: {size}" for name, size in sizes.items())
    model = made(f"reduce: {{from: x, pattern: {pattern!r}, by: {by}, sizes: {{{told}}}}}", x="B, 4, 3")
    x = values(2, 4, 3)
    same(model(x), einops.reduce(x, pattern, by, **sizes))


PRODUCTS = [
    ("b h t k, b h s k -> b h t s", "B, 3, T, 4", "B, 3, S, 4", (2, 3, 5, 4), (2, 3, 6, 4)),
    ("b h t s, b h s k -> b h t k", "B, 3, T, S", "B, 3, S, 4", (2, 3, 5, 6), (2, 3, 6, 4)),
    ("b t d, b t d -> b t d", "B, T, 4", "B, T, 4", (2, 5, 4), (2, 5, 4)),
    ("b t d, d e -> b t e", "B, T, 4", "4, 6", (2, 5, 4), (4, 6)),
    ("b d, c d -> b c", "B, 4", "C, 4", (2, 4), (5, 4)),
    ("b t d, b t -> b d", "B, T, 4", "B, T", (2, 5, 4), (2, 5)),
    ("... d, ... d -> ...", "B, T, 4", "B, T, 4", (2, 5, 4), (2, 5, 4)),
    ("b t d, b s e -> b t e", "B, T, 4", "B, S, 3", (2, 5, 4), (2, 6, 3)),
    ("batch time dim, batch time dim_two -> batch dim dim_two", "B, T, 4", "B, T, 3", (2, 5, 4), (2, 5, 3)),
]


@pytest.mark.parametrize(("pattern", "one", "two", "first", "second"), PRODUCTS)
def test_einsum_is_that_of_einops_and_costs_what_torch_counts(
    pattern: str, one: str, two: str, first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    model, x, y = made(f"einsum: {{from: [x, y], pattern: {pattern!r}}}", x=one, y=two), values(*first), values(*second)
    same(model(x, y), einops.einsum(x, y, pattern))
    text = f"""
tfdsl: 1
name: m
inputs: {{x: {{shape: [{one}], dtype: float}}, y: {{shape: [{two}], dtype: float}}}}
model:
  - linear: {{id: other, from: y, width: {second[-1] if two[-1].isdigit() else 1}}}
  - linear: {{from: x, width: {first[-1] if one[-1].isdigit() else 1}}}
  - einsum: {{pattern: {pattern!r}, with: other}}
"""
    if two[-1].isdigit() and one[-1].isdigit():
        checked = tfdsl.check(text)
        axes = {
            name: size for name, size in {"B": 2, "T": 5, "S": 6, "C": 5}.items() if name in tfdsl.cost(checked).axes
        }
        cost = tfdsl.cost(checked, axes)
        given = measure.inputs(checked, axes, "meta")
        assert (cost.forward, cost.training) == measure.flops(building.meta(checked), given)


def test_softmax_along_any_axis() -> None:
    x = values(2, 3, 4)
    for axis in (-1, -2, 0, 1):
        same(made(f"softmax: {{from: x, axis: {axis}}}", x="B, T, 4")(x), x.softmax(axis))


def table(T: int, S: int, window: int | None, causal: bool) -> Tensor:
    """Return which keys a query sees, written out."""
    seen = torch.zeros(T, S, dtype=torch.bool)
    for t in range(T):
        for s in range(S):
            apart = (t + S - T) - s
            seen[t, s] = (apart >= 0 or not causal) and (window is None or abs(apart) < window)
    return seen


@pytest.mark.parametrize(
    ("mask", "window", "causal"),
    [
        ("causal", None, True),
        ("{type: sliding, window: 2}", 2, True),
        ("{type: sliding, window: 2, causal: false}", 2, False),
    ],
)
@pytest.mark.parametrize("size", [(5, 5), (2, 5)])
def test_a_mask_hides_what_it_says(mask: str, window: int | None, causal: bool, size: tuple[int, int]) -> None:
    x = values(2, 3, *size)
    wanted = x.masked_fill(~table(*size, window, causal), -torch.inf).softmax(-1)
    same(made(f"softmax: {{from: x, mask: {mask}}}", x="B, 3, T, S")(x), wanted)
    same(made(f"mask: {{from: x, hide: {mask}}}", x="B, 3, T, S")(x).softmax(-1), wanted)


def test_a_query_that_sees_nothing_gets_nothing_and_trains_on() -> None:
    text = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 9, pad: 0}}
model:
  - embed: {from: tokens, width: 4}
  - einsum: {id: score, pattern: "b t d, e d -> b t e", with: other}
  - softmax: {axis: 1}
"""
    model = tfdsl.build(tfdsl.check(text.replace("model:\n", "model:\n  - parameter: {id: other, shape: [3, 4]}\n", 1)
                                    .replace("embed: {from", "embed: {from"))).double()  # fmt: skip
    found = spread(model)(torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0]]))
    assert torch.equal(found[1], torch.zeros(4, 3, dtype=torch.float64))
    same(found[0, :2].sum(0), torch.ones(3, dtype=torch.float64))
    found.square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters() if each.grad is not None)


SLICES: list[tuple[str, Any]] = [
    ("start: 1", lambda x: x[..., 1:]),
    ("stop: 2", lambda x: x[..., :2]),
    ("start: 1, stop: 3", lambda x: x[..., 1:3]),
    ("start: -2", lambda x: x[..., -2:]),
    ("stop: -1", lambda x: x[..., :-1]),
    ("at: 0", lambda x: x[..., 0]),
    ("at: -1", lambda x: x[..., -1]),
    ("start: 1, axis: -2", lambda x: x[:, 1:]),
    ("stop: -1, axis: 1", lambda x: x[:, :-1]),
    ("at: 2, axis: 1", lambda x: x[:, 2]),
    ("at: 0, axis: 0", lambda x: x[0]),
]


@pytest.mark.parametrize(("fields", "does"), SLICES)
def test_slice_is_pythons(fields: str, does: Any) -> None:
    x = values(2, 5, 4)
    same(made(f"slice: {{from: x, {fields}}}", x="B, T, 4")(x), does(x))


def test_softcap() -> None:
    x = 9 * values(2, 5, 4)
    same(made("softcap: {from: x, cap: 5}", x="B, T, 4")(x), 5 * torch.tanh(x / 5))


@pytest.mark.parametrize(
    ("node", "does"),
    [
        ("sum: {from: [x, y, z]}", lambda x, y, z: x + y + z),
        ("sum: {from: [z, x], with: y}", lambda x, y, z: z + x + y),
        ("multiply: {from: [x, z, y]}", lambda x, y, z: x * z * y),
        ("multiply: {from: x, with: [y, z]}", lambda x, y, z: x * y * z),
        ("sum: {from: x, pipes: [[scale: 2], [scale: 3]], with: [y, z]}", lambda x, y, z: 2 * x + 3 * x + y + z),
        ("concat: {from: [x, y], with: w}", lambda x, y, z: torch.cat((x, y, z.expand_as(x)), -1)),
        ("concat: {from: [x, y], with: w, axis: -2}", lambda x, y, z: torch.cat((x, y, z.expand_as(x)), 1)),
        ("concat: {from: x, with: [y, w], axis: 1}", lambda x, y, z: torch.cat((x, y, z.expand_as(x)), 1)),
    ],
)
def test_joins_of_named_values(node: str, does: Any) -> None:
    x, y, z = values(2, 5, 4), values(2, 5, 4, seed=1), values(5, 1, seed=2)
    more = "sum: {id: w, from: z, with: u}\n  - " if node.startswith("concat") else ""
    model = made(more + node, x="B, T, 4", y="B, T, 4", z="T, 1", **({"u": "B, T, 4"} if more else {}))
    same(model(x, y, z, *([torch.zeros_like(x)] if more else [])), does(x, y, z))


def test_a_parameter_starts_as_it_says() -> None:
    text = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, T, 4], dtype: float}}
outputs: {shifted: [B, T, 4], queries: [B, 3, 4]}
model:
  shifted:
    - parameter: {id: one, shape: [], init: 2.5}
    - parameter: {id: two, shape: [4], init: zeros}
    - parameter: {id: three, shape: [5, 4], init: ones}
    - sum: {from: [x, one, two]}
  queries:
    - parameter: {id: four, shape: [3, 4], batch: x}
"""
    model = tfdsl.build(tfdsl.check(text))
    weights = dict(model.named_parameters())
    assert weights["shifted.one.weight"].shape == () and float(weights["shifted.one.weight"].detach()) == 2.5
    assert torch.equal(weights["shifted.two.weight"], torch.zeros(4))
    assert torch.equal(weights["shifted.three.weight"], torch.ones(5, 4))
    assert 0 < float(weights["queries.four.weight"].detach().std()) < 0.05
    x = torch.randn(2, 5, 4)
    found = model(x)
    same(found["shifted"], x + 2.5)
    assert torch.equal(found["queries"], weights["queries.four.weight"].expand(2, 3, 4))


def test_a_name_that_is_the_end_of_another_starts_in_its_own_way() -> None:
    text = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, 4], dtype: float}}
blocks: {inner: [multiply: [[norm], [parameter: {id: a, shape: [4], init: 2}]]]}
model:
  - linear: {from: x, width: 4}
  - use: inner
  - multiply: [[norm], [parameter: {id: a, shape: [4], init: 3}]]
"""
    weights = dict(tfdsl.build(tfdsl.check(text)).named_parameters())
    assert (weights["inner.a.weight"].mean().item(), weights["a.weight"].mean().item()) == (2, 3)


@pytest.mark.parametrize("pad", [0, 2])
def test_attention_written_by_hand_is_the_kind_attention(pad: int) -> None:
    model = spread(tfdsl.build(tfdsl.check(EXAMPLE))).double()
    weights = dict(model.named_parameters())
    with torch.no_grad():
        weights["by_hand.qkv.weight"].copy_(weights["of_the_kind.kind.qkv.weight"])
        weights["by_hand.out.weight"].copy_(weights["of_the_kind.kind.out.weight"])
    tokens = torch.randint(1, 256, (2, 13), generator=torch.Generator().manual_seed(0))
    tokens[0, :pad] = 0  # on the left: the first queries see nothing
    tokens[1, 13 - pad :] = 0
    found = model(tokens)
    assert float((found["by_hand"] - found["of_the_kind"]).detach().abs().max()) < 1e-12
    for each in found.values():
        model.zero_grad()
        each.square().sum().backward(retain_graph=True)
        assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)
