"""Whatever checks is built as declared, is laid out as ruff does, and decodes with a cache as without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tfdsl
from tests.codegen.spoken import Speaker
from tests.six import spread

SEEDS = range(16)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spec_at_random(seed: int) -> None:
    torch.set_num_threads(1)
    speaker = Speaker(seed)
    checked = tfdsl.check(speaker.spec())
    assert checked.ok, checked.diagnostics
    model = spread(tfdsl.build(checked)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    tokens, *before = (
        torch.randint(0, 20, shape, generator=generator) for shape in ((2, 9), (2, 7))[: 1 + speaker.two]
    )
    for each in (tokens, *before):
        each[:, 0] = 3
    whole = model(*before, tokens)
    assert whole.shape == (2, 9, 20)
    assert whole.isfinite().all()
    if "def new_cache" in tfdsl.compile(checked):
        for cuts in ((0, 1, 2, 3, 9), (0, 4, 9)):
            cache = model.new_cache(9)
            parts = [model(*before, tokens[:, a:b], cache=cache) for a, b in zip(cuts, cuts[1:], strict=False)]
            scale = max(1.0, float(whole.detach().abs().max()))
            torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-12 * scale)


def test_texts_of_random_specs_are_as_ruff_writes_and_likes_them(tmp_path: Path) -> None:
    for seed in SEEDS:
        (tmp_path / f"model_{seed}.py").write_text(tfdsl.compile(Speaker(seed).spec()), encoding="utf-8")
    for arguments in (["format", "--diff"], ["check", "--quiet"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--isolated", str(tmp_path)], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
