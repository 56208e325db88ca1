"""Documents that share a row, in mixers that carry something along it: each begins with nothing, exactly."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

import tfdsl
from tests import measure
from tests.test_packing import checked, pair, rows
from tfdsl import building

MIXERS = {
    "taps": "short_conv: {size: 4, gated: false, conv_bias: true}",
    "short_conv": "short_conv: 3",
    "conv": "conv: {kernel: 3, padding: causal, dilation: 2}",
    "conv groups": "conv: {kernel: 4, padding: causal, groups: 4, bias: false}",
    "shift": "shift: 2",
    "mamba": "mamba: {inner: 12, state: 4, rank: 3, norm: rms}",
    "mamba2": "mamba2: {heads: 4, head_dim: 4, state: 5, groups: 2, chunk: 4}",
    "mamba2 whole": "mamba2: {heads: 2, head_dim: 4, state: 5, norm: none, size: 2, dt_min: 0.1}",
    "gated_delta": "gated_delta: {heads: 4, key_heads: 2, key_dim: 4, value_dim: 3, chunk: 4}",
    "gated_delta whole": "gated_delta: {heads: 2, key_dim: 4, negative: true, conv_bias: true}",
    "linear": "attention: {heads: 4, mask: causal, method: {type: linear, chunk: 4}, position: rope}",
    "linear shared": "attention: {heads: 4, kv_heads: 2, mask: causal, method: {type: linear, feature: softplus}}",
    "performer": "attention: {heads: 4, mask: causal, method: {type: performer, features: 6, chunk: 5}}",
}
SPLITS = ([3, 1, 1, 9, 4, 5], [1] * 23, [17, 6])
NAMES = list(MIXERS)


def test_padding_is_passed_over_in_documents() -> None:
    """Padding inside a document leaves states as they are, as it does in a row that is one document."""
    for name in ("mamba2", "gated_delta", "conv", "linear"):
        packed, plain = pair(MIXERS[name], "none", ", pad: 0")
        tokens, documents, places = rows(3)
        tokens[:, 3::5] = 0
        together = packed(tokens, documents)
        for row, each in enumerate(places):
            for place in each:
                alone = plain(tokens[row : row + 1, place])
                torch.testing.assert_close(together[row : row + 1, place], alone, rtol=1e-11, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_each_document_gives_what_it_gives_alone_at_once_and_in_any_split(name: str) -> None:
    packed, plain = pair(MIXERS[name], "none")
    tokens, _, _ = rows(0)
    assert torch.equal(packed(tokens), plain(tokens))
    for seed, sizes in enumerate(SPLITS):
        tokens, documents, places = rows(seed)
        together, kept = packed(tokens, documents), packed.new_cache(23)
        for row, each in enumerate(places):
            for place in each:
                alone = plain(tokens[row : row + 1, place])
                torch.testing.assert_close(together[row : row + 1, place], alone, rtol=1e-11, atol=1e-11)
        pieces = zip(tokens.split(sizes, 1), documents.split(sizes, 1), strict=True)
        found = torch.cat([packed(part, told, cache=kept) for part, told in pieces], dim=1)
        torch.testing.assert_close(found, together, rtol=1e-11, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("name", ["taps", "conv", "shift", "mamba", "mamba2", "gated_delta", "linear", "full"])
def test_numbers_may_be_left_out_where_the_last_document_goes_on(name: str) -> None:
    packed, _ = pair({**MIXERS, "full": "attention: {heads: 4, mask: causal, position: rope}"}[name], "learned")
    tokens, _, _ = rows(1)
    documents = torch.tensor([[4, 4, 7, 7, 7, 7, 7, 7, 7, 7, 2, 2, 2, 2], [4, 4, 4, 4, 7, 7, 7, 7, 1, 7, 7, 7, 7, 7]])
    wanted, kept = packed(tokens[:, :14], documents), packed.new_cache(14)
    told = [documents[:, :5], None, None, documents[:, 8:9], documents[:, 9:12], None]
    found = [packed(part, numbers, cache=kept) for part, numbers in
             zip(tokens[:, :14].split([5, 1, 2, 1, 3, 2], 1), told, strict=True)]  # fmt: skip
    torch.testing.assert_close(torch.cat(found, dim=1), wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_weights_learn_from_documents_what_they_learn_from_each_alone(name: str) -> None:
    packed, plain = deepcopy(pair(MIXERS[name], "none"))
    tokens, documents, places = rows(7)
    packed(tokens, documents).square().sum().backward()
    for row, each in enumerate(places):
        for place in each:
            plain(tokens[row : row + 1, place]).square().sum().backward()
    for ours, theirs in zip(packed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["mamba", "mamba2", "gated_delta", "linear", "performer", "conv"])
def test_narrow_numbers_stay_numbers(name: str, dtype: torch.dtype) -> None:
    model = deepcopy(pair(MIXERS[name], "none")[0]).to(dtype)
    tokens, documents, places = rows(2)
    together = model(tokens, documents)
    together.float().square().sum().backward()
    assert together.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    with torch.no_grad():
        for place in places[0]:
            alone = model(tokens[:1, place])
            assert (together[:1, place] - alone).abs().max() <= 0.05 * alone.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("name", ["conv", "mamba2", "linear"])
def test_packed_mixers_compile_in_one_graph(name: str) -> None:
    model, _ = pair(MIXERS[name], "none")
    tokens, documents, _ = rows(2)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(tokens, documents), model(tokens, documents), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("conv groups", "linear")])
def test_costs_are_those_of_pytorch(name: str) -> None:
    found = checked(MIXERS[name])
    axes = {"B": 3, "T": 32}
    cost = tfdsl.cost(found, axes)
    assert (cost.forward, cost.training) == measure.flops(building.meta(found), measure.inputs(found, axes, "meta"))
    real = measure.kept(building.build(found), measure.inputs(found, axes))
    assert cost.activations == pytest.approx(real, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_models_without_documents_are_as_they_were(name: str) -> None:
    text = tfdsl.compile(checked(MIXERS[name], packed=False))
    assert not [line for line in text.splitlines() if "place_" in line and "place_C" not in line or "begun" in line]


@torch.no_grad()
def test_a_convolution_of_single_positions_needs_no_documents() -> None:
    packed, plain = pair("conv: 1", "none")
    tokens, documents, _ = rows(0)
    assert torch.equal(packed(tokens, documents), plain(tokens))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_says_that_documents_stay_apart(name: str) -> None:
    assert "per document" in tfdsl.draw(checked(MIXERS[name]))
    assert "per document" not in tfdsl.draw(checked(MIXERS[name], packed=False))
