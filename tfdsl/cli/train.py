"""tfdsl train: train a spec on text."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfdsl import disk, report
from tfdsl.checking import Checked
from tfdsl.cli import options
from tfdsl.cli.output import Stop, coloured, refuse, remark, say
from tfdsl.cli.reading import checked

if TYPE_CHECKING:
    from tfdsl.training import Outcome
    from tfdsl.training.subject import Subject

PARTS = {
    "spec.yaml": "the spec",
    "model.py": "the model as PyTorch source",
    "checkpoints": "the best and the last weights",
    "log.jsonl": "every step",
    "loss.png": "the loss curve (and loss.svg)",
}


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "-o", "--output", metavar="FOLDER", help="The run's folder, which must not hold a run. [default: runs/NAME]"
)
@click.option("--data", metavar="TEXT", help="A text file, a folder, or `stdlib`: short for --set train.data=TEXT.")
@click.option(
    "--resume", is_flag=True, help="Take the run in FOLDER up at its last checkpoint (SPEC may be FOLDER itself)."
)
@click.option("--from", "start", metavar="RUN", help="Start from the weights and the tokenizer of another run.")
@options.overrides
def command(
    spec: str, output: str | None, data: str | None, resume: bool, start: str | None, overrides: tuple[str, ...]
) -> int:
    """Train a spec on text, as its `train` section says.

    Ctrl-C ends a run at the next step, with its weights saved; --resume goes on as if nothing had been.
    The exit code is 0 at the end of a run, 1 where it cannot begin or diverges, 130 after Ctrl-C.
    """
    if data is not None:
        overrides = (*overrides, f"train.data={data}")
    with _one_voice():
        if resume:
            if start is not None:
                refuse("a run that is taken up again has its weights: leave --from out, or begin another run")
            return _resume(spec, output, overrides)
        result = checked(spec, overrides)
        assert result.spec is not None, "a spec without errors is there"
        return _run(result, Path(output or f"runs/{result.spec.name}"), False, start)


def _resume(spec: str, output: str | None, overrides: tuple[str, ...]) -> int:
    if overrides:
        refuse("a run that is taken up again keeps its settings: leave --set and --data out, or begin another run")
    folder = Path(output or spec)
    if folder.suffix in (".yaml", ".yml") and not folder.is_dir():
        result = checked(spec)
        assert result.spec is not None, "a spec without errors is there"
        folder = Path(f"runs/{result.spec.name}")
    if not (folder / "spec.yaml").is_file():
        refuse(f"`{folder}` holds no run to take up: name the folder of one, as `tfdsl train {folder} --resume`")
    return _run(checked(str(folder / "spec.yaml")), folder, True)


def _run(result: Checked, folder: Path, resume: bool, start: str | None = None) -> int:
    gc.set_threshold(700, 10, 10)  # a long run wants its garbage taken away
    from tfdsl import training
    from tfdsl.training import subject

    taken = subject.of(result) if start is None else _started(result, start)
    try:
        with training.Bar(result.train.steps) if _first() else contextlib.nullcontext(training.Quiet()) as bar:
            if resume:
                outcome, found = training.resume(taken, folder, report=bar)
            else:
                outcome, found = training.train(taken, result.train, folder, sample=result.sample, report=bar)
    except OSError as error:
        refuse(f"cannot write the run into `{folder}`: {disk.reason(error)}", 1)
    if found:
        remark(report.render(found, result.document.texts, coloured(sys.stderr)).rstrip("\n"))
    if outcome is None:
        raise Stop(code=1)
    if _first():
        _tell(outcome, folder)
    return {"signal": 130, "diverged": 1, "unsaved": 1}.get(outcome.end, 0)


def _first() -> bool:
    """Return whether this is the process that speaks: the only one, or the first that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _one_voice() -> Generator[None]:
    """Have the first of several processes say what all find."""
    if _first():
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            yield
        except Stop as stop:
            raise Stop(code=stop.code) from None


def _started(result: Checked, folder: str) -> Subject:
    """Return what is trained, with the weights of the run in `folder`."""
    from tfdsl.run import onward, open_run
    from tfdsl.training import subject

    run, found = open_run(Path(folder))
    taken = None
    if run is not None:
        taken, problems = onward(subject.of(result), run)
        found += problems
    if found:
        remark(report.render(found, {}, coloured(sys.stderr)).rstrip("\n"))
    if taken is None:
        raise Stop(code=1)
    return taken


def _tell(outcome: Outcome, folder: Path) -> None:
    """Say how the run ended and what it left, and draw its curve."""
    from tfdsl.training import log
    from tfdsl.training.progress import clock, figures

    entries = log.read(folder / "log.jsonl")
    losses = [(entry["step"], entry["loss"]) for entry in entries if "loss" in entry]
    held_out = [(entry["step"], entry["held_out"]) for entry in entries if "held_out" in entry]
    say(_plotted(losses, held_out))
    ended = {"signal": "stopped", "unsaved": "stopped", "diverged": "diverged"}.get(outcome.end, "trained")
    measured = ""
    if outcome.held_out is not None:
        measured = f"; held out: {outcome.held_out.loss:.3f} nats{figures(outcome.held_out)}"
    say(f"{ended} after {outcome.step:,} steps in {clock(outcome.seconds)}{measured}")
    for name, meaning in PARTS.items():
        if (folder / name).exists():
            say(f"  {folder / name!s:32} {meaning}")
    if outcome.end in ("signal", "unsaved"):
        say(f"go on: tfdsl train {folder} --resume")
    else:
        say(f"next: tfdsl sample {folder}")


def _plotted(losses: list[tuple[float, float]], held_out: list[tuple[float, float]]) -> str:
    """Return the curve of the loss, its steps averaged so that it can be read."""
    from tfdsl.cli.curve import plot

    if len(losses) < 2:
        return ""
    width = max(1, len(losses) // 100)
    rows = [losses[start : start + width] for start in range(0, len(losses), width)]
    means = [(row[-1][0], sum(loss for _, loss in row) / len(row)) for row in rows]
    return "\nloss, nats a token (dots: training; o: held out)\n" + plot(means, held_out) + "\n"
