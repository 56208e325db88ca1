"""The published models of specs/: each checks without a warning, is as large to the unit as `transformers` builds it,
and made small gives what `transformers` gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tfdsl
from tests import foreign, measure, published
from tests.published import Published
from tfdsl import building

SPECS = Path(__file__).parents[1] / "specs"
MODELS = published.every()
SEVERAL = pytest.mark.parametrize("name", MODELS)
COUNTED = (
    "gpt2",
    "bert",
    "t5_v1_1",
    "vit",
    "llama3_8b",
    "mistral_7b",
    "gpt_neox_20b",
    "falcon_7b",
    "command_r",
    "electra",
)


def test_every_spec_of_a_published_model_is_compared() -> None:
    ours = {"hybrid", "nanogpt_char", "stdlib"}
    assert {path.stem for path in SPECS.glob("*.yaml")} - ours - MODELS.keys() == ELSEWHERE.keys()


LONG = dict.fromkeys(("bigbird", "linformer", "longformer", "performer"), "test_long_models")
ELSEWHERE = {"transformer": "test_costing", "transformer_big": "below", **LONG}


@SEVERAL
def test_a_model_is_as_large_as_it_was_published(name: str) -> None:
    checked = tfdsl.check(SPECS / f"{name}.yaml")
    assert checked.diagnostics == ()
    theirs = MODELS[name]
    wanted = size(theirs, theirs.config)
    assert tfdsl.cost(checked).parameters == wanted
    assert checked.spec is not None and f" {wanted:,} parameters" in (checked.spec.about or "")


def size(model: Published, config: Any) -> int:
    """Return how many parameters `transformers` declares, those that are not ours left out."""
    built = foreign.empty(model.model, foreign.config(model.configuration, **config))
    mine = [each for name, each in built.named_parameters() if not re.search(model.ignore, name)]
    return sum(each.numel() for each in mine) + model.untied


SIZES = {"gpt2_medium", "gpt2_large", "gpt2_xl", "gpt3", "bert_large", "vit_l16"}  # of a spec that is compared


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SIZES])
def test_a_small_one_gives_their_numbers(name: str) -> None:
    model = MODELS[name]
    spec = SPECS / f"{name}.yaml"
    overrides = model.overrides(tfdsl.check(spec).dims)
    checked = tfdsl.check(spec, overrides)
    theirs = foreign.tiny(model.model, foreign.config(model.configuration, **model.shrunk))
    with torch.no_grad():
        for each, buffer in theirs.named_buffers():
            if re.search(model.ignore, each) and "bias" in each:
                buffer.zero_()  # what is published as zeros, and is nothing of ours
    given = inputs(checked.inputs)
    foreign.agree(
        checked,
        theirs,
        given,
        model.weights,
        ignore=model.ignore,
        output=model.output,
        result=model.result,
        count=False,
    )  # type: ignore[arg-type]


def inputs(named: Any) -> dict[str, Tensor]:
    """Return their arguments for our inputs."""
    names = {"tokens": "input_ids", "segments": "token_type_ids", "pixels": "pixel_values"}
    names |= {"source": "input_ids", "target": "decoder_input_ids", "sound": "input_features"}
    made = {
        "tokens": foreign.tokens(97),
        "source": foreign.tokens(97, length=9),
        "target": foreign.tokens(97),
        "sound": torch.randn(2, 10, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64),
        "segments": torch.randint(0, 2, (2, 13), generator=torch.Generator().manual_seed(3)),
        "pixels": torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64),
    }
    return {names[name]: made[name] for name in named}


@pytest.mark.parametrize("name", COUNTED)
def test_flops_are_those_that_pytorch_counts(name: str) -> None:
    """At full width; two layers, since all layers of these are alike."""
    checked = tfdsl.check(SPECS / f"{name}.yaml", ["dims.n_layers=2"])
    axes = {axis: {"B": 1, "S": 24, "T": 40}[axis] for axis in tfdsl.cost(checked).axes}
    cost = tfdsl.cost(checked, axes)
    found = measure.flops(building.meta(checked), measure.inputs(checked, axes, "meta"))
    assert (cost.forward, cost.training) == found


def test_the_big_transformer_is_as_large_as_torch_builds_it() -> None:
    """torch's has a norm behind each stack besides, and no embedding."""
    with torch.device("meta"):
        built = torch.nn.Transformer(1024, 16, 6, 6, 4096, batch_first=True)
    wanted = sum(each.numel() for each in built.parameters()) - 4 * 1024 + 37000 * 1024
    checked = tfdsl.check(SPECS / "transformer_big.yaml")
    assert checked.diagnostics == () and tfdsl.cost(checked).parameters == wanted == 214_245_376
