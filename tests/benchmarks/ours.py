"""tfdsl in the comparison: the spec of a size, trained by its trainer and sampled by its sampler."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import tfdsl
from tests.benchmarks.peers import PROMPT, TOP_K
from tests.benchmarks.sizes import Size
from tfdsl import costing, heads
from tfdsl.sampling import Decoder, Plan, generate, ready
from tfdsl.sampling.chain import chain
from tfdsl.sampling.draw import Stream
from tfdsl.sampling.generate import Text
from tfdsl.settings import Sample, Train
from tfdsl.training import Quiet, subject
from tfdsl.training.log import Log
from tfdsl.training.loop import Loop
from tfdsl.training.prepare import Job, prepare
from tfdsl.training.process import process
from tfdsl.training.processes import Processes

Run = Callable[[int], int]
SPECS, GPT, LLAMA = Path(__file__).parent.parent.parent / "specs", "nanogpt_char", "llama2_7b"
ENDLESS = 10**9


def checked(size: Size, llama: bool = False) -> tfdsl.Checked:
    """Return the spec of a size: specs/nanogpt_char.yaml, or specs/llama2_7b.yaml in Llama style."""
    dims = {"vocab_size": size.vocab, "n_layers": size.layers, "d_model": size.width, "n_heads": size.heads}
    dims |= {"n_kv_heads": size.groups, "d_ff": size.hidden} if llama else {"context": size.context}
    return tfdsl.check(SPECS / f"{LLAMA if llama else GPT}.yaml", [f"dims.{name}={dims[name]}" for name in dims])


def flops(size: Size, llama: bool) -> float:
    """Return the FLOPs of training on a token."""
    cost = costing.count(checked(size, llama), {"B": size.batch, "T": size.context})
    return cost.training / size.batch / size.context


def trainer(size: Size, llama: bool, bfloat16: bool) -> Run:
    """Return `run(steps)`: steps of the training loop, its log and its bookkeeping included."""
    spec = checked(size, llama)
    folder = Path(tempfile.mkdtemp())
    (folder / "text.txt").write_text("a text\n" * 4000)
    chosen = {
        "data": str(folder / "text.txt"),
        "tokenizer": {"type": "bytes" if size.vocab >= 256 else "characters"},
        "context": size.context,
        "batch": size.batch,
        "steps": ENDLESS,
        "optimizer": {"lr": 1e-3, "weight_decay": 0.1},
        "precision": "bfloat16" if bfloat16 else "float32",
    }
    settings = Train.read(chosen)
    job, problems = prepare(subject.of(spec), settings, spec.sample, folder / "run")
    assert job is not None, problems
    return _run(job)


def nanogpt(text: Path) -> Run:
    """Return `run(steps)` of the spec as it stands, on a text's characters."""
    spec = tfdsl.check(SPECS / f"{GPT}.yaml", [f"train.data={text}", f"train.steps={ENDLESS}"])
    job, problems = prepare(subject.of(spec), spec.train, spec.sample, Path(tempfile.mkdtemp()) / "run")
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
    spec = checked(size)
    model: Any = ready(tfdsl.build(spec))
    open_ = Decoder(model, heads.leaving(model, heads.of(spec)))
    prompt = size.text()[:PROMPT].tolist()

    def run(count: int) -> int:
        plan = Plan(count, chain(Sample(top_k=TOP_K)), context=size.context)
        return sum(1 for _ in generate(open_, [Text(0, list(prompt), Stream(0))], plan))

    return run
