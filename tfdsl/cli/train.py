"""tfdsl train: train a spec on text."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shlex
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfdsl import disk, report
from tfdsl.checking import Checked
from tfdsl.cli import options
from tfdsl.cli.output import Stop, coloured, refuse, remark, say
from tfdsl.cli.reading import checked

if TYPE_CHECKING:
    from tfdsl.diagnostics import Diagnostic
    from tfdsl.roles import Signature
    from tfdsl.training import Outcome
    from tfdsl.training.subject import Subject
    from tfdsl.training.trials import Rise
    from tfdsl.watching import curves

GONE = ("closed by peer", "reset by peer", "Broken pipe")  # what torch says where another process has ended
SAID = "what is wrong, or how the run ended, stands above (no defect: this process ended as it should)"
PARTS = {
    "spec.yaml": "the spec",
    "groups.txt": "which weights moved how",
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
@click.option("--groups", "trial", flag_value="groups", help="Show which weights move how, and do not train.")
@click.option("--find-lr", "trial", flag_value="find-lr", help="Try learning rates from low to high, and suggest one.")
@click.option(
    "--overfit-one-batch",
    "trial",
    flag_value="overfit-one-batch",
    help="See whether the model can learn one batch by heart; say what is wrong if it cannot.",
)
@options.overrides
def command(
    spec: str,
    output: str | None,
    data: str | None,
    resume: bool,
    start: str | None,
    trial: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Train a spec on text, as its `train` section says.

    Ctrl-C ends a run at the next step, with its weights saved; --resume goes on as if nothing had been.
    The exit code is 0 at the end of a run, 1 where it cannot begin or diverges, 130 after Ctrl-C.
    """
    overrides = options.with_data(data, overrides)
    if resume and trial is not None:
        refuse(f"--{trial} trains nothing that could be taken up again: leave --resume out")
    with _one_voice():
        if resume:
            if start is not None:
                refuse("a run that is taken up again has its weights: leave --from out, or begin another run")
            code = _resume(spec, output, overrides)
        else:
            result = checked(spec, overrides)
            assert result.spec is not None, "a spec without errors is there"
            folder = Path(output or f"runs/{result.spec.name}")
            code = _run(result, folder, False, start) if trial is None else _trial(trial, result, folder, start)
        if code:
            raise Stop(code=code)
        return 0


def _resume(spec: str, output: str | None, overrides: tuple[str, ...]) -> int:
    folder = Path(output or spec)
    if folder.suffix in (".yaml", ".yml") and not folder.is_dir():
        result = checked(spec)
        assert result.spec is not None, "a spec without errors is there"
        folder = Path(f"runs/{result.spec.name}")
    if overrides:
        refuse(
            "a run that is taken up again keeps its settings, of which its steps and its learning rates are made: "
            "leave --set and --data out. To train on with others, begin another run with its weights: "
            f"tfdsl train {folder / 'spec.yaml'} --from {folder} -o OTHER "
            + " ".join(f"--set {shlex.quote(each)}" for each in overrides)
        )
    if not (folder / "spec.yaml").is_file():
        refuse(f"`{folder}` holds no run to take up: name the folder of one, as `tfdsl train {folder} --resume`")
    return _run(checked(str(folder / "spec.yaml")), folder, True)


def _run(result: Checked, folder: Path, resume: bool, start: str | None = None) -> int:
    gc.set_threshold(700, 10, 10)  # a long run wants its garbage taken away
    from tfdsl import training
    from tfdsl.training import subject

    taken = subject.of(result) if start is None else _started(result, start)
    try:
        bar = training.Bar(result.train.steps, texts=result.document.texts)
        with bar if _first() else contextlib.nullcontext(training.Quiet()) as watch:
            if resume:
                outcome, found = training.resume(taken, folder, report=watch)
            else:
                outcome, found = training.train(taken, result.train, folder, sample=result.sample, report=watch)
    except OSError as error:
        refuse(f"cannot write the run into `{folder}`: {disk.reason(error)}", 1)
    except RuntimeError as error:
        if os.environ.get("RANK") is None or not any(each in str(error) for each in GONE):
            raise
        raise Stop(code=1) from None  # another process has said why it ended, and this one ends with it
    found = [each for each in found if each not in bar.said]
    if found:
        remark(report.render(found, result.document.texts, coloured(sys.stderr)).rstrip("\n"))
    if outcome is None:
        raise Stop(code=1)
    if _first():
        _tell(outcome, folder, _question(result.train.objective.type_name, taken.signature))
    return {"signal": 130, "diverged": 1, "unsaved": 1}.get(outcome.end, 0)


def _first() -> bool:
    """Return whether this is the process that speaks: the only one, or the first that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _one_voice() -> Generator[None]:
    """Have the first of several processes say what all find, and `torchrun` that it was said."""
    aside = io.StringIO()
    with contextlib.ExitStack() as stack:
        if not _first():
            stack.enter_context(contextlib.redirect_stdout(aside))
            stack.enter_context(contextlib.redirect_stderr(aside))
        try:
            yield
        except Stop as stop:
            _account(stop.message)
            raise


def _account(message: str) -> None:
    """Leave for `torchrun` why this process ends, which its own report of failed processes then shows.

    It is the file that `torch.distributed.elastic.multiprocessing.errors.record` writes of an exception.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place is not None:
        told = {"message": f"tfdsl: {message or SAID}", "extraInfo": {"timestamp": str(int(time.time()))}}
        with contextlib.suppress(OSError):
            disk.write(Path(place), json.dumps({"message": told}))


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


def _question(objective: str, signature: Signature) -> str:
    """Return what asks a model of an objective, as `tfdsl` words with `{}` for its run; nothing where nothing does."""
    texts = len(signature.texts())
    if signature.goes_on and objective in ("next_token", "preference"):
        return "sample {}"
    if objective in ("seq2seq", "span_corruption"):
        return "sample {} --prompt " + ("TEXT" if texts == 2 else "SOUND.npy")
    if objective in ("classify", "contrastive"):
        command = "classify" if objective == "classify" else "embed"
        return f"{command} {{}} " + ("IMAGE" if not texts else "TEXT" if objective == "classify" else "TEXT OTHER")
    return 'fill {} "a [MASK] text"' if objective == "masked_token" else ""


def _tell(outcome: Outcome, folder: Path, question: str) -> None:
    """Say how the run ended, what it left, and what can be done next (the `question` be asked); draw its curve."""
    from tfdsl.training import log
    from tfdsl.training.progress import clock, figures

    entries = log.read(folder / "log.jsonl")
    losses = [(entry["step"], entry["loss"]) for entry in entries if "loss" in entry]
    held_out = [(entry["step"], entry["held_out"]) for entry in entries if "held_out" in entry]
    say(_plotted(losses, held_out))
    ended = {
        "signal": "stopped",
        "unsaved": "stopped",
        "diverged": "diverged",
        "patience": "no better for long: ended",
    }.get(outcome.end, "trained")
    measured = ""
    if outcome.held_out is not None:
        measured = f"; held out: {outcome.held_out.loss:.3f} nats{figures(outcome.held_out)}"
    ended = "the run had ended: it was trained" if outcome.before else ended
    say(f"{ended} after {outcome.step:,} steps in {clock(outcome.seconds)}{measured}")
    if entries and "peak_memory" in entries[-1]:
        say(_used(entries[-1]))
    for name, meaning in PARTS.items():
        if (folder / name).exists():
            say(f"  {folder / name!s:32} {meaning}")
    if outcome.end in ("signal", "unsaved"):
        if any((folder / "checkpoints").glob("step-*")):
            say(f"go on: tfdsl train {folder} --resume")
    elif question:
        say(f"next: tfdsl {question.format(folder)}")
    else:
        say(f"next: tfdsl plot {folder} -o curves.svg")


def _used(end: curves.Entry) -> str:
    """Return how the machine was used: tokens, their number a second, the share of its peak, and memory."""
    from tfdsl.training import needs
    from tfdsl.training.progress import percent

    share = f" ({percent(end['share_of_peak'])} of the machine's peak)" if "share_of_peak" in end else ""
    waited = f"{percent(end['waiting'])} of the time waiting for data, "
    memory = f"at most {needs.told(end['peak_memory'])} of memory"
    return f"{end['tokens']:,} tokens, {end['tokens_per_second']:,} a second{share}, {waited}{memory}"


def _plotted(losses: list[tuple[float, float]], held_out: list[tuple[float, float]]) -> str:
    """Return the curve of the loss, its steps averaged so that it can be read."""
    from tfdsl.cli.curve import plot

    if len(losses) < 2:
        return ""
    width = max(1, len(losses) // 100)
    rows = [losses[start : start + width] for start in range(0, len(losses), width)]
    means = [(row[-1][0], sum(loss for _, loss in row) / len(row)) for row in rows]
    return "\nloss, nats a token (dots: training; o: held out)\n" + plot(means, held_out) + "\n"


def _trial(trial: str, result: Checked, folder: Path, start: str | None) -> int:
    """Do what leaves no run: show the groups, find a learning rate, or learn one batch by heart."""
    from tfdsl.training import groups, subject, trials
    from tfdsl.training.progress import Bar

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        refuse(f"--{trial} is of one process: leave torchrun out")
    taken = subject.of(result) if start is None else _started(result, start)
    if trial == "groups":
        against = groups.against(taken.known(), result.train.optimizer)
        _said([replace(problem, span=taken.where(path)) for path, problem in against], result)
        say(groups.table(groups.part(taken.known(), result.train.optimizer)))
        return 0
    if trial == "find-lr":
        rise, found = trials.find(taken, result.train, Bar)
        _said(found, result)
        assert rise is not None, "nothing stands in the way"
        return _risen(rise, folder.with_name(f"{folder.name}-lr.svg"), result)
    fit, found = trials.overfit(taken, result.train, Bar)
    if fit is not None:
        say(_plotted(list(enumerate(fit.losses, 1)), []))
    _said(found, result)
    assert fit is not None, "nothing stands in the way"
    say(f"one batch was learnt: the loss went from {fit.losses[0]:.3f} to {fit.losses[-1]:.3f}, near its floor, "
        f"after {len(fit.losses):,} steps")  # fmt: skip
    return 0


def _said(found: list[Diagnostic], result: Checked) -> None:
    """Say what is wrong, and end the command if anything is."""
    if found:
        remark(report.render(found, result.document.texts, coloured(sys.stderr)).rstrip("\n"))
        raise Stop(code=1)


def _risen(rise: Rise, path: Path, result: Checked) -> int:
    """Show the loss by the learning rate, and say which one to take."""
    from math import log10

    from tfdsl.cli.curve import plot
    from tfdsl.training import trials

    points = [(log10(rate), loss) for rate, loss in zip(rise.rates, rise.smooth, strict=True)]
    say("\nloss by the learning rate, averaged\n" + plot(points, across="power of ten:") + "\n")
    if result.spec is not None and rise.losses:
        trials.draw(rise, path, result.spec.name)
        say(f"  {path!s:32} the same, drawn")
    if rise.suggested is None:
        say("the loss fell at none of them: see whether `--overfit-one-batch` does, or set `train.find_lr`")
        return 1
    say(f"next: tfdsl train … --set train.optimizer.lr={rise.suggested:.1e}")
    return 0
