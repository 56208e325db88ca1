"""tfdsl in the comparison: the spec of a size, trained by its trainer and sampled by its sampler."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tfdsl
from tests.benchmarks.peers import PROMPT, TOP_K
from tests.benchmarks.sizes import Size
from tfdsl.sampling import generate, ready
from tfdsl.training import Quiet, subject
from tfdsl.training.log import Log
from tfdsl.training.loop import Loop, process
from tfdsl.training.prepare import Job, prepare
from tfdsl.training.processes import Processes

Run = Callable[[int], int]
SPEC = Path(__file__).parent.parent.parent / "specs" / "nanogpt_char.yaml"
ENDLESS = 10**9


def overrides(size: Size) -> list[str]:
    """Return the overrides that give the spec a size."""
    dims = {
        "vocab_size": size.vocab,
        "context": size.context,
        "n_layers": size.layers,
        "d_model": size.width,
        "n_heads": size.heads,
    }
    return [f"dims.{name}={value}" for name, value in dims.items()]


def trainer(size: Size, bfloat16: bool) -> Run:
    """Return `run(steps)`: steps of the training loop, its log and its bookkeeping included."""
    checked = tfdsl.check(SPEC, overrides(size))
    text = size.text().numpy().astype(np.uint16)
    precision = "bfloat16" if bfloat16 else "float32"
    settings = checked.train.model_copy(
        update={"context": size.context, "batch": size.batch, "steps": ENDLESS, "precision": precision}
    )
    return _run(Job(subject.of(checked), settings, Path(tempfile.mkdtemp()), text, text[:1000], 1.0))


def nanogpt(text: Path) -> Run:
    """Return `run(steps)` of the spec as it stands, on a text's characters."""
    checked = tfdsl.check(SPEC, [f"train.data={text}", f"train.steps={ENDLESS}"])
    job, problems = prepare(subject.of(checked), checked.train, checked.sample, Path(tempfile.mkdtemp()))
    assert job is not None, problems
    return _run(job)


def _run(job: Job) -> Run:
    loop = Loop(job, Quiet(), Log(job.folder / "log.jsonl", 0), None, Processes())

    def run(steps: int) -> int:
        with process(1):
            for _ in range(steps):
                loop.advance()
        return steps * job.settings.batch * (job.settings.context or 0)

    return run


def sampler(size: Size) -> Run:
    """Return `run(count)` that draws `count` tokens behind a prompt."""
    torch.manual_seed(0)
    model: Any = ready(tfdsl.build(tfdsl.check(SPEC, overrides(size))))
    prompt = size.text()[:PROMPT].tolist()

    def run(count: int) -> int:
        return sum(1 for _ in generate(model, prompt, length=count, top_k=TOP_K, context=size.context))

    return run
