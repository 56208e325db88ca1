"""Cached decoding of every spec in `specs/`: what it gives, and the bytes that it holds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests import measure, shrunk
from tfdsl import building, costing, shapes
from tfdsl.ragged import ragged
from tfdsl.sampling import cached

LENGTH = 41
ALIKE = {"gpt2_large", "gpt2_medium", "gpt2_xl", "gpt3", "transformer_big"}  # shrunk, they are GPT-2 and Transformer
NAMES = [name for name in shrunk.decoding() if name not in ALIKE]
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


@cache
def ragged_model(name: str) -> Any:
    """Return the model that takes documents, with the weights of the other; None where documents would mix."""
    checked = ragged(shrunk.checked(name))
    if checked is None:
        return None
    model: Any = building.build(checked).double().eval()
    model.load_state_dict(shrunk.model(name).state_dict())
    return model


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2, deadline=None)
@given(cuts=CUTS)
@torch.no_grad()
def test_rows_of_many_lengths_give_what_each_gives_alone(name: str, cuts: list[int]) -> None:
    model, (*fixed, tokens) = ragged_model(name), inputs(name, 3, LENGTH)
    if model is None or fixed:
        return
    lengths, cache, found = (LENGTH, 7, 24), model.new_cache(LENGTH), list[Tensor]()
    told = (torch.arange(LENGTH) >= LENGTH - torch.tensor(lengths)[:, None]).long()
    for part, documents in zip(tokens.tensor_split(cuts, 1), told.tensor_split(cuts, 1), strict=True):
        found.append(model(part, documents, cache=cache))
    for row, length in enumerate(lengths):
        alone = shrunk.model(name)(tokens[row : row + 1, -length:])
        torch.testing.assert_close(torch.cat(found, 1)[row : row + 1, -length:], alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_it_holds_the_bytes_that_cost_tells(name: str) -> None:
    checked = shrunk.checked(name)
    names = {symbol for value in checked.inputs.values() for symbol in shapes.symbols(value.tensor.count)}
    for dtype, precision in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        model = copy.deepcopy(shrunk.model(name)).to(dtype)
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


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_its_rows_go_on_in_any_order_and_number(name: str) -> None:
    model, (*fixed, growing), rows = shrunk.model(name), inputs(name, 3, LENGTH), torch.tensor([2, 0, 2, 2])
    cache = model.new_cache(LENGTH)
    model(*fixed, growing[:, :30], cache=cache)
    cached.pick(cache, rows)
    fixed, growing = [each[rows] for each in fixed], growing[rows]
    found = model(*fixed, growing[:, 30:], cache=cache)
    torch.testing.assert_close(found, model(*fixed, growing)[:, 30:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_its_newest_positions_are_forgotten(name: str) -> None:
    model, (*fixed, growing) = shrunk.model(name), inputs(name, 2, LENGTH)
    cache = model.new_cache(LENGTH)
    model(*fixed, growing[:, :17], cache=cache)
    for start in (17, 26):  # 5 positions are read that are right, and 4 that are not
        mark = cached.mark(cache)
        model(*fixed, torch.cat((growing[:, start : start + 5], growing[:, 2:6]), 1), cache=cache)
        if cached.back(cache, mark, 4):
            model(*fixed, growing[:, start : start + 5], cache=cache)
        model(*fixed, growing[:, start + 5 : start + 9], cache=cache)
    found = model(*fixed, growing[:, 35:], cache=cache)
    torch.testing.assert_close(found, model(*fixed, growing)[:, 35:], rtol=1e-10, atol=1e-10)
