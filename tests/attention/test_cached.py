"""Attention to near positions, decoded with a cache: every mask, with all that may go with it, in any chunks."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
import torch

import tfdsl
from tfdsl import costing
from tfdsl.sampling import cached

MASKS = {
    "self": "{type: sliding, window: 1}",
    "two": "{type: sliding, window: 2}",
    "window": "{type: sliding, window: 5}",
    "wide": "{type: sliding, window: 300}",
    "global": "{type: sliding, window: 4, global: 3}",
    "chunk": "{type: chunked, size: 6}",
    "chunk_of_one": "{type: chunked, size: 1}",
    "dilated": "{type: dilated, window: 3, step: 4}",
}
MANY = ("window", "global", "chunk", "dilated")
WITH = {
    "nothing": "",
    "rope": "position: rope",
    "alibi": "position: alibi",
    "t5": "position: {type: t5, buckets: 8, max_distance: 12}",
    "shared t5": "position: {type: t5, buckets: 8, max_distance: 12, share: table}",
    "kerple": "position: kerple",
    "shaw": "position: {type: shaw, max_distance: 3}",
    "shaw both": "position: {type: shaw, max_distance: 3, both: true}",
    "shaw values": "position: {type: shaw, max_distance: 3, values: true}",
    "transformer_xl": "position: transformer_xl",
    "deberta": "position: {type: deberta, max_distance: 5}",
    "softcap": "softcap: 2, position: rope",
    "sinks": "sinks: learned, kv_heads: 2",
    "zero": "sinks: zero",
    "talking heads": "talking_heads: {at: both}",
    "differential": "differential: {init: 0.5}",
    "groups": "kv_heads: 1, value_dim: 6, position: rope",
    "temperature": "temperature: {type: log, length: 4, by: 0.3}",
    "capped alibi": "softcap: 2, position: alibi",
}
HEAD = "tfdsl: 1\nname: m\ninputs: {{t: {{shape: [B, T], vocab: 40{pad}}}}}\n"
BAR = 1e-10
LENGTH = 34  # the entries of the smaller windows are laid anew twice


def built(body: str, pad: str = "") -> Any:
    pipe = f"model: [embed: {{from: t, width: 16}}, {body}, unembed: {{width: 40}}]"
    return made(HEAD.format(pad=pad).partition("\n")[2].partition("\n")[2] + pipe)


def made(text: str) -> Any:
    torch.manual_seed(1)
    checked = tfdsl.check(f"tfdsl: 1\nname: m\n{text}")
    assert checked.ok, tfdsl.SpecError(checked)
    model = tfdsl.build(checked).double().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return model


def splits(length: int, seed: int) -> list[list[int]]:
    """Return several ways to cut a sequence: one by one, all but one, and some by chance."""
    chance = random.Random(seed)
    found = [[1] * length, [length - 1, 1]]
    for most in (4, 25):
        cuts: list[int] = []
        while sum(cuts) < length:
            cuts.append(min(chance.randint(1, most), length - sum(cuts)))
        found.append(cuts)
    return found


def apart(model: Any, tokens: torch.Tensor, ways: Iterable[list[int]]) -> float:
    """Return how far, at most, what a model gives in chunks is from what it gives at once; NaN where one is."""
    with torch.no_grad():
        wanted, far = model(tokens), [torch.zeros((), dtype=torch.float64)]
        for cuts in ways:
            cache = model.new_cache(tokens.size(1))
            found = torch.cat([model(part, cache=cache) for part in tokens.split(cuts, dim=1)], dim=1)
            far.append(((found - wanted).abs() / (1 + wanted.abs())).max())
    return float(torch.stack(far).max())


def some(length: int = LENGTH, rows: int = 2, least: int = 0) -> torch.Tensor:
    return torch.randint(least, 40, (rows, length), generator=torch.Generator().manual_seed(5))


def layers(masks: Iterable[str], fields: str = "") -> str:
    more = f", {fields}" if fields else ""
    return ", ".join(f"residual: [norm, attention: {{heads: 4, mask: {mask}{more}}}]" for mask in masks)


@pytest.mark.parametrize("fields", WITH)
def test_chunks_give_what_the_whole_gives(fields: str) -> None:
    model = built(layers((MASKS[name] for name in MANY), WITH[fields]))
    assert apart(model, some(), splits(LENGTH, len(fields))) <= BAR


@pytest.mark.parametrize("mask", MASKS)
def test_single_layers_give_what_the_whole_gives(mask: str) -> None:
    model = built(f"attention: {{heads: 4, mask: {MASKS[mask]}, position: alibi}}")
    assert apart(model, some(), splits(LENGTH, len(mask))) <= BAR


@pytest.mark.parametrize("mask", MASKS)
def test_padding_is_hidden_from_what_comes_after(mask: str) -> None:
    tokens = some(least=1)
    tokens[1, :4] = tokens[0, 20:29] = 0
    model = built(f"attention: {{heads: 4, mask: {MASKS[mask]}, position: rope}}", ", pad: 0")
    assert apart(model, tokens, splits(LENGTH, 0)) <= BAR


@pytest.mark.parametrize("fields", ["position: rope", "position: alibi", WITH["shaw values"], WITH["deberta"]])
@pytest.mark.parametrize("mask", MASKS)
def test_documents_that_share_a_row_stay_apart(mask: str, fields: str) -> None:
    pipe = f"[embed: {{from: t, width: 16}}, attention: {{heads: 4, mask: {MASKS[mask]}, {fields}}}]"
    model = made(f"inputs: {{t: {{shape: [B, T], vocab: 40}}, d: {{shape: [B, T], parts: t}}}}\nmodel: {pipe}")
    tokens, told = some(), torch.zeros(2, LENGTH, dtype=torch.long)
    told[0, 3:], told[0, 19:], told[1, 8:], told[1, 30:] = 1, 2, 7, 9
    with torch.no_grad():
        for given in ((tokens, told), (tokens,)):
            wanted = model(*given)
            for cuts in splits(LENGTH, len(mask)):
                cache = model.new_cache(LENGTH)
                parts = zip(*(each.split(cuts, dim=1) for each in given), strict=True)
                found = torch.cat([model(*part, cache=cache) for part in parts], dim=1)
                torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10, msg=str(cuts))


@pytest.mark.parametrize("mask", MASKS)
def test_others_read_what_is_kept(mask: str) -> None:
    """All positions are held of keys and values that have a name: others may see more of them."""
    first = f"attention: {{heads: 4, mask: {MASKS[mask]}, position: rope, keep: a}}"
    second = "attention: {heads: 4, reuse: a, mask: causal}"
    third = f"attention: {{heads: 4, value_residual: a, mask: {MASKS[mask]}}}"
    assert apart(built(f"{first}, {second}, {third}"), some(), splits(LENGTH, 0)) <= BAR


def test_masks_of_all_kinds_in_one_model() -> None:
    model = built(layers((*MASKS.values(), "causal"), "position: alibi"))
    assert apart(model, some(), splits(LENGTH, 0)) <= BAR


def test_long_sequences_are_taken_in_blocks_first() -> None:
    ways = [400, 20], [300, 100, 20], [1, 19, 320, 80], [384, 1, 35]
    for mask in ("{type: sliding, window: 20}", "{type: chunked, size: 32}", "{type: dilated, window: 6, step: 5}"):
        model = built(f"attention: {{heads: 4, mask: {mask}, position: rope}}")
        assert apart(model, some(420, 1), ways) <= BAR


@pytest.mark.parametrize("length", [3, 20, 43, 1000])
@pytest.mark.parametrize("mask", [*MASKS.values(), "causal"])
def test_bytes_are_those_that_cost_tells(mask: str, length: int) -> None:
    text = f"attention: {{heads: 4, kv_heads: 2, mask: {mask}, position: rope}}"
    checked = tfdsl.check(
        HEAD.format(pad="") + f"model: [embed: {{from: t, width: 16}}, {text}, unembed: {{width: 40}}]"
    )
    model, cache = built(text), None
    for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        cache, model = model.new_cache(length), model.to(dtype)
        with torch.no_grad():
            for part in some(length, 3).split(61, dim=1):
                model(part, cache=cache)
        assert cached.size(cache) == costing.count(checked, {"T": length, "B": 3}, precision=name).cache


def test_memory_is_bounded_however_long_the_text() -> None:
    model = built(f"attention: {{heads: 4, mask: {MASKS['window']}}}, attention: {{heads: 4, mask: {MASKS['chunk']}}}")
    cache, sizes = model.new_cache(10**9), set[int]()
    with torch.no_grad():
        for part in some(300).split([7, 1, 40, 1, 251], dim=1):
            model(part, cache=cache)
            sizes.add(cached.size(cache))
    assert len(sizes) == 1


@pytest.mark.parametrize("mask", [*MASKS.values(), "causal"])
def test_more_than_there_is_room_for_is_said(mask: str) -> None:
    model = built(f"attention: {{heads: 4, mask: {mask}}}")
    cache = model.new_cache(5)
    with torch.no_grad():
        model(some(4), cache=cache)
        with pytest.raises(ValueError, match="the cache has room for 5, not 6 positions"):
            model(some(2), cache=cache)


BOUNDED = {
    "padding": ("global", "position: rope", "t: {shape: [B, T], vocab: 40, pad: 0}"),
    "shaw": ("window", WITH["shaw values"], "t: {shape: [B, T], vocab: 40}"),
    "deberta": ("chunk", WITH["deberta"], "t: {shape: [B, T], vocab: 40}"),
    "documents": ("chunk", "position: rope", "t: {shape: [B, T], vocab: 40}, d: {shape: [B, T], parts: t}"),
    "documents in all": ("causal", "position: rope", "t: {shape: [B, T], vocab: 40}, d: {shape: [B, T], parts: t}"),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_what_is_near_is_all_that_is_held(case: str) -> None:
    mask, fields, inputs = BOUNDED[case]
    attention = f"attention: {{heads: 4, mask: {MASKS.get(mask, mask)}, {fields}}}"
    text = f"inputs: {{{inputs}}}\nmodel: [embed: {{from: t, width: 16}}, {attention}, {attention}]"
    model, checked = made(text), tfdsl.check(f"tfdsl: 1\nname: m\n{text}")
    model = model.float()
    for length in (5, 41, 120):
        given = some(length, 3).split(7, dim=1)
        cache = model.new_cache(length)
        with torch.no_grad():
            for part in given:
                model(*([part, (part > 9).long()] if "parts" in inputs else [part]), cache=cache)
        sizes = [each.size(2) for each in cache.entries if each.dim() == 4]
        assert mask == "causal" or max(sizes) <= 6 + 15
        assert costing.count(checked, {"T": length, "B": 3}).cache == cached.size(cache)
