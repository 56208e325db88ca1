"""Cached decoding of every spec in `specs/`: what it gives, and the bytes that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests import measure, shrunk
from tfdsl import building, costing, shapes
from tfdsl.sampling import cached

LENGTH = 41
NAMES = list(shrunk.decoding())
CUTS = st.sets(st.integers(1, LENGTH - 1), max_size=9).map(sorted)


def inputs(name: str, rows: int, length: int) -> list[Tensor]:
    """Return what a model takes: of what may be padded, the second row ends in padding. What grows comes last."""
    torch.manual_seed(3)
    checked = shrunk.checked(name)
    found = measure.inputs(checked, {"B": rows, "S": 9, "T": length}, dtype=torch.float64)
    for value, tensor in zip(checked.inputs.values(), found, strict=True):
        if value.name in checked.pads and len(checked.inputs) > 1:
            tensor[-1, tensor.size(1) * 3 // 4 :] = checked.pads[value.name]
    return found


def parts(model: Any, cuts: Sequence[int], *given: Tensor) -> Tensor:
    """Return what a model gives for inputs whose last is cut at these positions, with a cache."""
    *fixed, growing = given
    cache = model.new_cache(growing.size(1))
    pieces = growing.tensor_split(list(cuts), dim=1)
    return torch.cat([model(*fixed, each, cache=cache) for each in pieces], dim=1)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4, deadline=None)
@given(cuts=CUTS)
@torch.no_grad()
def test_it_gives_what_the_whole_forward_does(name: str, cuts: list[int]) -> None:
    model, given = shrunk.model(name), inputs(name, 2, LENGTH)
    torch.testing.assert_close(parts(model, cuts, *given), model(*given), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_it_holds_the_bytes_that_cost_tells(name: str) -> None:
    checked = shrunk.checked(name)
    names = {symbol for value in checked.inputs.values() for symbol in shapes.symbols(value.tensor.count)}
    for dtype, precision in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        model: Any = building.build(checked).to(dtype).eval()
        for length in (9, LENGTH):
            cache = model.new_cache(length)
            axes = {"B": 2, "S": 9, "T": length}
            *fixed, growing = measure.inputs(checked, axes, dtype=dtype)
            for part in growing.split([6, 1, 2, *[16] * (length // 16)][: 3 if length == 9 else 5], dim=1):
                model(*fixed, part, cache=cache)
            wanted = costing.count(
                checked, {name: length for name, length in axes.items() if name in names}, precision=precision
            ).cache
            assert (cached.size(cache), length, precision) == (wanted, length, precision)
