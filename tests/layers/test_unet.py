"""U-nets against the loop over their blocks, written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests import single

DOWN, UP = "residual: [norm: rms, ffn: 9]", "residual: [norm: {type: layer, eps: 1e-3}, ffn: 7]"


def blocks(join: str) -> str:
    first = "linear: 24, " if join == "concat" else ""
    return f"blocks: {{down: [{DOWN}], up: [{first}{UP}]}}\n"


@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize("join", ["add", "concat"])
def test_the_way_up_takes_what_the_way_down_gave(join: str, middle: bool) -> None:
    between = ", middle: [linear: 24]" if middle else ""
    ours = single.model(f"unet: {{down: down, up: up, times: 3, join: {join}{between}}}", head=blocks(join))
    held, x = ours.state_dict(), single.values()

    def ffn(copy: int, value: Tensor) -> Tensor:
        return F.gelu(value @ held[f"unet.{copy}.ffn.up.weight"].T) @ held[f"unet.{copy}.ffn.down.weight"].T

    value, skips = x, list[Tensor]()
    for copy in range(3):
        weight = held[f"unet.{copy}.norm.weight"]
        value = value + ffn(copy, F.rms_norm(value, (24,), weight, 1e-6))
        skips.append(value)
    if middle:
        value = value @ held["linear.weight"].T
    for copy, skip in zip((3, 4, 5), reversed(skips), strict=True):
        value = value + skip if join == "add" else torch.cat((value, skip), dim=-1)
        if join == "concat":
            value = value @ held[f"unet.{copy}.linear.weight"].T
        weight, bias = held[f"unet.{copy}.norm.weight"], held[f"unet.{copy}.norm.bias"]
        value = value + ffn(copy, F.layer_norm(value, (24,), weight, bias, 1e-3))
    single.near(ours(x), value, 1e-11)


@pytest.mark.parametrize("join", ["add", "concat"])
def test_costs(join: str) -> None:
    node = f"unet: {{down: down, up: up, times: 3, join: {join}, middle: [norm]}}"
    single.priced(node, head=blocks(join), kept=0.1)


def test_one_block_may_go_both_ways() -> None:
    single.priced("unet: {down: down, up: down, times: 2}", head=f"blocks: {{down: [{DOWN}]}}\n", kept=0.1)
