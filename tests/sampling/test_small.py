"""Weights in bfloat16 and int8: near the model's own, each row by itself, and in no place where they do not belong."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tests import shrunk
from tfdsl import building, heads
from tfdsl.ragged import ragged
from tfdsl.sampling import ready, small
from tfdsl.sampling.layout import share

SPECS = ["gpt2", "deepseek_v2_lite", "mamba2"]
NEAR: dict[small.Weights, float] = {"bfloat16": 0.02, "int8": 0.06}


@pytest.fixture(autouse=True)
def every_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "LEAST", 1)
    monkeypatch.setattr(small, "PACKED", {"bfloat16": 1, "int8": 1})


def shrink(name: str, weights: small.Weights, plain: bool) -> tuple[Any, Any]:
    model = copy.deepcopy(shrunk.model(name)).float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.5)  # far from where what is added up hides what is rounded
    other = copy.deepcopy(model)
    small.shrink(other, weights, plain)
    return ready(model), ready(other)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", SPECS)
def test_logits_stay_near_and_rows_apart(name: str, weights: small.Weights, plain: bool) -> None:
    model, other = shrink(name, weights, plain)
    tokens = torch.randint(0, 39, (3, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, given = model(tokens), other(tokens)
        alone = other(tokens[1:2])
    assert 0 < (given - wanted).norm() / wanted.norm() < NEAR[weights]
    if weights == "int8":
        torch.testing.assert_close(given[1:2], alone, rtol=1e-4, atol=1e-5)


def test_whole_numbers_reach_127_in_each_row_and_give_zero_for_zero() -> None:
    weight = torch.randn(5, 7)
    weight[2] = 0
    whole, scale = small.rounded(weight)
    assert whole.abs().amax(1).tolist() == [127, 127, 0, 127, 127]
    assert ((whole * scale[:, None] - weight).abs() <= scale[:, None] / 2 + 1e-7).all()


def test_what_a_layer_reads_by_itself_and_embeddings_stay() -> None:
    _, other = shrink("deepseek_v2_lite", "int8", False)
    kinds = {name: type(module) for name, module in other.named_modules()}
    assert {kind for name, kind in kinds.items() if name.endswith("kv_up")} == {nn.Linear}
    assert {kind for name, kind in kinds.items() if name.endswith("kv_down")} == {small.Int8}
    assert nn.Embedding in kinds.values()


def test_a_small_head_scores_the_positions_that_are_asked_of_the_large_one() -> None:
    model: Any = copy.deepcopy(shrunk.model("gpt2")).float()
    head = heads.leaving(model, heads.of(shrunk.checked("gpt2")))
    assert head is not None
    small.shrink(model, "int8")
    tokens = torch.arange(6)[None]
    with torch.inference_mode():
        whole = model(tokens)
        head.last = 2
        torch.testing.assert_close(model(tokens), whole[:, -2:])
    assert model.tok.weight.dtype == torch.float32


def test_a_model_of_rows_of_several_lengths_shares_small_weights() -> None:
    model: Any = copy.deepcopy(shrunk.model("llama2_7b")).float()
    small.shrink(model, "int8")
    told = ragged(shrunk.checked("llama2_7b"))
    assert told is not None
    parted: Any = share(building.meta(told), ready(model))
    tokens = torch.arange(6)[None]
    with torch.inference_mode():
        torch.testing.assert_close(parted(tokens), model(tokens))


def test_it_is_said_what_became_small() -> None:
    model = copy.deepcopy(shrunk.model("gpt2")).float()
    said = small.shrink(model, "int8")
    assert said.before == 4 * said.after
    assert str(small.Shrunk("int8", 4_000_000, 1_000_000, 250_000)) == (
        "weights in int8: 4.0 MB became 1.0 MB; 0.2 MB stay in float32"
    )


def test_matrices_too_small_to_gain_stay_and_the_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model: Any = nn.Sequential(nn.Linear(100, 100), nn.Linear(512, 1024))
    said = str(small.shrink(model, "int8"))
    assert [type(each) for each in model] == [nn.Linear, small.Int8]
    assert said == "weights in int8: 2.1 MB became 0.5 MB; 0.0 MB stay in float32"
    said = str(small.shrink(nn.Sequential(nn.Linear(100, 100)), "bfloat16"))
    assert said == "weights in bfloat16: no matrix is large enough to be read faster; all stay in float32"
    compiled: Any = nn.Sequential(nn.Linear(100, 100))
    small.shrink(compiled, "int8", plain=True)
    assert isinstance(compiled[0], small.Int8)
