"""What is built is what was declared, runs alone, and holds under compile, export and cached decoding."""

from __future__ import annotations

import linecache
import re
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import tfdsl
from tests.six import CACHED, NAMES, SPECS, first, inputs, spread, tiny
from tfdsl.building import Mismatch, load, meta, prove
from tfdsl.codegen.write import write

COUNTS = {
    "gpt2": 124_439_808,  # Radford et al. 2019, as released
    "transformer": 63_082_496,
    "bert": 110_104_890,  # BertForPreTraining without its two sentence-order rows
    "t5": 60_506_624,  # t5-small as released
    "vit": 86_567_656,  # torchvision's vit_b_16
    "hybrid": 850_857_984,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", NAMES)
def test_full_size_has_the_published_number_of_parameters(name: str) -> None:
    model = meta(tfdsl.check(SPECS / f"{name}.yaml"))
    assert sum(weight.numel() for weight in model.parameters()) == COUNTS[name]


ALONE = """
import importlib, sys, torch
torch.set_num_threads(1)
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    torch.manual_seed(3)
    torch.save(module.Model()(*torch.load(f"{name}.in.pt")), f"{name}.out.pt")
assert not [each for each in sys.modules if each.startswith("tfdsl")]
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where a fresh process, without tfdsl, ran the six emitted files: outputs as `NAME.out.pt`."""
    folder = tmp_path_factory.mktemp("alone")
    for name in NAMES:
        (folder / f"{name}.py").write_text(tfdsl.compile(tiny(name)), encoding="utf-8")
        torch.save(inputs(name), folder / f"{name}.in.pt")
    subprocess.run([sys.executable, "-c", ALONE, *NAMES], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_emitted_file_runs_alone_and_gives_the_same_bits(name: str, alone: Path) -> None:
    torch.manual_seed(3)
    wanted = first(tfdsl.build(tiny(name))(*inputs(name)))  # in training mode: dropout too
    assert torch.equal(first(torch.load(alone / f"{name}.out.pt")), wanted)
    assert wanted.isfinite().all()


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("cuts", [(0, *range(1, 12)), (0, 4, 5, 9, 11), (0, 7, 11), (0, 11)], ids=str)
def test_cached_decoding_equals_the_full_forward(name: str, cuts: tuple[int, ...]) -> None:
    model = spread(tfdsl.build(tiny(name))).double().eval()
    *before, tokens = inputs(name)
    whole, cache, parts = model(*before, tokens), model.new_cache(11), []
    for start, end in zip(cuts, cuts[1:], strict=False):
        parts.append(model(*before, tokens[:, start:end], cache=cache))
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-12)
    assert cache.position == 11
    with pytest.raises(ValueError, match="the cache has room for 11, not 12 positions"):
        model(*before, tokens[:, :1], cache=cache)


def test_only_models_that_look_back_alone_have_a_cache() -> None:
    assert [name for name in NAMES if "cache" in tfdsl.compile(tiny(name))] == list(CACHED)


@pytest.mark.parametrize("name", NAMES)
def test_compiles_in_one_graph(name: str) -> None:
    model = spread(tfdsl.build(tiny(name))).double().eval()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    given = tuple(each.double() if each.is_floating_point() else each for each in inputs(name))
    torch.testing.assert_close(compiled(*given), model(*given), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_exports_with_lengths_left_open(name: str) -> None:
    model = spread(tfdsl.build(tiny(name))).double().eval()
    batch, target, source = (torch.export.Dim(each, min=2, max=32) for each in ("B", "T", "S"))
    given = tuple(each.double() if each.is_floating_point() else each for each in inputs(name))
    lengths = [{0: batch, 1: target}] * len(given)
    if name == "vit":
        lengths = [{0: batch}]
    elif name in ("transformer", "t5"):
        lengths[0] = {0: batch, 1: source}
    cache = (None,) if name in CACHED else ()
    exported = torch.export.export(model, (*given, *cache), dynamic_shapes=(*lengths, *cache)).module()
    other = tuple(each.double() if each.is_floating_point() else each for each in inputs(name, 2, 6, 5, seed=4))
    torch.testing.assert_close(exported(*other, *cache), model(*other), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CACHED)
def test_a_position_does_not_see_later_ones(name: str) -> None:
    model = spread(tfdsl.build(tiny(name))).double().eval()
    *before, tokens = inputs(name)
    changed = tokens.clone()
    changed[:, 6:] = (tokens[:, 6:] + 5) % 49 + 1
    plain, other = first(model(*before, tokens))[:, :6], first(model(*before, changed))[:, :6]
    # The rows of an expert are multiplied together: what else it is given moves the last bit.
    torch.testing.assert_close(
        other, plain, rtol=1e-12 if name == "hybrid" else 0, atol=1e-12 if name == "hybrid" else 0
    )


@pytest.mark.parametrize("name", ["bert", "transformer", "t5"])
def test_padding_changes_nothing(name: str) -> None:
    model = spread(tfdsl.build(tiny(name))).double().eval()
    given = list(inputs(name))
    given[0] = given[0][1:]
    padded = nn.functional.pad(given[0], (0, 4))
    rest = (
        [nn.functional.pad(each[1:], (0, 4)) for each in given[1:]]
        if name == "bert"
        else [each[1:] for each in given[1:]]
    )
    plain = first(model(given[0], *(each[1:] for each in given[1:])))
    torch.testing.assert_close(first(model(padded, *rest))[:, : plain.size(1)], plain, rtol=1e-10, atol=1e-12)


def test_weights_start_as_the_spec_says() -> None:
    torch.manual_seed(0)
    model = tfdsl.build(SPECS / "stdlib.yaml")
    spreads = {name: float(weight.detach().std()) for name, weight in model.named_parameters()}
    scaled = 0.02 / 8**0.5
    for name, weight in model.named_parameters():
        if name.endswith(("out.weight", "down.weight")):
            assert spreads[name] == pytest.approx(scaled, rel=0.02), name
        elif weight.dim() > 1:
            assert spreads[name] == pytest.approx(0.02, rel=0.02), name
        else:
            assert torch.equal(weight, torch.full_like(weight, 0.0 if name.endswith("bias") else 1.0)), name


def test_the_proof_names_what_is_wrong() -> None:
    checked = tiny("gpt2")
    model = tfdsl.build(checked)
    model.logits.weight = nn.Parameter(torch.zeros(50, 16))
    model.norm = nn.LayerNorm(8, bias=False)
    model.more = nn.Linear(2, 2, bias=False)
    with pytest.raises(Mismatch) as error:
        prove(checked, model)
    assert str(error.value).splitlines() == [
        "the built model is not the declared one:",
        "  `norm.bias` was declared and not built",
        "  `more.weight` was built and not declared",
        "  `norm.weight` was declared as (16,) and built as (8,)",
        "  `logits.weight` was tied to `tok.weight` and is not the same",
        "  7,904 parameters were declared and 8,684 built",
    ]


def test_a_traceback_shows_the_emitted_line() -> None:
    model = tfdsl.build(tiny("gpt2"))
    with pytest.raises(ValueError, match="32 positions are learned, not 40") as error:
        model(torch.ones(1, 40, dtype=torch.long))
    shown = "".join(traceback.format_exception(error.value))
    assert 'raise ValueError(f"{self.weight.size(0)} positions are learned, not {end}")' in shown
    assert re.search(r'File "<tfdsl gpt2 \d+>", line \d+, in forward', shown)


def test_two_builds_are_two_texts() -> None:
    source = write(tiny("gpt2"))
    one, two = load(source), load(replace(source, text=source.text.replace("GPT-2", "GPT-3")))
    assert "GPT-2" in linecache.getline(str(one.__file__), 1)
    assert "GPT-3" in linecache.getline(str(two.__file__), 1)


TIED = """
tfdsl: 1
name: ties
dims: {d: 8}
inputs: {tokens: {shape: [B, T], vocab: 9}}
outputs: {logits: [B, T, 9]}
blocks:
  inner: [linear: {id: a, width: d}, linear: {id: b, width: d, tie: a}, linear: {width: d, tie: first}]
  outer: [repeat: {block: inner, times: 2}, residual: [linear: {width: d, tie: first}]]
model:
  - embed: {id: tok, from: tokens, width: d}
  - linear: {id: first, width: d}
  - repeat: {block: outer, times: 3}
  - use: inner
  - unembed: {id: logits, tie: tok}
"""


def test_ties_reach_into_blocks_and_stay_within_them() -> None:
    model = tfdsl.build(tfdsl.check(TIED))
    assert model.outers[2].inners[1].linear.weight is model.outers[0].linear.weight is model.first.weight
    assert model.outers[2].inners[1].b.weight is model.outers[2].inners[1].a.weight
    assert model.outers[2].inners[1].a.weight is not model.outers[2].inners[0].a.weight
    assert model.inner.b.weight is model.inner.a.weight is not model.first.weight


SHARED = """
tfdsl: 1
name: shared
dims: {d: 8}
inputs: {tokens: {shape: [B, T], vocab: 9}}
outputs: {logits: [B, T, 9]}
defaults: {attention: {heads: 2, position: {type: t5, share: table}}}
model:
  one: [embed: {from: tokens, width: d}, residual: [attention]]
  two: [residual: {from: one, body: [attention]}, unembed: {id: logits, width: 9}]
"""


def test_a_table_that_two_streams_share_is_one() -> None:
    model = tfdsl.build(tfdsl.check(SHARED))
    assert model.two.table_bias.weight is model.one.table_bias.weight


LOOKING = """
tfdsl: 1
name: looking
dims: {d: 8}
inputs: {tokens: {shape: [B, T], vocab: 9}}
defaults: {attention: {heads: 2, mask: causal}}
blocks:
  table: [embed: {from: tokens, width: d}]
  back: [residual: [attention]]
  all: [residual: [attention: {mask: full}]]
model: """
PIPES = {
    "positions behind added tokens": ("[use: table, prepend: 2, position: sinusoidal, use: back]", True),
    "positions before added tokens": ("[use: table, position: sinusoidal, prepend: 2, use: back]", True),
    "attention on both sides of added tokens": (
        "[use: table, use: back, prepend: 2, use: {block: back, id: two}]",
        False,
    ),
    "everywhere along the same axis": (
        "{a: [use: table, use: all], b: [use: table, sum: [[norm: {from: a}], [use: back]]]}",
        False,
    ),
    "everywhere after": ("{a: [use: table, use: back], b: [residual: {from: a, body: [use: all]}]}", False),
}


@pytest.mark.parametrize("case", PIPES)
def test_a_cache_is_offered_only_where_it_would_be_right(case: str) -> None:
    pipe, offered = PIPES[case]
    checked = tfdsl.check(f"{LOOKING}{pipe}\n")
    assert checked.ok, checked.diagnostics
    model = spread(tfdsl.build(checked)).double().eval()
    assert ("def new_cache" in tfdsl.compile(checked)) == offered
    if offered:
        tokens = torch.arange(7).unsqueeze(0)
        whole, cache = model(tokens), model.new_cache(9)
        parts = [model(tokens[:, a:b], cache=cache) for a, b in ((0, 3), (3, 4), (4, 7))]
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-12)
