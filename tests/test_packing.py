"""Documents that share a row: each gives what it gives alone, whatever stands beside it; what cannot is refused."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch

import tfdsl
from tests import measure
from tests.six import spread
from tfdsl import building, roles
from tfdsl.checking import Checked

SPEC = """
tfdsl: 1
name: packed
inputs:
  tokens: {{shape: [B, T], vocab: 50{pad}}}
{documents}
outputs: {{logits: [B, T, 50]}}
blocks:
  layer:
    - residual: [norm, {mixer}]
    - residual: [norm, ffn: 24]
model:
  - embed: {{id: tok, from: tokens, width: 16}}
{position}
  - repeat: {{block: layer, times: 2}}
  - unembed: {{id: logits, width: 50}}
"""
DOCUMENTS = "  documents: {shape: [B, T], parts: tokens}"
MASKS = {
    "full": "full",
    "causal": "causal",
    "sliding": "{type: sliding, window: 4}",
    "sinks": "{type: sliding, window: 4, global: 2}",
    "both_sides": "{type: sliding, window: 4, causal: false}",
    "global": "{type: sliding, window: 3, causal: false, global: 2}",
    "chunked": "{type: chunked, size: 3}",
    "chunks": "{type: chunked, size: 3, causal: false}",
    "dilated": "{type: dilated, window: 2, step: 3}",
    "strides": "{type: dilated, window: 2, step: 2, causal: false}",
    "prefix": "{type: prefix, length: 3}",
}
RELATIVE = {
    "none": "none",
    "rope": "rope",
    "interleaved": "{type: rope, style: interleaved, fraction: 0.5}",
    "llama3": "{type: rope, scaling: {type: llama3, factor: 4, length: 8}}",
    "yarn": "{type: rope, scaling: {type: yarn, factor: 4, length: 8}}",
    "alibi": "alibi",
    "t5": "{type: t5, buckets: 8, max_distance: 12}",
    "shared": "{type: t5, buckets: 8, max_distance: 12, share: stack}",
    "kerple": "kerple",
    "shaw": "{type: shaw, max_distance: 3}",
    "values": "{type: shaw, max_distance: 3, values: true}",
    "transformer_xl": "transformer_xl",
    "deberta": "{type: deberta, max_distance: 8}",
}
ADDED = {
    "none": "",
    "learned": "  - position: {type: learned, length: 40, offset: 2}",
    "sinusoidal": "  - position: {type: sinusoidal, offset: 1, scale: 0.5}",
}
MORE = {
    "grouped": "kv_heads: 2, position: rope, mask: causal",
    "softcap": "softcap: 5, mask: causal",
    "sinks": "sinks: learned, mask: causal",
    "talking": "talking_heads: {at: both}, mask: causal",
    "differential": "differential: 0.8, mask: causal",
    "late_norm": "qk_norm: {type: rms, place: after}, position: rope, mask: causal",
    "softcap_full": "softcap: 5",
    "warm": "temperature: {length: 3, by: 0.4}, mask: causal",
    "log": "temperature: {type: log, length: 3, by: 0.4}, position: rope",
}
LATENT = "latent_attention: {heads: 2, kv_rank: 6, q_rank: 8, head_dim: 4, rope_dim: 4%s}"
MIXERS = {
    **{f"mask {name}": (f"attention: {{heads: 4, mask: {mask}}}", "learned") for name, mask in MASKS.items()},
    **{f"position {name}": (f"attention: {{heads: 4, mask: causal, position: {each}}}", "none")
       for name, each in RELATIVE.items()},
    **{f"both ways {name}": (f"attention: {{heads: 4, position: {RELATIVE[name]}}}", "none")
       for name in ("rope", "t5", "shaw", "transformer_xl", "deberta", "alibi")},
    **{f"more {name}": (f"attention: {{heads: 4, {each}}}", "sinusoidal") for name, each in MORE.items()},
    "latent": (LATENT % "", "none"),
    "latent full": (LATENT % ", mask: full, position: {type: rope, style: interleaved}", "sinusoidal"),
}  # fmt: skip


COSTED = ["mask full", "mask causal", "mask sliding", "position none", "position rope", "position alibi", "position t5",
          "both ways shaw", "more grouped", "more softcap", "latent", "latent full"]  # fmt: skip


def text(mixer: str, added: str, pad: str = "", packed: bool = True) -> str:
    return SPEC.format(mixer=mixer, position=ADDED[added], pad=pad, documents=DOCUMENTS if packed else "")


def checked(mixer: str, added: str = "none", pad: str = "", packed: bool = True) -> Checked:
    found = tfdsl.check(text(mixer, added, pad, packed))
    assert found.ok, found.diagnostics
    return found


@cache
def pair(mixer: str, added: str, pad: str = "") -> tuple[Any, Any]:
    """Return a model with documents and one without, of the same weights; both are made once."""
    models = [spread(tfdsl.build(checked(mixer, added, pad, packed))).double().eval() for packed in (True, False)]
    models[1].load_state_dict(models[0].state_dict())
    return models[0], models[1]


def rows(seed: int, length: int = 23) -> tuple[torch.Tensor, torch.Tensor, list[list[slice]]]:
    """Return two rows of tokens, the numbers of documents at random places, and where each document lies."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 50, (2, length), generator=generator)
    documents, places = torch.zeros_like(tokens), list[list[slice]]()
    for row in range(2):
        cuts = torch.randperm(length - 1, generator=generator)[: int(torch.randint(1, 6, (), generator=generator))] + 1
        ends = [0, *sorted(cuts.tolist()), length]
        places.append([slice(start, end) for start, end in zip(ends, ends[1:], strict=False)])
        for number, place in enumerate(places[row]):
            documents[row, place] = number % 3  # only neighbours need other numbers
    return tokens, documents, places


@torch.no_grad()
@pytest.mark.parametrize("name", MIXERS)
def test_each_document_gives_what_it_gives_alone(name: str) -> None:
    packed, plain = pair(*MIXERS[name])
    tokens, _, _ = rows(0)
    wanted = plain(tokens)  # a row that is one document: with the numbers, and without
    assert torch.equal(packed(tokens), wanted)
    torch.testing.assert_close(packed(tokens, torch.full_like(tokens, 5)), wanted, rtol=1e-12, atol=1e-12)
    for seed in range(2):
        tokens, documents, places = rows(seed)
        together = packed(tokens, documents)
        for row, each in enumerate(places):
            for place in each:
                alone = plain(tokens[row : row + 1, place])
                torch.testing.assert_close(together[row : row + 1, place], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mask causal", "mask global", "position rope", "position t5", "latent"])
def test_weights_learn_from_documents_what_they_learn_from_each_alone(name: str) -> None:
    packed, plain = deepcopy(pair(*MIXERS[name]))
    tokens, documents, places = rows(7)
    packed(tokens, documents).square().sum().backward()
    for row, each in enumerate(places):
        for place in each:
            plain(tokens[row : row + 1, place]).square().sum().backward()
    for ours, theirs in zip(packed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("mask", MASKS)
def test_padding_behind_documents_reaches_none(mask: str) -> None:
    packed, plain = pair(f"attention: {{heads: 4, mask: {MASKS[mask]}}}", "learned", ", pad: 0")
    tokens, documents, places = rows(3)
    last = places[0][-1]
    tokens[0, last] = 0
    together = packed(tokens, documents)
    assert together.isfinite().all()
    for place in places[0][:-1]:
        torch.testing.assert_close(together[:1, place], plain(tokens[:1, place]), rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mask causal", "mask chunked", "position rope", "latent", "more softcap"])
def test_decoding_needs_no_documents(name: str) -> None:
    packed, plain = pair(*MIXERS[name])
    tokens, documents, _ = rows(1)
    kept = packed.new_cache(23)
    parts = [packed(part, cache=kept) for part in tokens.split([5, 1, 9, 8], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), plain(tokens), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="from the first forward on"):
        kept = packed.new_cache(23)
        for part, told in ((tokens[:, :3], None), (tokens[:, 3:], documents[:, 3:])):
            packed(part, told, cache=kept)


AHEAD = ("mask full", "mask both_sides", "mask global", "mask chunks", "mask strides", "mask prefix")
DECODED = [name for name in MIXERS if not (name in AHEAD or name.startswith("both") or name.endswith("full"))]
DECODED.remove("more log")


@torch.no_grad()
@pytest.mark.parametrize("name", DECODED)
def test_packed_rows_go_on_in_any_split(name: str) -> None:
    packed, _ = pair(*MIXERS[name])
    for seed in range(3):
        tokens, documents, _ = rows(seed)
        cuts = torch.randint(1, 9, (30,), generator=torch.Generator().manual_seed(seed)).tolist()
        sizes = [size for place, size in enumerate(cuts) if sum(cuts[: place + 1]) <= 23]
        sizes += [23 - sum(sizes)] if sum(sizes) < 23 else []
        kept, pieces = packed.new_cache(23), zip(tokens.split(sizes, 1), documents.split(sizes, 1), strict=True)
        found = torch.cat([packed(part, told, cache=kept) for part, told in pieces], dim=1)
        torch.testing.assert_close(found, packed(tokens, documents), rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", [*DECODED, "mask prefix"])
def test_rows_of_many_lengths_go_on_as_each_does_alone(name: str) -> None:
    packed, plain = pair(*MIXERS[name])
    tokens = torch.randint(1, 50, (3, 14), generator=torch.Generator().manual_seed(5))
    padding = torch.tensor([0, 5, 3])
    documents = (torch.arange(8) >= padding[:, None]).long()
    kept = packed.new_cache(14)
    found = [packed(tokens[:, :8], documents, cache=kept)]  # and then without numbers: the last document goes on
    found += [packed(part, cache=kept) for part in tokens[:, 8:].split([1, 1, 3, 1], dim=1)]
    together = torch.cat(found, dim=1)
    for row, first in enumerate(padding.tolist()):
        alone = plain(tokens[row : row + 1, first:])
        torch.testing.assert_close(together[row : row + 1, first:], alone, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_prefix_is_read_whole_or_not_at_all() -> None:
    packed, _ = pair(*MIXERS["mask prefix"])
    tokens, kept = torch.ones(2, 8, dtype=torch.long), packed.new_cache(8)
    packed(tokens[:, :5], torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]), cache=kept)
    with pytest.raises(ValueError, match="the first 3 positions see each other"):
        packed(tokens[:, 5:], cache=kept)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mask causal", "mask prefix", "position rope", "position t5", "latent"])
def test_packed_models_compile_in_one_graph(name: str) -> None:
    model, _ = pair(*MIXERS[name])
    tokens, documents, _ = rows(2)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(tokens, documents), model(tokens, documents), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(compiled(tokens), model(tokens), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COSTED)
def test_costs_are_those_of_pytorch(name: str) -> None:
    found = checked(*MIXERS[name])
    axes = {"B": 3, "T": 32}
    cost = tfdsl.cost(found, axes)
    assert (cost.forward, cost.training) == measure.flops(building.meta(found), measure.inputs(found, axes, "meta"))
    real = measure.kept(building.build(found), measure.inputs(found, axes))
    assert cost.activations == pytest.approx(real, rel=0.03)


def test_documents_stand_last_and_may_be_left_out() -> None:
    spec = text("attention: 4", "none").replace(DOCUMENTS + "\n", "").replace("inputs:\n", f"inputs:\n{DOCUMENTS}\n")
    found = tfdsl.check(spec)
    signature = roles.of(found)
    assert list(signature.inputs) == ["tokens", "documents"]
    assert signature.documents("tokens") == signature.inputs["documents"]
    assert signature.inputs["documents"].kind == "documents"
    assert "def forward(self, tokens_BT, documents_BT=None):" in tfdsl.compile(found)


STREAMS = """
tfdsl: 1
name: two
inputs:
  tokens: {shape: [B, T], vocab: 30}
  places: {shape: [B, T], vocab: 9}
  documents: {shape: [B, T], parts: [tokens, places]}
outputs: {logits: [B, T, 30]}
blocks:
  layer:
    - residual: [norm, attention: {heads: 2, mask: causal, position: rope}]
model:
  first:
    - embed: {from: tokens, width: 8}
    - use: layer
  second:
    - embed: {from: places, width: 8}
    - use: layer
    - residual: [attention: {heads: 2, kv: first, mask: causal}]
    - sum: {from: [first, second]}
    - unembed: {id: logits, width: 30}
""".replace("    - sum: {from: [first, second]}\n", "    - sum: [[scale: 1], [linear: {from: first, width: 8}]]\n")


@torch.no_grad()
def test_streams_and_attention_between_them_keep_documents_apart() -> None:
    model = spread(tfdsl.build(tfdsl.check(STREAMS))).double().eval()
    tokens, documents, places = rows(4)
    given = tokens % 30, tokens % 9
    together = model(*given, documents)
    for row, each in enumerate(places):
        for place in each:
            alone = model(*(x[row : row + 1, place] for x in given))
            torch.testing.assert_close(together[row : row + 1, place], alone, rtol=1e-12, atol=1e-12)


REFUSED = {
    "conv: {kernel: 3}": "all documents",
    "shift: -1": "different documents",
    "attention: {heads: 4, method: linear}": "one sum",
    "attention: {heads: 4, method: {type: low_rank, rank: 4, length: 32}}": "one sum",
    "attention: {heads: 4, mask: {type: block_sparse, block: 4}}": "blocks",
    "attention: {heads: 4, mask: {type: sliding, window: 3, causal: false, global: 2, global_projections: true}}":
        "first positions",
    "attention: {heads: 4, position: {type: rope, scaling: {type: dynamic, factor: 2, length: 8}}}": "whole row",
    "attention: {heads: 4, kv: outside}": "not parted",
    "softmax: {axis: 1}": "different documents",
    "position: {type: learned, length: 40, padding: skipped}": "not padding",
}  # fmt: skip


@pytest.mark.parametrize("node", REFUSED)
def test_what_would_let_documents_reach_each_other_is_refused(node: str) -> None:
    written = text(node, "none", ", pad: 0").replace(
        DOCUMENTS, DOCUMENTS + "\n  outside: {shape: [B, S, 16], dtype: float}"
    )
    said = [each for each in tfdsl.check(written).diagnostics if each.severity == "error"]
    assert [each.code for each in said] == ["T283"], said
    assert REFUSED[node] in said[0].message


LOST = {
    "pool: mean": "T283",
    "prepend: 1": "T283",
    "append: 1": "T283",
    "slice: {at: 0, axis: 1}": "T283",
    "rearrange: b t d -> (b t) d": "T283",
    "reduce: b t d -> b d": "T283",
    "linear: 4": "T283",
}


@pytest.mark.parametrize("node", LOST)
def test_what_forgets_documents_is_refused(node: str) -> None:
    before = "  - rearrange: b t d -> b d t\n" if node.startswith("linear") else ""
    spec = f"""tfdsl: 1
name: m
inputs:
  x: {{shape: [B, 12, 16], dtype: float}}
  documents: {{shape: [B, 12], parts: x}}
model:
  - scale: {{from: x, by: 2}}
{before}  - {node}
"""
    said = [each.code for each in tfdsl.check(spec).diagnostics if each.severity == "error"]
    assert said == [LOST[node]]
