"""One contender that writes texts, in a process of its own: for each line of JSON, what a cell of the table took it."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.sizes import Size

Mark = Callable[[], None]  # called when a token is there
Write = Callable[[torch.Tensor, int, Mark], object]  # prompts [B, T], how many tokens behind each, the mark
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

    def write(prompts: torch.Tensor, count: int, mark: Mark) -> None:
        made = models.hasten(chosen, len(prompts), False)
        plan = Plan(count, greedy=True, context=size.context, batch=len(prompts))
        texts = [Text(row, list(prompt), Stream(0)) for row, prompt in enumerate(prompts.tolist())]
        for _ in generate(made.open, texts, plan):
            mark()

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


def _marked(model: Any) -> list[Mark]:
    """Return a list whose last mark is called whenever the model has been called."""
    marks: list[Mark] = []
    model.register_forward_hook(lambda *_: marks[-1]())
    return marks


def _transformers(model: Any, way: str) -> Write:
    if way == "compiled":
        model.forward = torch.compile(model.forward)

    marked = _marked(model)

    def write(prompts: torch.Tensor, count: int, mark: Mark) -> object:
        marked.append(mark)
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
    marked = _marked(model)

    @torch.inference_mode()
    def write(prompts: torch.Tensor, count: int, mark: Mark) -> object:
        marked.append(mark)
        return wrapped.generate(prompts, count, temperature=0.0, cache_kv=True)

    return write


def _litgpt(model: Any) -> Write:
    rows = 0

    @torch.inference_mode()
    def write(prompts: torch.Tensor, count: int, mark: Mark) -> object:
        """Do what `litgpt.generate.base.generate` does, for any number of rows."""
        nonlocal rows
        if rows != len(prompts):
            rows = len(prompts)
            model.clear_kv_cache()
            model.set_kv_cache(batch_size=rows)
        place, tokens, found = torch.arange(prompts.shape[1]), prompts, []
        for _ in range(count):
            tokens = model(tokens, place)[:, -1:].argmax(-1)
            mark()
            place = place[-1:] + 1
            found.append(tokens)
        return torch.cat(found, 1)

    return write


def clocks() -> tuple[float, float]:
    """Return the CPU time of this process and the time on the wall, in seconds."""
    return time.process_time(), time.perf_counter()


def held() -> float:
    """Return the most memory of this process since the last call, in MB, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    most = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(most) / 1e3


def _note(times: list[tuple[float, float]]) -> None:
    times.append(clocks())


def main(name: str, size: Size) -> None:
    """Answer each line: CPU and wall time until the first token of a call and until its last, and the memory."""
    before = held()
    torch.manual_seed(0)
    write = (ours if name in OURS else theirs)(name, size)
    for line in sys.stdin:
        cell = json.loads(line)
        prompts = torch.randint(size.vocab, (cell["batch"], cell["prompt"]))
        held()
        try:
            if cell["warm"]:  # compilers take their time, and shapes are new
                write(prompts, 3, lambda: None)
            began = clocks()
            times: list[tuple[float, float]] = []
            write(prompts, cell["count"], partial(_note, times))
            first, last = ([now - then for now, then in zip(at, began, strict=True)] for at in (times[0], clocks()))
            answer: dict[str, Any] = {"first": first, "all": last, "memory": held() - before}
        except Exception as error:  # a library that cannot do a cell is left out of it
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    warnings.simplefilter("ignore")
    logging.disable()
    main(sys.argv[1], WRITTEN[sys.argv[2]])
