"""The step of one token: traced as it stands from a spec's model, compiled, kept, and used only where it fits."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import _pytree as tree

import tfdsl
from tests import shrunk
from tfdsl import building, roles
from tfdsl.codegen.write import write
from tfdsl.ragged import ragged
from tfdsl.sampling import packages, quick, ready, rows, step
from tfdsl.sampling.packages import Purpose

TINY = """
tfdsl: 1
name: tiny
inputs: {tokens: {shape: [B, T], vocab: 40}}
outputs: {logits: [B, T, 40]}
model:
  - embed: {id: tok, from: tokens, width: 32}
  - position: {type: learned, length: 64}
  - residual: [norm: rms, attention: {heads: 4, mask: causal}]
  - unembed: {id: logits, tie: tok}
"""
SOME = ["deepseek_v2_lite", "gemma2_9b", "jamba", "llama2_7b", "mixtral_8x7b"]
TRACED = list(shrunk.decoding()) if "EVERY_SPEC" in os.environ else SOME  # `make traced`


@pytest.mark.parametrize("name", TRACED)
def test_a_traced_step_gives_what_the_model_gives(name: str) -> None:
    if not roles.of(shrunk.checked(name)).goes_on:
        pytest.skip("it writes a text for a source")
    compare(ready(shrunk.model(name)), step.ONE, rows=1)


def test_a_traced_step_of_few_rows_gives_what_the_model_gives() -> None:
    compare(ready(shrunk.model("llama2_7b")), step.FEW, rows=4)


def test_a_traced_step_goes_on_in_rows_of_several_documents() -> None:
    parted = ragged(shrunk.checked("llama2_7b"))
    assert parted is not None
    compare(ready(building.build(parted).double()), step.FEW, rows=2, documents=torch.tensor([[1] * 3, [0, 1, 1]]))


WINDOWS: dict[str, tuple[set[step.Fork], int]] = {  # of 57 steps, those that are not left to the model
    "sliding, window: 8": ({("recent", (8,))}, 54),
    "sliding, window: 20": ({("recent", (20,))}, 55),
    "sliding, window: 8, global: 2": ({("recent", (8,)), ("first_and_recent", (2, 8))}, 47),
    "sliding, window: 8, global: 14": ({("recent", (8,)), ("first_and_recent", (14, 8))}, 5),
    "chunked, size: 16": ({("same_chunk", (16,))}, 51),
    "chunked, size: 11": ({("same_chunk", (11,))}, 5),
}


@pytest.mark.parametrize("mask", WINDOWS)
def test_a_step_is_left_to_the_model_where_a_window_is_laid_anew(mask: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace("mask: causal", f"mask: {{type: {mask}}}"))
    model: Any = ready(building.build(tfdsl.check(path)))
    program, form, put = step.trace(model, step.ONE)
    forks, wanted = WINDOWS[mask]
    assert set(form.forks) == forks
    run = program.module()
    done = 0
    with torch.inference_mode():
        cache = step.filled(model, 1, 60, 2)
        for position in range(2, 59):
            before, held = list(cache.entries), tree.tree_map(torch.clone, cache.entries)
            tokens = torch.tensor([[position % 40]])
            logits = model(tokens, cache=cache)
            if form.goes(position):
                assert put == [
                    place for place, (a, b) in enumerate(zip(before, cache.entries, strict=True)) if a is not b
                ]
                torch.testing.assert_close(run([tokens], torch.empty(position), held)[0], logits, rtol=1e-5, atol=1e-5)
                done += 1
    assert done == wanted


def compare(model: Any, kind: str, rows: int, documents: torch.Tensor | None = None) -> None:
    """Run the traced step beside the model, from the third position to the end of the cache."""
    program, form, put = step.trace(model, kind, step.PLAIN if documents is None else step.PARTED)
    run = program.module()
    with torch.inference_mode():
        cache = model.new_cache(30)
        model(torch.randint(0, 39, (rows, 3)), *([] if documents is None else [documents]), cache=cache)
        done = 0
        while cache.position < 29:
            tokens = torch.randint(0, 39, (rows, 1))
            mine = copy.copy(cache)
            mine.entries = tree.tree_map(torch.clone, cache.entries)
            leaves = tree.tree_leaves(mine.entries)
            assert form.takes([tokens, *leaves])
            wanted = model(tokens, cache=cache)
            if not form.goes(mine.position):  # a step that the sampler leaves to the model
                continue
            given, new = run([tokens], torch.empty(mine.position), mine.entries)
            done += 1
            torch.testing.assert_close(given, wanted, rtol=1e-10, atol=1e-10)
            for place, tensor in zip(put, new, strict=True):
                leaves[place] = tensor
            for one, other in zip(leaves, tree.tree_leaves(cache.entries), strict=True):
                if one.dim() < 4 or one.size(2) != 30:
                    continue
                torch.testing.assert_close(one[:, :, : cache.position], other[:, :, : cache.position])
    assert done > 13


def test_a_compiled_step_is_kept_and_used_where_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    checked = tfdsl.check(path)
    torch.manual_seed(0)
    model: Any = ready(building.build(checked))
    shop = quick.Shop(tmp_path, write(checked).text)
    first = quick.quicken(model, shop, 1, asked=False)
    assert first.model is model
    made = quick.quicken(model, shop, 1, asked=True)
    assert made.said == ()
    assert "made in" in made.notes[0]
    used = quick.quicken(model, shop, 1, asked=False)
    assert used.notes == (f"compiled step: {shop.purpose(1).package(tmp_path)}",)
    beside(used.model, model)
    package = shop.purpose(1).package(tmp_path)
    package.write_bytes(package.read_bytes()[:-1] + b"?")
    broken = quick.quicken(model, shop, 1, asked=False)
    assert broken.model is model
    assert [each.code for each in broken.said] == ["W611"]


def beside(stepped: Any, model: Any) -> None:
    """Compare logits in float32, step by step, over positions that the compiled step does and some that it does not."""
    with torch.inference_mode():
        caches = stepped.new_cache(20), model.new_cache(20)
        prompt = torch.tensor([[7]])
        stepped(prompt, cache=caches[0])
        model(prompt, cache=caches[1])
        for token in range(3, 22):
            tokens = torch.tensor([[token]])
            given, wanted = stepped(tokens, cache=caches[0]), model(tokens, cache=caches[1])
            torch.testing.assert_close(given, wanted, rtol=1e-5, atol=1e-5)
        assert caches[0].position == caches[1].position == 20


def purpose(**other: Any) -> Purpose:
    known: dict[str, Any] = {
        "source": "",
        "weights": "int8",
        "rows": "one",
        "parted": False,
        "torch": "2",
        "machine": "x",
        "threads": 1,
        "how": "",
    }
    return Purpose(**{**known, **other})


def test_a_package_of_another_maker_or_for_another_purpose_is_left_aside(tmp_path: Path) -> None:
    wanted = purpose()
    package = wanted.package(tmp_path)
    package.parent.mkdir()
    assert packages.find(tmp_path, wanted) == (None, [])
    package.write_bytes(b"code")
    kept = packages.keep(package, {"shapes": []}, [1])
    assert packages.find(tmp_path, wanted) == (kept, [])
    told = []
    described = package.with_suffix(".json")
    text = described.read_text()
    described.write_text(text.replace('"seal": "', '"seal": "0'))
    told.append(packages.find(tmp_path, wanted)[1][0].message)
    described.write_text(text)
    package.write_bytes(b"c0de")
    told.append(packages.find(tmp_path, wanted)[1][0].message)
    described.unlink()
    told.append(packages.find(tmp_path, wanted)[1][0].message)
    told.append(packages.find(tmp_path, purpose(torch="3"))[1][0].message)
    before = f"the compiled step `{package}` is left aside: "
    assert [each.removeprefix(before) for each in told] == [
        "it was not made here: compiled code is run for nobody else",
        "it is damaged: its SHA-256 is another than when it was made",
        f"`{described.name}` beside it is missing or damaged",
        "it was made for another model, torch, processor, number of threads or version of tfdsl",
    ]


def test_the_queries_of_few_rows_reach_the_fused_attention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rows, "LARGE", 1)  # all products go by rows, as those of a larger model do
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    program, _, _ = step.trace(ready(building.build(tfdsl.check(path))), step.FEW)
    calls = [node for node in program.graph.nodes if node.target is torch.ops.aten.scaled_dot_product_attention.default]
    assert len(calls) == 1
    q_BHTK = calls[0].args[0].meta["val"]
    assert q_BHTK.stride(-1) == 1  # or torch takes another attention, which copies the cache


@pytest.mark.parametrize("large", [1, 1 << 18])
def test_a_traced_reading_of_guesses_gives_what_the_model_gives(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LARGE", large)
    model: Any = ready(shrunk.model("llama2_7b"))
    program, form, put = step.trace(model, step.AHEAD)
    assert put == [] and form.forks == ()
    run = program.module()
    with torch.inference_mode():
        cache = model.new_cache(40)
        model(torch.randint(0, 39, (1, 3)), cache=cache)
        entries = tree.tree_map(torch.clone, cache.entries)
        for count in (2, 9, 3, 5):
            tokens, position = torch.randint(0, 39, (1, count)), cache.position
            given, _ = run([tokens], torch.empty(position), entries)
            torch.testing.assert_close(given, model(tokens, cache=cache), rtol=1e-10, atol=1e-10)


def test_guesses_are_read_by_the_model_itself_where_more_is_kept_than_keys_and_values() -> None:
    with pytest.raises(ValueError, match="more than keys and values"):
        step.trace(ready(shrunk.model("mamba2")), step.AHEAD)
