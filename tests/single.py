"""One node as a model by itself, its weights random, in float64: to compare with the same thing by other hands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import tfdsl
from tests import measure
from tfdsl import building
from tfdsl.checking import Checked

WIDTH = 24


def spec(*nodes: str, head: str = "") -> Checked:
    """Return a checked spec of nodes over `x` [B, T, 24]; `head` holds other sections of the document."""
    first, *rest = nodes
    kind, _, fields = first.partition(":")
    begun = f"{kind}: {{from: x, {fields.strip()[1:]}" if fields.strip().startswith("{") else ""
    first = begun or (f"{kind}: {{from: x}}" if not fields else f"scale: {{from: x, by: 1}}\n  - {first}")
    pipe = "\n".join(f"  - {each}" for each in (first, *rest))
    checked = tfdsl.check(
        f"tfdsl: 1\nname: one\n{head}inputs: {{x: {{shape: [B, T, {WIDTH}], dtype: float}}}}\nmodel:\n{pipe}\n"
    )
    assert checked.ok, [each.message for each in checked.diagnostics]
    return checked


def model(*nodes: str, head: str = "", seed: int = 0) -> nn.Module:
    """Return what a spec of nodes builds, in float64 and for inference, every weight and buffer random."""
    torch.manual_seed(seed)
    made = building.build(spec(*nodes, head=head)).double().eval()
    with torch.no_grad():
        for each in (*made.parameters(), *made.buffers()):
            each.add_(torch.randn_like(each) * 0.3)
    return made


def values(*shape: int, seed: int = 1) -> Tensor:
    """Return random numbers in float64; of shape [3, 7, 24] if none is given."""
    return torch.randn(shape or (3, 7, WIDTH), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def near(found: Tensor, wanted: Tensor, bar: float = 1e-12) -> None:
    """Assert that two tensors are as good as equal."""
    assert found.shape == wanted.shape
    assert float((found - wanted).detach().abs().max()) <= bar


def put(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Fill a foreign module's parameters and buffers, all of them, and return it."""
    module.double().load_state_dict(weights)
    return module.eval()


def priced(*nodes: str, head: str = "", kept: float | None = 0.005) -> None:
    """Assert that parameters, FLOPs forward and backward, and (unless None) bytes kept are what torch finds."""
    checked = spec("linear: {width: 24}", *nodes, head=head)
    axes = {"B": 3, "T": 16}
    cost, lazy = tfdsl.cost(checked, axes), building.meta(checked)
    assert cost.parameters == sum(each.numel() for each in lazy.parameters())
    assert (cost.forward, cost.training) == measure.flops(lazy, measure.inputs(checked, axes, "meta"))
    if kept is not None:
        real: Any = measure.kept(building.build(checked), measure.inputs(checked, axes))
        assert abs(cost.activations - real) <= kept * real, (cost.activations, real)
