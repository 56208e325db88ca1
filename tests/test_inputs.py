"""What stands at a model's two ends: masks as inputs, convolutions, patches, added positions, pooling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import tfdsl
from tests import measure
from tests.six import spread
from tests.test_primitives import made, same, values
from tfdsl import building

CONVS: list[tuple[str, dict[str, Any], int]] = [
    ("kernel: 3", {"padding": 1}, 0),
    ("kernel: 3, padding: 1, stride: 2, width: 5", {"padding": 1, "stride": 2}, 0),
    ("kernel: 4, padding: 0, stride: 3, bias: false", {"stride": 3}, 0),
    ("kernel: 5, dilation: 2", {"padding": 4, "dilation": 2}, 0),
    ("kernel: 4, padding: causal, groups: 6", {"groups": 6}, 3),
    ("kernel: 3, padding: causal, dilation: 2, groups: 2, width: 4", {"groups": 2, "dilation": 2}, 4),
    ("kernel: 1", {}, 0),
    ("kernel: 2, padding: 2", {"padding": 2}, 0),
]


@pytest.mark.parametrize(("fields", "given", "before"), CONVS)
def test_conv_is_torchs_over_positions(fields: str, given: dict[str, Any], before: int) -> None:
    model, x = made(f"conv: {{from: x, {fields}}}", x="B, T, 6"), values(2, 11, 6)
    weights = dict(model.named_parameters())
    wanted = F.conv1d(
        F.pad(x, (0, 0, before, 0)).transpose(1, 2), weights["conv.weight"], weights.get("conv.bias"), **given
    )
    same(model(x), wanted.transpose(1, 2))


@pytest.mark.parametrize(("fields", "given", "before"), CONVS)
def test_conv_costs_what_torch_counts_and_keeps(fields: str, given: dict[str, Any], before: int) -> None:
    checked = tfdsl.check(f"""
tfdsl: 1
name: m
inputs: {{x: {{shape: [B, T, 6], dtype: float}}}}
model:
  - linear: {{from: x, width: 6}}
  - conv: {{{fields}}}
  - conv: {{{fields.replace("width: 5", "width: 6").replace("width: 4", "width: 6")}}}
""".replace("groups: 2, width: 6", "groups: 2, width: 4"))  # fmt: skip
    axes = {"B": 2, "T": 64}
    cost = tfdsl.cost(checked, axes)
    forward, training = measure.flops(building.meta(checked), measure.inputs(checked, axes, "meta"))
    assert cost.forward == forward
    assert cost.training == training or "groups" in fields  # PyTorch counts the weights' gradient as if there were one
    assert cost.activations == measure.kept(building.build(checked), measure.inputs(checked, axes))


DECODER = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 20PAD}}
outputs: {logits: [B, T, 20]}
model:
  - embed: {from: tokens, width: 8}
  - residual: [conv: {kernel: 4, padding: causal, groups: 8}]
  - repeat:
      times: 2
      body:
        - residual: [shift: 2, linear: 8]
        - residual: [attention: {heads: 2, mask: causal}]
        - residual: [conv: {kernel: 3, padding: causal, dilation: 2}, activation: silu]
  - unembed: {id: logits, width: 20}
"""


@pytest.mark.parametrize("cuts", [[13], [1] * 13, [5, 1, 3, 4], [1, 12]])
def test_convolutions_and_shifts_decode_as_they_run(cuts: list[int]) -> None:
    model: Any = spread(tfdsl.build(tfdsl.check(DECODER.replace("PAD", "")))).double().eval()
    tokens = torch.randint(0, 20, (2, 13), generator=torch.Generator().manual_seed(0))
    cache = model.new_cache(13)
    with torch.no_grad():
        parts = [model(part, cache=cache) for part in tokens.split(cuts, dim=1)]
        same(torch.cat(parts, dim=1), model(tokens))


def test_the_cache_of_convolutions_and_shifts_holds_what_it_costs() -> None:
    checked = tfdsl.check(
        DECODER.replace("PAD", "").replace("        - residual: [attention: {heads: 2, mask: causal}]\n", "")
    )
    model: Any = building.build(checked).eval()
    cache = model.new_cache(13)
    with torch.no_grad():
        model(torch.randint(0, 20, (2, 13)), cache=cache)
    held = sum(entry.untyped_storage().nbytes() for entry in cache.entries)
    assert tfdsl.cost(checked, {"B": 2, "T": 13}).cache == held


def test_padding_does_not_reach_real_positions_through_convolutions_and_shifts() -> None:
    model = spread(tfdsl.build(tfdsl.check(DECODER.replace("PAD", ", pad: 0")))).double().eval()
    tokens = torch.randint(1, 20, (1, 9), generator=torch.Generator().manual_seed(0))
    padded = torch.cat((torch.zeros(1, 4, dtype=torch.int64), tokens), dim=1)
    with torch.no_grad():
        same(model(padded)[:, 4:], model(tokens))


def test_a_convolution_that_is_not_causal_has_no_cache_and_is_warned_of() -> None:
    text = DECODER.replace("PAD", "").replace("kernel: 3, padding: causal, dilation: 2", "kernel: 3")
    checked = tfdsl.check(text + "train: {steps: 3}\n")
    assert [each.code for each in checked.diagnostics] == ["W510"]
    assert "cache" not in tfdsl.compile(tfdsl.check(text))


def test_a_table_along_the_positions_has_no_cache() -> None:
    text = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, LENGTH, 8], dtype: float}}
model:
  - attention: {id: y, from: x, heads: 2, mask: causal}
  - parameter: {id: table, shape: [SHAPE8]}
  - sum: {from: [y, table]}
"""
    for length, shape, cached in (("16", "16, ", False), ("16", "", True), ("T", "1, ", True)):
        source = tfdsl.compile(tfdsl.check(text.replace("LENGTH", length).replace("SHAPE", shape)))
        assert ("cache" in source) == cached


def test_a_value_with_axes_before_its_positions_is_no_sequence() -> None:
    for node in ("attention: 2", "pool: mean", "prepend: 1", "conv: 3", "position: sinusoidal"):
        checked = tfdsl.check(f"""
tfdsl: 1
name: m
inputs: {{x: {{shape: [B, N, T, 8], dtype: float}}}}
model: [norm: {{from: x}}, {node}]
""")
        assert [each.code for each in checked.diagnostics] == ["T202"]
    text = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 9, pad: 0}}
model: [embed: {from: tokens, width: 4}, slice: {axis: 0, at: 0}]
"""
    assert [each.code for each in tfdsl.check(text).diagnostics] == ["W523"]
    for stop, codes in ((1, []), (2, ["W523"])):
        cut = text.replace("slice: {axis: 0, at: 0}", f"prepend: 1, slice: {{axis: 1, stop: {stop}}}")
        assert [each.code for each in tfdsl.check(cut).diagnostics] == codes


@pytest.mark.parametrize(("by", "x"), [(1, 5), (2, 5), (-1, 5), (-3, 5)])
def test_shift(by: int, x: int) -> None:
    wide, tokens = values(2, x, 3), torch.randint(0, 9, (2, x))
    model = made(f"shift: {{from: x, by: {by}}}", x="B, T, 3")
    moved = torch.zeros_like(wide)
    words = torch.full_like(tokens, 7)
    for t in range(x):
        if 0 <= t - by < x:
            moved[:, t], words[:, t] = wide[:, t - by], tokens[:, t - by]
    same(model(wide), moved)
    text = f"""
tfdsl: 1
name: m
inputs: {{tokens: {{shape: [B, T], vocab: 9}}}}
model:
  - shift: {{from: tokens, by: {by}, fill: 7}}
  - embed: 4
"""
    model = tfdsl.build(tfdsl.check(text))
    same(model(tokens), F.embedding(words, next(model.parameters())))


PATCHES: list[tuple[str, str, tuple[int, ...], dict[str, Any]]] = [
    ("size: 4", "B, 3, 8, 12", (2, 3, 8, 12), {"stride": 4}),
    ("size: [2, 4]", "B, 3, 8, 12", (2, 3, 8, 12), {"stride": (2, 4)}),
    ("size: 4, stride: 3", "B, 1, 11, 9", (2, 1, 11, 9), {"stride": 3}),
    (
        "size: 7, stride: [4, 2], padding: 3, bias: false",
        "B, 3, 8, 12",
        (2, 3, 8, 12),
        {"stride": (4, 2), "padding": 3},
    ),
    ("size: [2, 4, 4]", "B, 3, 6, 8, 8", (2, 3, 6, 8, 8), {"stride": (2, 4, 4)}),
]


@pytest.mark.parametrize(("fields", "shape", "length", "given"), PATCHES)
def test_patches_are_convolutions(fields: str, shape: str, length: tuple[int, ...], given: dict[str, Any]) -> None:
    model, x = made(f"patch: {{from: x, width: 6, {fields}}}", x=shape), values(*length)
    weights = dict(model.named_parameters())
    does = F.conv2d if len(length) == 4 else F.conv3d
    same(model(x), does(x, weights["patch.weight"], weights.get("patch.bias"), **given).flatten(2).transpose(1, 2))
    text = f"""
tfdsl: 1
name: m
inputs: {{x: {{shape: [{shape}], dtype: float}}}}
model: [patch: {{from: x, width: 6, {fields}}}]
"""
    checked = tfdsl.check(text)
    cost = tfdsl.cost(checked, {"B": 2})
    given = {"B": 2}
    assert (cost.forward, cost.training) == measure.flops(
        building.meta(checked), measure.inputs(checked, given, "meta")
    )
    assert tfdsl.load(tfdsl.load(text).to_yaml()) == tfdsl.load(text)


def test_positions_that_are_added_before_among_and_behind() -> None:
    text = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 9, pad: 0}}
model:
  - embed: {id: tok, from: tokens, width: 4}
  - prepend: {id: cls, tokens: 2}
  - prepend: {id: registers, tokens: 3, after: 1}
  - append: {id: last, tokens: 1}
  - id: {}
"""
    text = text.replace("  - id: {}\n", "")
    model = spread(tfdsl.build(tfdsl.check(text))).double()
    w = {name.removesuffix(".weight"): each for name, each in model.named_parameters()}
    tokens = torch.tensor([[3, 4, 0], [5, 0, 0]])
    cls, registers, last = (w[name].expand(2, -1, -1) for name in ("cls", "registers", "last"))
    wanted = torch.cat((cls[:, :1], registers, cls[:, 1:], F.embedding(tokens, w["tok"]), last), dim=1)
    same(model(tokens), wanted)
    mean = spread(tfdsl.build(tfdsl.check(text + "  - pool: mean\n"))).double()
    same(
        mean(tokens),
        torch.stack((wanted[0, [0, 1, 2, 3, 4, 5, 6, 8]].mean(0), wanted[1, [0, 1, 2, 3, 4, 5, 8]].mean(0))),
    )
    cut = spread(tfdsl.build(tfdsl.check(text + "  - slice: {axis: 1, start: 5, stop: -1}\n  - pool: mean\n"))).double()
    same(cut(tokens), torch.stack((wanted[0, 5:7].mean(0), wanted[1, 5])))


MASKED = """
tfdsl: 1
name: m
inputs:
  INPUT
  mask: {shape: [B, T], keeps: x}
model:
  - FIRST: {from: x, width: 8}
  - attention: 2
  - pool: POOL
"""


@pytest.mark.parametrize("pool", ["mean", "max", "last", "{type: attention, heads: 2, bias: true}"])
@pytest.mark.parametrize(
    ("first", "inputs"),
    [("embed", "x: {shape: [B, T], vocab: 9}"), ("linear", "x: {shape: [B, T, 5], dtype: float}")],
)
def test_a_mask_that_is_an_input_hides_as_a_pad_does(first: str, inputs: str, pool: str) -> None:
    text = MASKED.replace("INPUT", inputs).replace("FIRST", first).replace("POOL", pool)
    checked = tfdsl.check(text)
    assert not checked.diagnostics
    model = spread(tfdsl.build(checked)).double()
    x = values(2, 6, 5) if first == "linear" else torch.randint(0, 9, (2, 6))
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    for kind in (torch.int64, torch.bool, torch.float64):
        found = model(x, mask.to(kind))
        same(found[:1], model(x[:1, :4], mask[:1, :4]))
        same(found[1:], model(x[1:], mask[1:]))


def test_a_mask_beside_a_pad_and_in_cached_decoding() -> None:
    text = DECODER.replace("PAD", ", pad: 0").replace(
        "}}\noutputs", "}, mask: {shape: [B, T], keeps: [tokens]}}\noutputs"
    )
    model: Any = spread(tfdsl.build(tfdsl.check(text))).double().eval()
    tokens, real = torch.randint(1, 20, (2, 9)), torch.ones(2, 9)
    tokens[0, :2], real[0, :4] = 0, 0
    cache = model.new_cache(9)
    with torch.no_grad():
        whole = model(tokens, real)
        same(whole[:1, 4:], model(tokens[:1, 4:], real[:1, 4:]))
        pieces = zip(tokens.split([5, 1, 3], 1), real.split([5, 1, 3], 1), strict=True)
        parts = torch.cat([model(*piece, cache=cache) for piece in pieces], dim=1)
        same(parts[0, 4:], whole[0, 4:])
        same(parts[1], whole[1])


def test_the_position_of_a_token() -> None:
    text = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 9}}
model:
  - embed: {from: tokens, width: 4}
  - pool: {type: at, of: tokens, token: TOKEN}
"""
    tokens = torch.tensor([[1, 8, 2, 8], [5, 6, 2, 2], [3, 3, 3, 1]])
    for token, places in (("2", [2, 2, 0]), ("highest", [1, 1, 0])):
        model = tfdsl.build(tfdsl.check(text.replace("TOKEN", token)))
        table = next(model.parameters())
        same(model(tokens), F.embedding(tokens, table)[torch.arange(3), torch.tensor(places)])
    given = text.replace(", token: TOKEN", "").replace("of: tokens", "of: places")
    given = given.replace("vocab: 9}}", "vocab: 9}, places: {shape: [B], dtype: int}}")
    model = tfdsl.build(tfdsl.check(given))
    same(model(tokens, torch.tensor([3, 0, 1])), F.embedding(tokens, next(model.parameters()))[[0, 1, 2], [3, 0, 1]])


@pytest.mark.parametrize("bias", ["true", "false"])
def test_attention_pooling_is_torchs_attention_of_one_query(bias: str) -> None:
    model, x = made(f"pool: {{from: x, type: attention, heads: 2, bias: {bias}}}", x="B, T, 8"), values(3, 7, 8)
    w = {name.removeprefix("pool."): each.detach() for name, each in model.named_parameters()}
    theirs = nn.MultiheadAttention(8, 2, bias=bias == "true", batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((w["q.weight"], w["kv.weight"])))
        theirs.out_proj.weight.copy_(w["out.weight"])
        if bias == "true":
            theirs.in_proj_bias.copy_(torch.cat((w["q.bias"], w["kv.bias"])))
            theirs.out_proj.bias.copy_(w["out.bias"])
        query: Tensor = w["query"].expand(3, 1, -1)
        same(model(x), theirs(query, x, x)[0][:, 0])


def test_attention_pooling_costs_what_torch_counts() -> None:
    checked = tfdsl.check("""
tfdsl: 1
name: m
inputs: {x: {shape: [B, T, 8], dtype: float}}
model: [linear: {from: x, width: 8}, pool: {type: attention, heads: 2, bias: true}]
""")
    axes = {"B": 3, "T": 40}
    cost = tfdsl.cost(checked, axes)
    assert (cost.forward, cost.training) == measure.flops(building.meta(checked), measure.inputs(checked, axes, "meta"))
    assert cost.activations == measure.kept(building.build(checked), measure.inputs(checked, axes))


def test_a_pad_may_be_an_expression() -> None:
    text = """
tfdsl: 1
name: p
dims: {v: 12, nothing: 3}
inputs: {tokens: {shape: [B, T], vocab: v, pad: nothing - 1}}
outputs: {logits: [B, T, v]}
model:
  - embed: {from: tokens, width: 8}
  - residual: [attention: {heads: 2}]
  - unembed: {id: logits, width: v}
"""
    model = tfdsl.build(text).eval()
    padded = model(torch.tensor([[5, 6, 2, 2]]))[:, :2]
    torch.testing.assert_close(padded, model(torch.tensor([[5, 6]])))
