"""From settings to a job: read the text, make the tokenizer, check both against the model, fill the run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.diagnostics import Diagnostic, Note
from tfdsl.tokens import Tokens
from tfdsl.training import objective, text
from tfdsl.training.subject import Subject

SPEC, SOURCE, SETTINGS, TOKENIZER = "spec.yaml", "model.py", "settings.json", "tokenizer.json"
TEXT, TRAIN, HELD_OUT = "text.json", "train.npy", "held_out.npy"
UNBOUNDED_CONTEXT = 256  # tokens a sequence where neither the settings nor the model say


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a training run needs: the model, its settings, the text as tokens, and the folder it is kept in."""

    subject: Subject
    settings: settings.Train
    folder: Path
    train: Tokens
    held_out: Tokens
    bytes_a_token: float


def prepare(
    subject: Subject, train: settings.Train, sample: settings.Sample, folder: Path
) -> tuple[Job | None, list[Diagnostic]]:
    """Make a job in a new run folder, or say what stands in its way; nothing is written before all is well."""
    chosen = _resolved(train, subject)
    problems = _against_model(subject, chosen) + _free(folder)
    if problems or chosen.data is None:
        return None, problems or [_placed(subject, _no_data(), "train")]
    read, problems = text.read(chosen.data.source, chosen.data.files, chosen.data.held_out)
    if read is None:
        return None, [_placed(subject, problem, "train.data") for problem in problems]
    tokenizer = subject.tokenizer or _made(subject, chosen, read)
    problems = _vocabulary(subject, tokenizer, chosen)
    if problems:
        return None, problems
    parts = tokens.encode(tokenizer, read.train, subject.end), tokens.encode(tokenizer, read.held_out, subject.end)
    problems = [_placed(subject, problem, "train.context") for problem in _lengths(parts, chosen)]
    if problems:
        return None, problems
    size = sum(len(document.encode()) for document in read.held_out)
    job = Job(subject, chosen, folder, *parts, bytes_a_token=size / max(1, len(parts[1]) - 1))
    _fill(job, sample, tokenizer)
    return job, []


def _made(subject: Subject, chosen: settings.Train, read: text.Text) -> Tokenizer:
    """Return the tokenizer that the settings choose."""
    learnt = read.train + read.held_out if chosen.tokenizer.type == "characters" else read.train
    return tokens.make(chosen.tokenizer, learnt, subject.vocab)


def reopen(subject: Subject, folder: Path) -> tuple[Job | None, list[Diagnostic]]:
    """Return the job of an existing run folder: its settings and its very tokens, whatever became of the text."""
    needed = [folder / name for name in (SETTINGS, TOKENIZER, TEXT, TRAIN, HELD_OUT)]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        return None, [Diagnostic("R706", f"`{folder}` is no run folder: `{missing[0].name}` is missing")]
    kept = settings.Train.model_validate(json.loads((folder / SETTINGS).read_text())["train"])
    train, held_out = (np.load(folder / name, mmap_mode="r") for name in (TRAIN, HELD_OUT))
    share = json.loads((folder / TEXT).read_text())["bytes_a_token"]
    return Job(subject, kept, folder, train, held_out, share), []


def _resolved(train: settings.Train, subject: Subject) -> settings.Train:
    """Return the settings with a value for what the model or the machine decides."""
    fast = torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage]  (torch has no public name for it)
    native = "bfloat16" if fast else "float32"  # AMX comes with it
    precision = native if train.precision == "auto" else train.precision
    context = train.context or subject.context or UNBOUNDED_CONTEXT
    return train.model_copy(update={"context": context, "precision": precision})


def _placed(subject: Subject, problem: Diagnostic, path: str) -> Diagnostic:
    return problem if problem.span else replace(problem, span=subject.where(path))


def _no_data() -> Diagnostic:
    help_ = "add `data:` to the spec's `train` section: a text file, a folder, or `stdlib`"
    return Diagnostic("R702", "there is no text to train on: `train.data` is not given", help=help_)


def _against_model(subject: Subject, train: settings.Train) -> list[Diagnostic]:
    problems: list[Diagnostic] = []
    word = train.objective.type_name
    if word not in objective.BUILT:
        message = f"the objective `{word}` cannot be trained yet"
        span = subject.where("train.objective")
        help_ = "`next_token` can; the spec still checks, renders, costs and compiles"
        problems.append(Diagnostic("R701", message, span, label="not built yet", help=help_))
    elif not subject.reads_text:
        message = f"`{word}` wants a model that turns one input of tokens [B, T] into logits [B, T, V]"
        problems.append(Diagnostic("R710", message, subject.where("inputs"), label="not such a model"))
    if subject.context is not None and (train.context or 0) > subject.context:
        message = f"sequences of {train.context:,} tokens do not fit the model's {subject.context:,} positions"
        help_ = f"set `train.context` to {subject.context} or less, or make the position table longer"
        problems.append(Diagnostic("R705", message, subject.where("train.context"), label="too long", help=help_))
    return problems


def _free(folder: Path) -> list[Diagnostic]:
    if not any((folder / "checkpoints").glob("step-*")):
        return []
    help_ = "take it up again with `--resume`, or choose another folder with `-o`"
    return [Diagnostic("R707", f"`{folder}` already holds a run", label="not overwritten", help=help_)]


def _vocabulary(subject: Subject, tokenizer: Tokenizer, train: settings.Train) -> list[Diagnostic]:
    size = tokenizer.get_vocab_size()
    if size <= subject.vocab:
        return []
    message = f"the tokenizer makes {size:,} tokens, the model takes {subject.vocab:,}"
    source = f"`{train.tokenizer.type}` over `{train.data.source if train.data else None}`"
    notes = (Note("the model's vocabulary is set here", subject.where("vocab")),)
    help_ = f"set the model's vocabulary size to {size}"
    return [Diagnostic("R704", message, subject.where("train.tokenizer"), source, notes, help_)]


def _lengths(parts: tuple[Tokens, Tokens], train: settings.Train) -> list[Diagnostic]:
    context = train.context or 0
    if len(parts[0]) > 2 * context and len(parts[1]) > 1:
        return []
    message = f"the text has {len(parts[0]):,} tokens to train on and {len(parts[1]):,} held out"
    help_ = (
        f"sequences of {context:,} tokens want more than {2 * context:,}: give more text, or a smaller `train.context`"
    )
    return [Diagnostic("R708", message, label="too little text", help=help_)]


def describe(
    subject: Subject, train: settings.Train, sample: settings.Sample, context: int | None
) -> dict[str, dict[str, Any]]:
    """Return what a run folder says of its model and of its settings; `context` is the most positions."""
    return {
        "model": {"name": subject.name, "vocab": subject.vocab, "context": context},
        "train": train.model_dump(),
        "sample": sample.model_dump(),
    }


def _fill(job: Job, sample: settings.Sample, tokenizer: Tokenizer) -> None:
    folder, subject = job.folder, job.subject
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SPEC).write_text(subject.spec)
    (folder / SOURCE).write_text(subject.source)
    resolved = describe(subject, job.settings, sample, subject.context)
    (folder / SETTINGS).write_text(json.dumps(resolved, indent=1) + "\n")
    tokenizer.save(str(folder / TOKENIZER))
    for name, kept in subject.keeps.items():
        (folder / name).write_text(kept)
    np.save(folder / TRAIN, job.train)
    np.save(folder / HELD_OUT, job.held_out)
    counts = {"train": len(job.train), "held_out": len(job.held_out), "bytes_a_token": job.bytes_a_token}
    (folder / TEXT).write_text(json.dumps(counts, indent=1) + "\n")
