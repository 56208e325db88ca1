"""One contender that writes texts, in a process of its own: for each line of JSON, what a cell of the table took it."""

from __future__ import annotations

import functools
import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.sizes import Size

First = Callable[[], None]  # called when each prompt has its first token
Write = Callable[[torch.Tensor, int, First], object]  # prompts [B, T], how many tokens to write behind each
SPECS = Path(__file__).parents[2] / "specs"
KEPT = Path(__file__).parents[2] / ".venv-bench" / "compiled"
WRITTEN = {
    "4x128": Size("4x128", layers=4, heads=4, width=128, context=2304, batch=1, vocab=65, steps=1),
    "6x384": Size("6x384", layers=6, heads=6, width=384, context=2304, batch=1, vocab=2048, steps=1),
    "gpt2": Size("gpt2", layers=12, heads=12, width=768, context=2304, batch=1, vocab=50257, steps=1),
}
OURS = {
    "tfdsl": ("float32", False),
    "tfdsl bfloat16": ("bfloat16", False),
    "tfdsl int8": ("int8", False),
    "tfdsl compiled": ("float32", True),
    "tfdsl compiled int8": ("int8", True),
}
THEIRS = ("transformers", "transformers static", "transformers compiled", "litgpt", "x-transformers")


def ours(name: str, size: Size) -> Write:
    """Return what writes with the spec of a size, in the sampler's own loop, the likeliest token each time."""
    import tfdsl
    from tfdsl import settings
    from tfdsl.sampling import generate, ready
    from tfdsl.sampling.draw import Stream
    from tfdsl.sampling.generate import Plan, Text
    from tfdsl.sampling.models import Models

    dims = {"vocab_size": size.vocab, "n_layers": size.layers, "d_model": size.width, "n_heads": size.heads}
    spec = "gpt2" if size.name == "gpt2" else "nanogpt_char"
    checked = tfdsl.check(
        SPECS / f"{spec}.yaml", [f"dims.{dim}={n}" for dim, n in (dims | {"context": size.context}).items()]
    )
    weights, compiled = OURS[name]
    folder = KEPT / size.name
    folder.mkdir(parents=True, exist_ok=True)

    def build() -> Any:
        return ready(tfdsl.build(checked))

    models = Models(folder, checked, build, build)
    chosen = settings.Sample.read({"weights": weights, "compile": compiled, "greedy": True})

    def write(prompts: torch.Tensor, count: int, first: First) -> object:
        made = models.hasten(chosen, len(prompts), False)
        plan = Plan(count, greedy=True, context=size.context, batch=len(prompts))
        texts = [Text(row, list(prompt), Stream(0)) for row, prompt in enumerate(prompts.tolist())]
        for written, _ in enumerate(generate(made.open, texts, plan), 1):
            if written == len(prompts):
                first()
        return texts

    return write


def theirs(name: str, size: Size) -> Write:
    """Return what writes with a library's own generator, the likeliest token each time."""
    from tests.benchmarks import peers

    library, _, way = name.partition(" ")
    model: Any = peers.MODELS[library](size).eval()
    if library == "transformers":
        return _transformers(model, way)
    if library == "x-transformers":
        return _x_transformers(model)
    return _litgpt(model)


def heard(model: Any) -> Callable[[First], None]:
    """Return what sets whom a model tells of its second call, counted from then on: the first tokens are there."""
    forward, calls = model.forward, 0
    tell: First = list

    @functools.wraps(forward)
    def told(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            tell()
        return forward(*args, **kwargs)

    def listen(first: First) -> None:
        nonlocal calls, tell
        calls, tell = 0, first

    model.forward = told
    return listen


def _transformers(model: Any, way: str) -> Write:
    if way == "compiled":
        model.forward = torch.compile(model.forward)
    listen = heard(model)

    def write(prompts: torch.Tensor, count: int, first: First) -> object:
        listen(first)
        return model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            max_new_tokens=count,
            min_new_tokens=count,
            pad_token_id=0,
            **({"cache_implementation": "static"} if way else {}),
        )

    return write


def _x_transformers(model: Any) -> Write:
    import x_transformers

    wrapped = x_transformers.AutoregressiveWrapper(model)
    listen = heard(model)

    @torch.inference_mode()
    def write(prompts: torch.Tensor, count: int, first: First) -> object:
        listen(first)
        return wrapped.generate(prompts, count, temperature=0.0, cache_kv=True)

    return write


def _litgpt(model: Any) -> Write:
    rows = 0

    @torch.inference_mode()
    def write(prompts: torch.Tensor, count: int, first: First) -> object:
        """Do what `litgpt.generate.base.generate` does, for any number of rows."""
        nonlocal rows
        if rows != len(prompts):
            rows = len(prompts)
            model.clear_kv_cache()
            model.set_kv_cache(batch_size=rows)
        place, tokens, found = torch.arange(prompts.shape[1]), prompts, []
        for _ in range(count):
            tokens = model(tokens, place)[:, -1:].argmax(-1)
            place = place[-1:] + 1
            found.append(tokens)
            if len(found) == 1:
                first()
        return torch.cat(found, 1)

    return write


def held() -> float:
    """Return the most memory of this process since the last call, in MB, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    most = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(most) / 1e3


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def main(name: str, size: Size) -> None:
    """Answer each line: the CPU time and the wall time to the first token behind each prompt, and to the last.

    Both are of one run: the difference of two runs would be that of two readings of the prompt, which take longer.
    """
    before = held()
    torch.manual_seed(0)
    write = (ours if name in OURS else theirs)(name, size)
    for line in sys.stdin:
        cell = json.loads(line)
        prompts = torch.randint(size.vocab, (cell["batch"], cell["prompt"]))
        held()
        try:
            if cell["warm"]:  # compilers take their time, and shapes are new
                write(prompts, cell["count"], list)
            times = [_now()]
            write(prompts, cell["count"], lambda: times.append(_now()))  # noqa: B023
            times.append(_now())
            first, last = (tuple(b - a for a, b in zip(times[0], each, strict=True)) for each in times[1:])
            answer: dict[str, Any] = {"first": first, "all": last, "memory": held() - before}
        except Exception as error:  # a library that cannot do a cell is left out of it
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    warnings.simplefilter("ignore")
    logging.disable()
    main(sys.argv[1], WRITTEN[sys.argv[2]])
