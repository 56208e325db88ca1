"""Train a model: `train` starts a run in a folder, `resume` takes one up again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfdsl import settings
from tfdsl.data.manifest import Damaged
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import checkpoint, log, needs, opening, peak, reports
from tfdsl.training.loop import Loop
from tfdsl.training.outcome import Outcome, Unfit
from tfdsl.training.prepare import Job, prepare, reopen
from tfdsl.training.process import process
from tfdsl.training.processes import Processes, joined
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
    Where `torchrun` started several processes, each calls this, and the first alone writes and returns what is wrong.
    """
    problems = opening.device(chosen, subject)
    if problems:
        return None, problems
    with joined(chosen.device) as processes:
        problems = [*opening.rows(chosen, subject, processes), *opening.alone(chosen, subject, processes)]
        if problems:
            return None, problems if processes.first else []

        def make() -> tuple[Job | None, list[Diagnostic]]:
            return prepare(subject, chosen, sample or settings.Sample(), folder, processes)

        job, problems = opening.made(make, subject, folder, processes)
        return (None, problems) if job is None else _run(job, report or Quiet(), None, [], processes)


def resume(subject: Subject, folder: Path, *, report: Report | None = None) -> tuple[Outcome | None, list[Diagnostic]]:
    """Take up the run in `folder` at its last whole checkpoint; it ends as it would have, to the bit.

    Returns the outcome, or what is wrong. A damaged checkpoint is named, and the last whole one is used; a run
    that had ended is left as it is.
    A run that was stopped before it saved any begins; one whose spec, settings or tokenizer were changed is refused.
    Another number of processes may take it up; its numbers are then the same to rounding.
    """
    job, problems = reopen(subject, folder)
    with joined(job.settings.device if job else "cpu") as processes:
        if job is not None:
            problems = opening.rows(job.settings, subject, processes)
            problems += opening.alone(job.settings, subject, processes)
        job, problems = opening.agreed(job, problems, processes)
        if job is None:
            return None, problems
        sound, start, said = opening.last(folder, processes)
        if not sound:
            return None, said if processes.first else []
        if (before := opening.ended(folder, start, processes)) is not None:
            return before, said if processes.first else []
        if processes.first:
            tight = needs.first(job.subject, job.task, job.settings, job.data.train, processes, False)
            job = replace(job, remarks=tuple(tight))
        return _run(job, report or Quiet(), start, said, processes)


def _run(
    job: Job, report: Report, start: checkpoint.Checkpoint | None, said: list[Diagnostic], processes: Processes
) -> tuple[Outcome | None, list[Diagnostic]]:
    path = job.folder / "log.jsonl"
    step = start.step if start else 0
    if processes.first:
        report.warned([*said, *job.remarks])
        said = [*said, *job.remarks]
    with process(job.settings.threads):
        with _log(job, step) if processes.first else log.Mute() as lines:
            try:
                loop = Loop(job, report if processes.first else Quiet(), lines, start, processes)
                outcome = loop.run()
            except (Unfit, Damaged) as fault:
                return None, [*said, fault.diagnostic] if processes.first else []
            if outcome.end != "unsaved":
                end = {"step": outcome.step, "end": outcome.end, "seconds": round(outcome.seconds, 3)}
                lines.write(end | loop.meter.state() | loop.meter.use.told() | {"peak_memory": peak.memory()})
        if processes.first and outcome.end != "unsaved":
            log.draw(log.read(path), job.folder, job.subject.name)
    return outcome, [*said, *outcome.diagnostics] if processes.first else []


def _log(job: Job, step: int) -> log.Log:
    """Open the log of a job, told to what its settings ask for besides."""
    sinks = reports.sinks(job.settings, job.folder, job.subject.name, step)
    return log.Log(job.folder / "log.jsonl", step, sinks)
