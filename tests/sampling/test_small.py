"""Weights in bfloat16 and int8: near the model's own, the same whatever reads them, and nowhere else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tests import shrunk
from tfdsl import building, heads
from tfdsl.ragged import ragged
from tfdsl.sampling import ready, small, step
from tfdsl.sampling.layout import share

SPECS = ["gpt2", "deepseek_v2_lite", "mamba2"]
NEAR: dict[small.Weights, float] = {"bfloat16": 0.02, "int8": 0.06}


@pytest.fixture(autouse=True)
def every_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "LEAST", 1)
    monkeypatch.setattr(small, "PACKED", 1)


def shrink(name: str, weights: small.Weights, plain: bool) -> tuple[Any, Any]:
    model = copy.deepcopy(shrunk.model(name)).float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.5)  # far from where what is added up hides what is rounded
    other = copy.deepcopy(model)
    small.shrink(other, weights, plain)
    return ready(model), ready(other)


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", SPECS)
def test_logits_stay_near_and_are_the_same_in_every_form_and_any_batch(
    name: str, weights: small.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, packed = shrink(name, weights, False)
    _, plain = shrink(name, weights, True)
    monkeypatch.setattr(small, "PACKED", 1 << 60)
    _, wide = shrink(name, weights, False)
    monkeypatch.setattr(small, "PART", 100)
    tokens = torch.randint(0, 39, (3, 12), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, given = model(tokens), wide(tokens)
        for other in (packed, plain):
            torch.testing.assert_close(other(tokens), given, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(other(tokens[1:2]), given[1:2], rtol=1e-5, atol=1e-5)
    assert 0 < (given - wanted).norm() / wanted.norm() < NEAR[weights]
    assert {type(each) for each in wide.modules()} & {small.Plain, small.Packed} == set()


def test_steps_of_any_number_of_rows_read_the_weights_that_the_score_reads() -> None:
    cases: list[tuple[small.Weights, str, int]] = [
        ("int8", step.ONE, 1),
        ("int8", step.FEW, 3),
        ("int8", step.MANY, 9),
        ("bfloat16", step.AHEAD, 1),
    ]
    for weights, kind, count in cases:
        (_, packed), (_, plain) = shrink("gpt2", weights, False), shrink("gpt2", weights, True)
        run = step.trace(plain, kind)[0].module()
        tokens = torch.randint(0, 39, (count, 6), generator=torch.Generator().manual_seed(0))
        last = 2 if kind == step.AHEAD else 1
        with torch.inference_mode():
            cache = plain.new_cache(12)
            plain(tokens[:, :-last], cache=cache)
            given = run([tokens[:, -last:]], torch.empty(cache.position), cache.entries)[0]
            torch.testing.assert_close(given, packed(tokens)[:, -last:], rtol=1e-5, atol=1e-5)


def test_a_vector_of_three_digits_loses_nothing_that_float32_holds() -> None:
    x, weight = torch.randn(5, 96) * torch.logspace(-30, 30, 5)[:, None], torch.randint(-127, 128, (40, 96)).char()
    x[2, 0] = 1e4  # one that is far larger than the others
    wanted = x.double() @ weight.double().T
    given = small.by_digits(x, weight).double()
    assert ((given - wanted).norm(dim=1) < 6e-7 * wanted.norm(dim=1)).all()
    assert (small.by_digits(torch.zeros(1, 96), weight) == 0).all()


def test_what_float16_does_not_hold_is_not_packed() -> None:
    for factor, kind in ((1.0, small.Packed), (1e-7, nn.Linear), (1e6, nn.Linear)):
        model: Any = nn.Sequential(nn.Linear(8, 8))
        with torch.no_grad():
            model[0].weight.mul_(factor)
        small.shrink(model, "bfloat16")
        assert type(model[0]) is kind


def test_whole_numbers_reach_127_in_each_row_and_give_zero_for_zero() -> None:
    weight = torch.randn(5, 7)
    weight[2] = 0
    found = small.rounded(weight, "int8")
    whole, scale = found.numbers_NK, found.scale_N
    assert scale is not None
    assert whole.abs().amax(1).tolist() == [127, 127, 0, 127, 127]
    assert ((whole * scale[:, None] - weight).abs() <= scale[:, None] / 2 + 1e-7).all()


def test_what_a_layer_reads_by_itself_and_embeddings_stay() -> None:
    _, other = shrink("deepseek_v2_lite", "int8", False)
    kinds = {name: type(module) for name, module in other.named_modules()}
    assert {kind for name, kind in kinds.items() if name.endswith("kv_up")} == {nn.Linear}
    assert {kind for name, kind in kinds.items() if name.endswith("kv_down")} == {small.Packed}
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
    assert said.before == 2 * said.after and said.wide == 0
    assert str(small.Shrunk("int8", 12, 4_000_000, 1_000_000, 0, 250_000)) == (
        "weights in int8: 12 matrices are rounded, 4.0 MB of them are held in 1.0 MB; 0.2 MB of others stay as they are"
    )


def test_which_matrices_are_rounded_is_one_thing_and_how_they_are_held_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model: Any = nn.Sequential(nn.Linear(10, 10), nn.Linear(100, 100), nn.Linear(512, 1024))
    other = copy.deepcopy(model)
    said = str(small.shrink(model, "int8"))
    assert [type(each) for each in model] == [nn.Linear, nn.Linear, small.Packed]
    assert said == (
        "weights in int8: 2 matrices are rounded, 2.1 MB of them are held in 1.0 MB and 0.0 MB in float32, "
        "which is read as fast; 0.0 MB of others stay as they are"
    )
    assert model[1].weight.unique().numel() > 255 and (model[1].weight != other[1].weight).any()
    assert (model[0].weight == other[0].weight).all()
    small.shrink(other, "int8", plain=True)
    assert [type(each) for each in other] == [nn.Linear, small.Plain, small.Plain]
    said = str(small.shrink(nn.Sequential(nn.Linear(10, 10)), "bfloat16"))
    assert said == "weights in bfloat16: the model has no matrix that is rounded; all stay as they are"
