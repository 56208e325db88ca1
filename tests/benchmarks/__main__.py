"""`make bench`: speed beside what a user would pick instead; writes the tables of docs/benchmarks.md.

`python -m tests.benchmarks [nanogpt] [loss] [train] [sample] [decode] [families]` measures the parts that are named, or
all but `loss`, which trains three seeds to the end; `decode` takes a quarter of an hour. TEXT names nanoGPT's text
(tinyshakespeare.txt); without it the first two are left out.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import torch

import tfdsl
from tests.benchmarks import decoding, families, ours
from tests.benchmarks.pairs import ROOT, Speed, measure
from tests.benchmarks.sizes import SIZES, Size
from tests.benchmarks.writers import WRITTEN

PAGE = ROOT / "docs" / "benchmarks.md"
HOME = ROOT / ".venv-bench"
PEERS = ["transformers", "x-transformers", "litgpt"]
SAMPLED = 40  # tokens that are timed at once
PARTS = ["nanogpt", "train", "sample", "decode", "families"]


def environment() -> Path:
    """Make the environment of the libraries to compare with, which sees this one's packages; return its Python."""
    python = HOME / "bin" / "python"
    ready = HOME / ".ready"
    wanted = (Path(__file__).parent / "requirements.txt").read_text()
    if not ready.exists() or ready.read_text() != wanted:
        venv.create(HOME, with_pip=True, clear=True)
        own = next((HOME / "lib").glob("python*")) / "site-packages"
        (own / "project.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(Path(__file__).parent / "requirements.txt")], check=True)
        subprocess.run([*install, "--no-deps", "litgpt==0.5.13"], check=True)
        ready.write_text(wanted)
    return python


def main(parts: list[str]) -> None:
    """Measure the parts and write their tables."""
    if "nanogpt" in parts and "TEXT" in os.environ:
        rows = measure(["tfdsl", "nanogpt"], "nanogpt", os.environ["TEXT"], amount=40, rounds=15)
        write("nanogpt", table(rows, "tokens"))
    if "loss" in parts and "TEXT" in os.environ:
        losses = [trained(seed, os.environ["TEXT"]) for seed in range(3)]
        mean = sum(losses) / len(losses)
        write("loss", f"Seeds 0, 1, 2: {', '.join(f'{loss:.3f}' for loss in losses)}; mean {mean:.3f}.")
    if "train" in parts:
        write("train", "\n\n".join(trainings(size) for size in SIZES.values()))
    if "sample" in parts:
        write("sample", "\n\n".join(sampled(size) for size in SIZES.values() if size.vocab < 10_000))
    if "decode" in parts:
        torch.set_num_threads(1)
        write("decode", decoding.tables([part for part in parts if part in WRITTEN]))
    if "families" in parts:
        write("families", families.table())


def trainings(size: Size) -> str:
    """Measure training at a size, and return its table: a row a style and precision, a column a peer."""
    lines = [f"**{size.name}**", "", "| | tokens a CPU-second | of the peak | " + " | ".join(PEERS) + " |"]
    lines.append("|---|---|---|" + "---|" * len(PEERS))
    for style in ("GPT", "Llama"):
        for precision in ("float32", "bfloat16"):
            work = f"train {style} {precision}"
            rows = measure(["tfdsl", *PEERS, "peak"], work, size.name, size.steps, size.rounds)
            share = rows[0].speed * ours.flops(size, style == "Llama") / rows[-1].speed
            ratios = " | ".join(f"{1 / row.ratio:.2f}" for row in rows[1:-1])
            lines.append(f"| {style} style, {precision} | {rows[0].speed:,.0f} | {share:.0%} | {ratios} |")
            print(lines[-1], f"peak {rows[-1].speed / 1e9:.0f} GFLOP/s", flush=True)
    return "\n".join(lines)


def sampled(size: Size) -> str:
    """Measure sampling at a size, and return its table below its title."""
    rows = measure(["tfdsl", *PEERS], "sample", size.name, SAMPLED, rounds=7)
    return f"**sample, {size.name}**\n\n{table(rows, 'tokens')}"


def trained(seed: int, text: str) -> float:
    """Train specs/nanogpt_char.yaml to the end; return the loss over the whole held-out text, in nats a character."""
    from tfdsl import training
    from tfdsl.training import subject

    checked = tfdsl.check(ROOT / "specs" / "nanogpt_char.yaml", [f"train.data={text}", f"train.seed={seed}"])
    with tempfile.TemporaryDirectory() as folder:
        outcome, problems = training.train(subject.of(checked), checked.train, Path(folder) / "run")
    assert outcome is not None and outcome.held_out is not None, problems
    print(f"seed {seed}: {outcome.held_out.loss:.4f}", flush=True)
    return outcome.held_out.loss


def table(rows: list[Speed], unit: str) -> str:
    """Return the rows as Markdown: speed, and the first contender's speed over each."""
    lines = [f"| | {unit} a CPU-second | {rows[0].name} is |", "|---|---|---|"]
    lines += [f"| {row.name} | {row.speed:,.0f} | {1 / row.ratio:.2f} times as fast |" for row in rows]
    print("\n".join(lines), flush=True)
    return "\n".join(lines)


def write(part: str, text: str) -> None:
    """Put a part's tables between its marks in the page, with the machine and the day left to git."""
    page = PAGE.read_text()
    marked = f"<!-- {part} -->\n{text}\n\nOn {machine()}.\n<!-- end {part} -->"
    PAGE.write_text(re.sub(rf"<!-- {part} -->.*?<!-- end {part} -->", lambda _: marked, page, flags=re.DOTALL))


def machine() -> str:
    """Return the processor and the versions that a figure depends on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"model name\s*: (.*)", text)
    low = "with" if torch.cpu._is_avx512_bf16_supported() else "without"  # pyright: ignore[reportPrivateUsage]
    return f"one core of {found[1] if found else platform.machine()} ({low} AVX-512 BF16), torch {torch.__version__}"


if __name__ == "__main__":
    if Path(sys.prefix).resolve() != HOME.resolve():
        sys.exit(subprocess.run([str(environment()), "-m", "tests.benchmarks", *sys.argv[1:]], cwd=ROOT).returncode)
    main(sys.argv[1:] or PARTS)
