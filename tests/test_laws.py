"""Laws that every sound spec obeys, tried on specs that are thrown at random (see `tests/dice.py`).

A spec that breaks one is named by its seed: `print(dice.text(7))` shows it.
"""

from __future__ import annotations

import copy
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

import tfdsl
from tests import dice, measure
from tfdsl import building, costing, declared, shapes
from tfdsl.checking import Checked
from tfdsl.node import Flow, Step
from tfdsl.parts import MISSING

SPECS = Path(__file__).parents[1] / "specs"
SEEDS = range(7)
LENGTHS = {"B": 2, "S": 5, "T": 7}
CLOSE = {"rtol": 1e-10, "atol": 1e-12}  # float64, the same numbers added in another order


@dataclass(frozen=True)
class Throw:
    """A spec, checked and built in float64, with inputs and what it gives for them."""

    text: str
    checked: Checked
    model: nn.Module
    given: list[Tensor]
    found: dict[str, Tensor]


@cache
def throw(seed: int) -> Throw:
    """Return the spec that a seed throws, at work."""
    return run(dice.text(seed))


def run(text: str) -> Throw:
    """Return a spec at work, its weights and inputs from one seed."""
    checked = tfdsl.check(text)
    assert checked.ok, tfdsl.SpecError(checked)
    torch.manual_seed(1)
    model = building.build(checked).double().eval()
    for weight in model.parameters():  # so that nothing is at zero, where a mistake would not show
        nn.init.normal_(weight, std=0.3)
    given = measure.inputs(checked, LENGTHS, dtype=torch.float64)
    with torch.no_grad():
        return Throw(text, checked, model, given, measure.results(model, given))


def again(it: Throw, given: list[Tensor]) -> dict[str, Tensor]:
    """Return what a model gives for other inputs."""
    with torch.no_grad():
        return measure.results(it.model, given)


def named(name: str, flow: Flow) -> Iterator[tuple[str, Step]]:
    """Yield each step with the name of the module that it became, the first copy for those that stand in copies."""
    for step in flow.steps:
        yield f"{name}{step.name}", step
        for inner in step.flows:
            yield from named(name, inner)
        for place, index in enumerate(step.order):
            if place == 0 or not step.shared:
                number = f".{place}" if step.node.repeats and not step.shared else ""
                yield from named(f"{name}{step.name}{number}.", step.instances[index].flow)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("other", [{"B": 1, "S": 1, "T": 1}, {"B": 3, "S": 9, "T": 11}], ids=["one", "many"])
def test_shapes_are_those_that_the_checker_said(seed: int, other: dict[str, int]) -> None:
    it = throw(seed)
    model, seen = copy.deepcopy(it.model), dict[str, tuple[int, ...]]()

    def note(name: str, value: Tensor | tuple[Tensor, ...]) -> None:
        if isinstance(value, Tensor):  # a rotary table is two
            seen[name] = tuple(value.shape)

    for name, each in model.named_modules():
        each.register_forward_hook(lambda module, given, value, name=name: note(name, value))
    found = measure.results(model, measure.inputs(it.checked, other, dtype=torch.float64))
    several = declared.several(it.checked)
    said = {
        name: tuple(shapes.at(size, other) for size in step.output.sizes)
        for stream, each in it.checked.streams.items()
        for name, step in named(f"{stream}." if several else "", each.flow)
    }
    both = said.keys() & seen.keys()
    assert len(both) > 3
    assert {name: seen[name] for name in both} == {name: said[name] for name in both}
    ends = [tuple(shapes.at(size, other) for size in value.tensor.sizes) for value in it.checked.outputs.values()]
    assert [tuple(value.shape) for value in found.values()] == ends


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_and_flops_are_those_that_were_declared(seed: int) -> None:
    it = throw(seed)
    weights = {name: weight.shape for name, weight in declared.weights(it.checked).items() if weight.trained}
    assert {name: tuple(each.shape) for name, each in it.model.named_parameters(remove_duplicate=False)} == weights
    cost = tfdsl.cost(
        it.checked, {axis: length for axis, length in LENGTHS.items() if axis in tfdsl.cost(it.checked).axes}
    )
    assert cost.parameters == sum(each.numel() for each in it.model.parameters())
    assert sum(entry.parameters for entry in cost.entries) == cost.parameters
    given = [each.to("meta") for each in it.given]
    assert (cost.forward, cost.training) == measure.flops(copy.deepcopy(it.model).to("meta"), given)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_order_of_dims_changes_nothing(seed: int) -> None:
    it = throw(seed)
    document = yaml.safe_load(it.text)
    document["dims"] = dict(reversed(document["dims"].items()))
    assert tfdsl.compile(dice.dumped(document)) == tfdsl.compile(it.checked)


def test_a_spec_gives_the_same_text_in_every_process() -> None:
    text = dice.text(10)
    program = "import sys, tfdsl; sys.stdout.write(tfdsl.compile(sys.stdin.read()))"
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            input=text,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(SPECS.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said == [tfdsl.compile(text)] * 2


@pytest.mark.parametrize(
    "seed", [seed for seed in SEEDS if "causal: true" in dice.text(seed) or "mask: causal" in dice.text(seed)]
)
def test_no_position_reads_a_later_one(seed: int) -> None:
    it = throw(seed)
    tokens = it.given[-1]
    for place in (1, 3, 6):
        other = tokens.clone()
        other[:, place:] = other[:, place:] % (it.checked.dims["n_words"] - 1) + 1
        changed = again(it, [*it.given[:-1], other])
        for name, value in it.found.items():
            # Not to the bit: experts add the rows that chose them in other groups.
            torch.testing.assert_close(changed[name][:, :place], value[:, :place], **CLOSE)
            assert not torch.equal(changed[name][:, place:], value[:, place:])


def padded(it: Throw, name: str, value: Tensor) -> bool:
    """Return whether an input has padding."""
    assert it.checked.spec is not None
    return it.checked.spec.inputs[name].pad is not None


@pytest.mark.parametrize("seed", [seed for seed in SEEDS if "pad: 0" in dice.text(seed)])
def test_padding_changes_nothing(seed: int) -> None:
    it = throw(seed)
    pairs = zip(it.checked.inputs, it.given, strict=True)
    longer = [nn.functional.pad(value, (0, 3)) if padded(it, name, value) else value for name, value in pairs]
    for name, value in again(it, longer).items():
        was = it.found[name]
        torch.testing.assert_close(value[:, : was.size(1)] if value.dim() > 2 else value, was, **CLOSE)


@pytest.mark.parametrize("seed", [seed for seed in SEEDS if "mask: causal" in dice.text(seed)])
def test_cached_decoding_gives_what_a_whole_pass_gives(seed: int) -> None:
    it = throw(seed)
    cache, parts = it.model.new_cache(7), []
    with torch.no_grad():
        for part in it.given[-1].split([3, 1, 2, 1], dim=1):
            parts.append(measure.results(it.model, [*it.given[:-1], part], cache=cache))
    for name, value in it.found.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts], dim=1), value, **CLOSE)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_pipes_may_be_put_into_blocks(seed: int) -> None:
    it = throw(seed)
    document = yaml.safe_load(it.text)
    pipes = document["model"].values() if isinstance(document["model"], dict) else [document["model"]]
    blocks = document.setdefault("blocks", {})
    for pipe in pipes:
        for index, node in enumerate(pipe):
            if "id:" not in (text := yaml.safe_dump(node)) and "from:" not in text and "embed" not in text:
                blocks[f"put_{len(blocks)}"] = [node]
                pipe[index] = {"use": f"put_{len(blocks) - 1}"}
    other = run(dice.dumped(document))
    same(it, other)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_names_are_only_names(seed: int) -> None:
    it = throw(seed)
    text = re.sub(r"\bblock_(\d+)\b", r"a_block_\1", it.text)
    for old, new in (
        ("d_model", "features"),
        ("n_heads", "m"),
        ("tok", "table"),
        ("logits", "ends"),
        ("encoder", "reader"),
    ):
        text = re.sub(rf"\b{old}\b", new, text)
    other = run(text)
    same(it, other)


def same(it: Throw, other: Throw) -> None:
    """Assert that two specs cost the same and, from the same weights, give the same."""
    one, two = tfdsl.cost(it.checked), tfdsl.cost(other.checked)
    assert (one.parameters, one.forward, one.training, one.cache) == (
        two.parameters,
        two.forward,
        two.training,
        two.cache,
    )
    shapes_of = [[tuple(weight.shape) for weight in each.model.parameters()] for each in (it, other)]
    assert shapes_of[0] == shapes_of[1]
    for value, changed in zip(it.found.values(), other.found.values(), strict=True):
        assert torch.equal(value, changed)


def test_the_dice_throw_every_kind_and_every_choice() -> None:
    steps = [step for seed in range(60) for step in whole(tfdsl.check(dice.text(seed)))]
    kinds = {step.node.kind for step in steps}
    known = Path(dice.__file__).read_text()
    assert kinds == {kind for kind in tfdsl_kinds() if f'"{kind}"' in known}, "the dice know a kind, and never throw it"
    masks = {step.node.mask.type_name for step in steps if step.node.kind == "attention"}
    positions = {step.node.position.type_name for step in steps if step.node.kind == "attention"}
    assert masks == {"full", "causal", "sliding", "chunked", "dilated", "block_sparse"}
    assert positions == {"none", "rope", "t5", "alibi", "shaw", "kerple"}
    assert MISSING not in {value for step in steps for value in vars(step.node).values() if isinstance(value, str)}


def tfdsl_kinds() -> list[str]:
    """Return the kinds of this package."""
    folder = Path(tfdsl.__file__).parent / "nodes"
    return [path.stem for path in folder.iterdir() if path.stem != "__init__" and not path.stem.startswith("__")]


def whole(checked: Checked) -> Iterator[Step]:
    """Yield every step of a spec."""
    assert checked.ok
    for stream in checked.streams.values():
        yield from (step for _, step in named("", stream.flow))


# -- what checking costs ----------------------------------------------------------------------------------------------


def cpu(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize(("name", "few"), [("gpt2", 2), ("hybrid", 6)])
def test_many_copies_cost_what_a_few_cost(name: str, few: int) -> None:
    text = (SPECS / f"{name}.yaml").read_text()
    one, many = (re.sub(r"n_layers: \d+", f"n_layers: {copies}", text) for copies in (few, 96))
    assert len(list(whole(tfdsl.check(many)))) > (96 - few) * 5 + len(list(whole(tfdsl.check(one))))
    pairs = [(cpu(lambda: tfdsl.check(one)), cpu(lambda: tfdsl.check(many))) for _ in range(41)]
    assert statistics.median(b / a for a, b in pairs) < 1.15  # a tenth, and what a busy machine adds


def test_a_mistake_in_copies_is_counted_in_all_of_them() -> None:
    text = (
        (SPECS / "hybrid.yaml")
        .read_text()
        .replace("activation: swiglu}]\n  sparse", "activation: swiglu, bias: 3}]\n  sparse")
    )
    text = text.replace("bias: 3", "dropout: 1 / (n_layers - 24)")
    (found,) = tfdsl.check(text).diagnostics
    assert found.context == ("in 12 copies of block `layer`",)


def test_ten_thousand_nodes_are_checked_in_seconds() -> None:
    blocks = [
        f"  b{index}: [residual: [norm, attention: {{heads: 2, head_dim: {8 * index + 8}}}], "
        f"residual: {{body: [norm: rms, ffn: {{hidden: {index + 8}}}], scale: 0.{index + 1}}}, "
        "dropout: 0.1, linear: 8, norm]"
        for index in range(1000)
    ]
    text = "\n".join(
        (
            "tfdsl: 1\nname: many\ninputs: {tokens: {shape: [B, T], vocab: 11}}\nblocks:",
            *blocks,
            "model:\n  - embed: {id: tok, from: tokens, width: 8}",
            *(f"  - use: b{index}" for index in range(1000)),
            "  - unembed: {tie: tok}\n",
        )
    )
    checked: list[Checked] = []
    assert cpu(lambda: checked.append(tfdsl.check(text))) < 5
    assert checked[0].diagnostics == ()
    assert len(list(whole(checked[0]))) == 10_002
    assert costing.count(checked[0]).parameters == sum(
        each.count for each in declared.weights(checked[0]).values() if not each.tied
    )
