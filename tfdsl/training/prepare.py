"""From settings to a job: bind the objective to the model, read the data, check both, fill the run folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tfdsl import disk, settings, tokens
from tfdsl.data import prepare as data
from tfdsl.data.asked import Asked
from tfdsl.data.table import Prepared
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import groups, needs, objectives, reports
from tfdsl.training.doubts import doubts
from tfdsl.training.processes import Processes
from tfdsl.training.subject import Subject
from tfdsl.training.task import Task

SPEC, SOURCE, SETTINGS, TOKENIZER, DATA = "spec.yaml", "model.py", "settings.json", "tokenizer.json", "data"
GROUPS = "groups.txt"
START, DRAWN = "start", "drawn"  # what a run's settings say of its first weights
UNBOUNDED_CONTEXT = 256  # tokens a sequence where neither the settings nor the model say


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a training run needs: the model, its task, its settings, its examples, and the folder it is kept in.

    `remarks` are what is worth a word before a new run begins.
    """

    subject: Subject
    task: Task
    settings: settings.Train
    folder: Path
    data: Prepared
    remarks: tuple[Diagnostic, ...] = ()


def prepare(
    subject: Subject,
    train: settings.Train,
    sample: settings.Sample,
    folder: Path,
    processes: Processes | None = None,
) -> tuple[Job | None, list[Diagnostic]]:
    """Make a job in a new run folder, or say what stands in its way; nothing is left there before all is well.

    `processes` are those that are to train it.
    """
    chosen = resolved(train, subject)
    task, found = objectives.bind(chosen, subject.signature)
    found = [
        *_unread(train, subject),
        *_other_tokenizer(train, subject),
        *found,
        *groups.against(subject.known(), chosen.optimizer),
    ]
    found += [("train.report", problem) for problem in reports.missing(chosen)]
    if task is not None and task.begins_trained and not subject.trained:
        found.append(("train.objective", _untrained(chosen.objective.type_name)))
    problems = [_placed(subject, *each) for each in found] + _free(folder)
    if task is None or problems:
        return None, problems
    if chosen.data is None:
        return None, [_placed(subject, "train", _no_data())]
    made, found = data.prepare(
        chosen.data,
        chosen.tokenizer,
        task.wanted,
        subject.vocab,
        folder=folder / DATA,
        own=subject.tokenizer,
        end=subject.end,
        pad=subject.pad,
        where=subject.where("vocab"),
    )
    told = [_placed(subject, *each) for each in found]
    problems = told if made is None else []
    if made is not None:
        problems += [_placed(subject, *each) for each in task.against(made)]
    if made is None or problems:
        _clear(folder)
        return None, problems
    task.open(made)
    tight = needs.first(subject, task, chosen, made.train, processes or Processes())
    if any(each.severity == "error" for each in tight):
        _clear(folder)
        return None, tight
    remarks = (_placed(subject, *each) for each in (*task.remarks(made), *doubts(train, made)))
    job = Job(subject, task, chosen, folder, made, (*told, *tight, *remarks))
    _fill(job, sample)
    return job, []


def asked(subject: Subject, train: settings.Train) -> tuple[Asked | None, list[Diagnostic]]:
    """Return what the objective of a spec asks of its data, or say why it cannot be trained."""
    chosen = resolved(train, subject)
    task, found = objectives.bind(chosen, subject.signature)
    if task is None:
        return None, [_placed(subject, *each) for each in found]
    if chosen.data is None:
        return None, [_placed(subject, "train", _no_data())]
    about = (subject.tokenizer, subject.end, subject.pad, subject.where("vocab"))
    return Asked(chosen.data, chosen.tokenizer, task.wanted, subject.vocab, *about), []


def reopen(subject: Subject, folder: Path) -> tuple[Job | None, list[Diagnostic]]:
    """Return the job of an existing run folder: its settings and its very examples, whatever became of the data."""
    needed = [folder / SETTINGS, folder / DATA / data.MANIFEST]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        message = f"`{folder}` is no run folder: `{missing[0].relative_to(folder)}` is missing"
        return None, [Diagnostic("R706", message, help=_begun(folder))]
    try:
        kept = settings.Train.model_validate(json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["train"])
        if kept.context is None or not isinstance(kept.steps, int):  # pyright: ignore[reportUnnecessaryIsInstance]  (a text may be a formula)
            raise ValueError("settled before a run begins")
    except OSError as error:
        return None, [_unsound(folder, f"cannot be read: {disk.reason(error)}")]
    except (ValueError, KeyError, TypeError, RecursionError):  # no UTF-8, no JSON, no mapping, no settings
        return None, [_unsound(folder, "is damaged: its settings are none of a run")]
    task, found = objectives.bind(kept, subject.signature)
    found = [*found, *(("train.report", problem) for problem in reports.missing(kept))]
    if task is None or found:
        return None, [_placed(subject, *each) for each in found]
    try:
        made = data.reopen(folder / DATA)
    except data.Damaged as damage:
        return None, [damage.diagnostic]
    task.open(made)
    return Job(subject, task, kept, folder, made), []


def _begun(folder: Path) -> str:
    """Return how a run begins whose folder is not filled yet, or is not filled any more."""
    log = folder / "log.jsonl"
    if _free(folder) or (log.is_file() and log.stat().st_size):
        return "nothing was changed; put back the file as it was, or begin another run"
    spec = folder / SPEC if (folder / SPEC).is_file() else "SPEC"
    return f"nothing was trained yet, so begin it: tfdsl train {spec} -o {folder}"


def drawn(folder: Path) -> bool:
    """Return whether a run began with weights that its seed draws, so that it can begin again without others."""
    try:
        return json.loads((folder / SETTINGS).read_text(encoding="utf-8"))[START]["weights"] == DRAWN
    except (ValueError, KeyError, TypeError):  # of an older run, which did not say so
        return False


def _unsound(folder: Path, what: str) -> Diagnostic:
    help_ = "nothing was changed; put back the file as it was, or begin another run"
    return Diagnostic("R706", f"`{folder}` is no run folder: `{SETTINGS}` {what}", help=help_)


def resolved(train: settings.Train, subject: Subject) -> settings.Train:
    """Return the settings with a value for what the model or the machine decides."""
    if train.device != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage]  (it has no public name)
    native = "bfloat16" if fast else "float32"  # AMX comes with it
    precision = native if train.precision == "auto" else train.precision
    context = train.context or subject.context or UNBOUNDED_CONTEXT
    schedule = train.schedule.settled(train.steps)
    return train.model_copy(update={"context": context, "precision": precision, "schedule": schedule})


def _unread(train: settings.Train, subject: Subject) -> list[tuple[str, Diagnostic]]:
    """Refuse settings of texts for a model that reads none."""
    if subject.signature.texts():
        return []
    given = [name for name in ("context", "tokenizer") if name in train.model_fields_set]
    message = "`{}` is for texts, and the model reads none"
    return [(f"train.{name}", Diagnostic("R871", message.format(name), label="leave it out")) for name in given]


def _other_tokenizer(train: settings.Train, subject: Subject) -> list[tuple[str, Diagnostic]]:
    """Refuse a tokenizer that is said where the weights come with their own, unless it is that one."""
    said, own = train.tokenizer, subject.tokenizer
    if own is None or not said.model_fields_set or not subject.signature.texts():
        return []
    if said.file is None:
        same = subject.setting is not None and said.model_dump() == subject.setting.model_dump()
    else:
        try:
            same = tokens.opened(Path(said.file)).to_str() == own.to_str()
        except ValueError:
            same = False
    if same:
        return []
    message = "the weights that the run starts from come with their own tokenizer, and `train.tokenizer` says another"
    help_ = "leave `train.tokenizer` out; or leave `--from` out, and the model learns its words anew"
    return [("train.tokenizer", Diagnostic("R757", message, label="another one", help=help_))]


def _placed(subject: Subject, path: str, problem: Diagnostic) -> Diagnostic:
    return problem if problem.span else replace(problem, span=subject.where(path))


def _untrained(objective: str) -> Diagnostic:
    message = f"`{objective}` compares with the model that it starts from, and this one has learned nothing yet"
    return Diagnostic("R796", message, label="from which?", help="train it first, then start `--from` that run")


def _no_data() -> Diagnostic:
    help_ = "add `data:` to the spec's `train` section: a text file, a folder, or `stdlib`"
    return Diagnostic("R702", "there is nothing to train on: `train.data` is not given", help=help_)


def _free(folder: Path) -> list[Diagnostic]:
    if not any((folder / "checkpoints").glob("step-*")):
        return []
    help_ = "take it up again with `--resume`, or choose another folder with `-o`"
    return [Diagnostic("R707", f"`{folder}` already holds a run", label="not overwritten", help=help_)]


def _clear(folder: Path) -> None:
    """Take away the examples of a run that cannot begin, and its folder if nothing else is in it."""
    disk.clear(folder / DATA)
    with contextlib.suppress(OSError):
        disk.system.remove(folder)


def describe(
    subject: Subject,
    train: settings.Train,
    sample: settings.Sample,
    context: int | None,
    labels: tuple[str, ...] = (),
    about: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return what a run folder says of its model and of its settings.

    `context` is the most positions, `labels` the names of the classes that it tells apart, and
    `about` what else has to be known of the data to read more of it in the same way.
    """
    model = {"name": subject.name, "vocab": subject.vocab, "context": context, "labels": list(labels), **(about or {})}
    resolved = train.model_dump()
    if train.tokenizer.file is not None:  # which has no other settings, and takes none where it is read again
        resolved["tokenizer"] = {"file": train.tokenizer.file}
    # Of sampling what was said, and no more: some settings go with others, and each can be said anew.
    said = sample.model_dump(mode="json", exclude_unset=True)
    return {"model": model, "train": resolved, "sample": said}


def _fill(job: Job, sample: settings.Sample) -> None:
    folder, subject = job.folder, job.subject
    disk.make(folder)
    disk.write(folder / SPEC, subject.spec)
    disk.write(folder / SOURCE, subject.source)
    disk.write(folder / GROUPS, groups.table(groups.part(subject.known(), job.settings.optimizer)) + "\n")
    if job.data.tokenizer is not None:
        disk.write(folder / TOKENIZER, job.data.tokenizer.to_str(pretty=True))
    for name, kept in subject.keeps.items():
        disk.write(folder / name, kept)
    # The settings come last: where they are, all is there that the run needs to begin.
    resolved = describe(subject, job.settings, sample, subject.context, job.data.labels, job.task.about())
    start = {START: {"weights": "given" if subject.trained else DRAWN}}
    disk.write(folder / SETTINGS, json.dumps(resolved | start, indent=1) + "\n")
    disk.hold(folder)  # the data too: no checkpoint is of use without them
