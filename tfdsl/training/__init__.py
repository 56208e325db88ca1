"""Train a model: `train` starts a run in a folder, `resume` takes one up again."""

from __future__ import annotations

from pathlib import Path

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import checkpoint, log, needs, peak, reports
from tfdsl.training.loop import Loop, Outcome, process
from tfdsl.training.prepare import Job, prepare, reopen
from tfdsl.training.progress import Bar, Quiet, Report
from tfdsl.training.subject import Subject
from tfdsl.training.task import Measured

__all__ = ["Bar", "Measured", "Outcome", "Quiet", "Report", "Subject", "resume", "train"]


def train(
    subject: Subject,
    chosen: settings.Train,
    folder: Path,
    *,
    sample: settings.Sample | None = None,
    report: Report | None = None,
) -> tuple[Outcome | None, list[Diagnostic]]:
    """Train `subject` as the settings say, in a new run folder.

    Returns the outcome, or what is wrong: nothing is written before the data, the vocabulary and the lengths fit the
    model. A loss that is not finite ends the run before the step that it would spoil, with an outcome and a diagnostic.
    """
    job, problems = prepare(subject, chosen, sample or settings.Sample(), folder)
    return (None, problems) if job is None else _run(job, report or Quiet(), None, [])


def resume(subject: Subject, folder: Path, *, report: Report | None = None) -> tuple[Outcome | None, list[Diagnostic]]:
    """Take up the run in `folder` at its last whole checkpoint; it ends as it would have, to the bit.

    Returns the outcome, or what is wrong. A damaged checkpoint is named, and the last whole one before it is used.
    """
    job, problems = reopen(subject, folder)
    if job is None:
        return None, problems
    whole, damaged = checkpoint.found(folder / "checkpoints")
    said = [Diagnostic("W571", fault, label="left aside") for fault in damaged]
    if not whole:
        return None, [*said, Diagnostic("R706", f"`{folder}` holds no whole checkpoint to take up")]
    return _run(job, report or Quiet(), whole[-1], said)


def _run(
    job: Job, report: Report, start: checkpoint.Checkpoint | None, said: list[Diagnostic]
) -> tuple[Outcome, list[Diagnostic]]:
    path, step = job.folder / "log.jsonl", start.step if start else 0
    tight = needs.first(job)
    report.warned(tight)
    with process(job.settings.threads):
        with log.Log(path, step, reports.sinks(job.settings, job.folder, job.subject.name, step)) as lines:
            loop = Loop(job, report, lines, start)
            outcome = loop.run()
            end = {"step": outcome.step, "end": outcome.end, "seconds": round(outcome.seconds, 3)}
            lines.write(end | loop.meter.state() | loop.meter.use.told() | {"peak_memory": peak.memory()})
        log.draw(log.read(path), job.folder, job.subject.name)
    return outcome, [*said, *tight, *outcome.diagnostics]
