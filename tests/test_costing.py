"""Costs, which come from formulas: compared with what papers say and with what PyTorch counts and keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tfdsl
from tests import measure
from tfdsl import building, costing
from tfdsl.checking import Checked
from tfdsl.sampling import cached

SPECS = Path(__file__).parents[1] / "specs"
NAMES = ("bert", "gpt2", "hybrid", "nanogpt_char", "stdlib", "t5", "transformer", "vit")
TINY = {
    "d_model": 64,
    "n_heads": 4,
    "n_kv_heads": 2,
    "head_dim": 16,
    "d_ff": 192,
    "n_layers": 2,
    "vocab_size": 300,
    "window": 8,
    "image": 32,
    "patch": 4,
    "classes": 10,
    "n_dense": 1,
    "n_experts": 8,
    "n_groups": 4,
    "top_k": 2,
    "d_expert": 96,
    "q_rank": 24,
    "kv_rank": 16,
    "rope_dim": 8,
    "d_state": 16,
    "dt_rank": 4,
    "n_states": 4,
    "state_dim": 16,
}
LENGTHS = {"B": 2, "S": 24, "T": 32}
PUBLISHED = {
    "bert": 110_104_890,  # google/bert_uncased_L-12_H-768_A-12 for pre-training, without the next-sentence classifier
    "gpt2": 124_439_808,
    "t5": 60_506_624,
    "transformer": 63_082_496,
    "vit": 86_567_656,
}


def spec(name: str, **dims: float) -> Checked:
    """Return a spec of ours with some of its dims changed; those that it does not have are left out."""
    path = SPECS / f"{name}.yaml"
    known = tfdsl.check(path).dims
    checked = tfdsl.check(path, [f"dims.{dim}={value}" for dim, value in dims.items() if dim in known])
    assert checked.ok, checked.diagnostics
    return checked


def tiny(name: str, **dims: float) -> Checked:
    """Return a spec of ours at sizes that run in milliseconds."""
    layers = 6 if name == "hybrid" else 2
    return spec(name, **{**TINY, "n_layers": layers, **dims})


def lengths(checked: Checked, **wanted: int) -> dict[str, int]:
    """Return lengths for the axes that a spec has."""
    return {axis: length for axis, length in wanted.items() if axis in tfdsl.cost(checked).axes}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_flops_are_those_that_pytorch_counts(name: str) -> None:
    checked = spec(name)
    model = building.meta(checked)
    axes = lengths(checked, B=2, S=40, T=64)
    cost = tfdsl.cost(checked, axes)
    assert cost.parameters == sum(weight.numel() for weight in model.parameters())
    assert sum(entry.parameters for entry in cost.entries) == cost.parameters
    assert cost.parameters == PUBLISHED.get(name, cost.parameters)
    assert (cost.forward, cost.training) == measure.flops(model, measure.inputs(checked, axes, "meta"))


def test_every_published_number_is_compared() -> None:
    assert set(PUBLISHED) <= set(NAMES)


def test_a_forward_pass_of_gpt2() -> None:
    cost = tfdsl.cost(spec("gpt2"), {"B": 1, "T": 128})
    assert cost.forward == 32_228_179_968
    assert cost.training == 3 * 32_228_179_968


@pytest.mark.parametrize("name", NAMES)
def test_flops_at_other_sizes(name: str) -> None:
    checked = tiny(name)
    axes = lengths(checked, B=3, S=11, T=17)
    cost = tfdsl.cost(checked, axes)
    assert (cost.forward, cost.training) == measure.flops(building.meta(checked), measure.inputs(checked, axes, "meta"))


@pytest.mark.parametrize("p", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_activations_are_those_that_autograd_keeps(name: str, p: float) -> None:
    checked = tiny(name, p=p)
    axes = lengths(checked, **LENGTHS)
    real = measure.kept(building.build(checked), measure.inputs(checked, axes))
    # What differs is masks of a byte an element, and a view of a value that is held for the whole of it.
    assert tfdsl.cost(checked, axes).activations == pytest.approx(real, rel=0.005)


def test_a_value_that_several_nodes_need_is_kept_once() -> None:
    one, two = (wide(f"[[attention: 4], {second}]") for second in ("[dropout: 0]", "[ffn: 32]"))
    hidden = 2 * 2 * 32 * 32  # what gelu takes and what it gives
    assert two - one == 4 * hidden


def wide(pipes: str) -> int:
    """Return the activations of a norm and some pipes that read what it gives."""
    text = f"""
tfdsl: 1
name: wide
inputs: {{x: {{shape: [2, 32, 32], dtype: float}}}}
model: [linear: {{from: x, width: 32}}, norm, sum: {pipes}]
"""
    checked = tfdsl.check(text)
    found, real = tfdsl.cost(checked).activations, measure.kept(building.build(checked), measure.inputs(checked, {}))
    assert found == real
    return found


@pytest.mark.parametrize("name", ["gpt2", "hybrid", "t5", "transformer"])
def test_the_cache_holds_what_it_costs(name: str) -> None:
    checked = tiny(name)
    axes = lengths(checked, **LENGTHS)
    model = building.build(checked).eval()
    cache = model.new_cache(axes["T"])
    *others, tokens = measure.inputs(checked, axes)
    with torch.no_grad():
        for part in tokens.split([axes["T"] - 2, 1, 1], dim=1):
            model(*others, part, cache=cache)
    assert tfdsl.cost(checked, axes).cache == cached.size(cache)


def test_nothing_is_cached_where_later_positions_are_seen() -> None:
    assert tfdsl.cost(spec("bert")).cache == tfdsl.cost(spec("vit")).cache == 0


def test_memory_of_a_training_step() -> None:
    cost = costing.count(spec("gpt2"), {"B": 8, "T": 1024}, precision="bfloat16")
    assert (cost.weights, cost.gradients) == (2 * 124_439_808, 2 * 124_439_808)
    assert cost.optimizer == 2 * 4 * 124_439_808
    assert cost.memory == cost.weights + cost.gradients + cost.optimizer + cost.activations
    whole = costing.count(spec("gpt2"), {"B": 8, "T": 1024})
    assert whole.activations == 2 * cost.activations


def test_nothing_is_kept_of_what_no_weight_made() -> None:
    text = """
tfdsl: 1
name: still
inputs: {x: {shape: [2, 32, 32], dtype: float}}
model: [dropout: {from: x, p: 0.5}, activation: tanh]
"""
    checked = tfdsl.check(text)
    assert tfdsl.cost(checked).activations == measure.kept(building.build(checked), measure.inputs(checked, {})) == 0


def test_a_first_layer_over_the_input_needs_no_gradient_of_it() -> None:
    checked = tfdsl.check("""
tfdsl: 1
name: first
inputs: {x: {shape: [B, 8], dtype: float}}
model: [scale: {from: x, by: 2}, norm: rms, linear: 16]
""")
    bare = tfdsl.check("""
tfdsl: 1
name: first
inputs: {x: {shape: [B, 8], dtype: float}}
model: [scale: {from: x, by: 2}, linear: 16]
""")
    assert tfdsl.cost(checked).training == 3 * tfdsl.cost(checked).forward  # the norm's scales need it
    assert tfdsl.cost(bare).training == 2 * tfdsl.cost(bare).forward
    for each in (checked, bare):
        found = tfdsl.cost(each, {"B": 5})
        assert (found.forward, found.training) == measure.flops(
            building.meta(each), measure.inputs(each, {"B": 5}, "meta")
        )


@pytest.mark.parametrize(
    ("axes", "batch", "words"),
    [
        ({"S": 3}, None, "there is no axis `S`: the axes are B, T"),
        ({"t": 3}, None, "there is no axis `t`: the axes are T"),
        ({"T": 1025}, None, "axis `T` cannot be 1025: its positions hold 1024"),
        ({"T": 0}, None, "axis `T` cannot be 0: its positions hold 1024"),
        ({}, 0, "axis `B` cannot be 0: it begins at 1"),
    ],
)
def test_a_wrong_length_is_refused(axes: dict[str, int], batch: int | None, words: str) -> None:
    with pytest.raises(costing.AxisError) as error:
        tfdsl.cost(SPECS / "gpt2.yaml", axes, batch)
    assert str(error.value) == words


def test_lengths_that_are_not_given() -> None:
    assert tfdsl.cost(spec("gpt2")).axes == {"B": 1, "T": 1024}
    assert tfdsl.cost(spec("t5"), batch=4).axes == {"B": 4, "S": 512, "T": 512}
