"""The emitted text: golden files, laid out as ruff does, without a dead line, and closed to a spec's words."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tfdsl
from tests.six import CACHED, NAMES, SPECS, inputs, tiny
from tfdsl.building import load
from tfdsl.codegen.write import write

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, accept: bool) -> None:
    path, text = GOLDEN / f"{name}.py", tfdsl.compile(SPECS / f"{name}.yaml")
    if accept:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_golden_files_are_as_ruff_writes_and_likes_them() -> None:
    for arguments in (["format", "--diff"], ["check", "--quiet"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--isolated", str(GOLDEN)], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_attention_holds_only_what_the_model_uses() -> None:
    text = tfdsl.compile(SPECS / "gpt2.yaml")
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "Attention")
    lines = (ast.get_source_segment(text, found) or "").splitlines()
    assert len(lines) == 30
    assert not [
        word
        for word in ("rope", "kv_heads", "norm", "mask=None", "bias", "self.scale", "T5")
        if word in "\n".join(lines)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_dead(name: str) -> None:
    """Do with a model all that one does: each line of the emitted file has then run."""
    torch.set_num_threads(1)
    source = write(tiny(name))
    ran = dict(traced(lambda: use(name, load(source))))
    module = compile(source.text, "emitted", "exec")
    dead = sorted(line for line in lines(module) if line not in ran)
    assert [source.text.splitlines()[line - 1].strip() for line in dead] == []


def use(name: str, module: ModuleType) -> None:
    """Train, evaluate, also in bfloat16, read a long sequence, decode, overflow the cache, and count on meta."""
    model, given_ = module.Model(), inputs(name)
    found = model(*given_)
    torch.stack([each.sum() for each in (found.values() if isinstance(found, dict) else (found,))]).sum().backward()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model.eval()(*given_)
    model(*given_)
    if name in ("gpt2", "bert"):
        with pytest.raises(ValueError, match="positions are learned, not 4000"):
            model(*(each.repeat(1, 4000)[:, :4000] for each in given_))
    if name == "hybrid":  # a long sequence is taken in blocks
        model(*inputs(name, 1, 300))
    if name in CACHED:
        cache = model.new_cache(11)
        for start, end in ((0, 4), (4, 8), (8, 11)):
            model(*given_[:-1], given_[-1][:, start:end], cache=cache)
        with pytest.raises(ValueError, match="room"):
            model(*given_[:-1], given_[-1][:, :1], cache=cache)
    if name == "hybrid":  # a cache keeps the window alone in some layers, and all positions in others
        cache = model.new_cache(300)
        for part in inputs(name, 1, 300)[0].split([290, 9, 1], dim=1):
            model(part, cache=cache)
        with pytest.raises(ValueError, match="room"):
            cache.extend(torch.zeros(1, 1), 1)
    with torch.device("meta"):
        module.Model()(*(each.to("meta") for each in given_))


def lines(code: CodeType) -> set[int]:
    """Return the lines that have code, in a code object and in those inside it."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    own = {line for _, _, line in code.co_lines() if line}
    return own.union(*map(lines, inner))


def traced(action: Any) -> Iterator[tuple[int, bool]]:
    """Run `action` and yield the lines of emitted text that it ran."""
    seen: set[int] = set()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith("<tfdsl"):
            return None
        seen.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return ((line, True) for line in seen)


@settings(max_examples=12, deadline=None)
@given(about=st.text(st.characters(), max_size=60))
def test_a_spec_cannot_write_code(about: str) -> None:
    spec = tfdsl.load(SPECS / "gpt2.yaml").model_copy(update={"about": about})
    checked = tfdsl.check(SPECS / "gpt2.yaml")
    object.__setattr__(checked, "spec", spec)
    plain, text = ast.parse(tfdsl.compile(SPECS / "gpt2.yaml")), write(checked).text
    tree = ast.parse(text)
    assert ast.dump(ast.Module(tree.body[1:], [])) == ast.dump(ast.Module(plain.body[1:], []))
    assert len(tree.body) == len(plain.body)
    assert not [mark for mark in text if ord(mark) < 32 and mark != "\n"]


def test_a_line_knows_its_place_in_the_spec() -> None:
    source = write(tiny("gpt2"))
    spec = (SPECS / "gpt2.yaml").read_text().splitlines()
    wanted = {
        "y_BTD = self.attention(y_BTD, cache=cache)": "- residual: [norm, attention]",
        "x_BTD = self.norm(x_BTD)": "- norm",
    }
    for text, line in zip(source.text.splitlines(), source.lines, strict=True):
        if text.strip() in wanted:
            assert line is not None
            assert spec[line - 1].strip() == wanted.pop(text.strip())
    assert wanted == {}


NAMED = """
tfdsl: 1
name: names
dims: {d: 8}
inputs: {class: {shape: [B, T], vocab: 9}, x: {shape: [B, T, d], dtype: float}}
outputs: {train: [B, T, d], forward: [B, T, d]}
blocks:
  attention: [norm, linear: {id: half, width: d}]
  model: [norm]
model:
  layer:
    - sum: [[embed: {id: type, from: class, width: d}], [norm: {id: lambda, from: x}]]
    - use: attention
    - use: model
    - linear: {id: train, from: lambda, width: d}
  attention:
    - linear: {id: forward, from: layer, width: d}
    - norm
"""


def test_names_that_python_or_torch_have_taken() -> None:
    text = NAMED.replace("    - norm\n", "") + "    - residual: [norm, linear: {id: eval, width: d}]\n"
    checked = tfdsl.check(text)
    assert checked.ok, checked.diagnostics
    model = tfdsl.build(checked)
    result = model(torch.ones(2, 3, dtype=torch.long), torch.randn(2, 3, 8))
    assert list(result) == ["train", "forward"]
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"layer", "attention"}
