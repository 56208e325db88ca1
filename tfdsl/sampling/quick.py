"""quick: a model whose steps of one token are compiled, where that was asked for or done before."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tfdsl import disk
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling import kept, step
from tfdsl.sampling.kept import Kept, Purpose
from tfdsl.sampling.layout import row_by_row


@dataclass(frozen=True, slots=True)
class Quick:
    """A model that is called as before; `notes` say which of its steps are compiled, `said` what went wrong."""

    model: Any
    notes: tuple[str, ...] = ()
    said: tuple[Diagnostic, ...] = ()


def purpose(source: str, weights: str, rows: int) -> Purpose:
    """Return what a compiled step is made for here and now, for so many rows."""
    threads = torch.get_num_threads()
    return Purpose(source, weights, step.named(rows), torch.__version__, _machine(), threads)


def there(folder: Path, source: str, weights: str) -> bool:
    """Return whether a run's folder has a step for one row, which reads weights row by row."""
    return purpose(source, weights, 1).package(folder).exists()


def quicken(model: nn.Module, folder: Path, source: str, weights: str, rows: int, asked: bool) -> Quick:
    """Return a model with the compiled steps that are in a run's folder.

    Where it is `asked` for, the one for this number of rows is made if it is not there. What cannot be compiled, or
    what is on disk and cannot be used, is said, and the model does it as before.
    """
    steps: dict[str, step.Compiled] = {}
    notes: list[str] = []
    said: list[Diagnostic] = []
    for count in (rows, 1) if rows > 1 else (1,):
        wanted = purpose(source, weights, count)
        found, problems = kept.find(folder, wanted)
        if found is None and asked and count == rows:
            found, note, problems = _make(model, folder, wanted)
            notes += note
        elif found is not None:
            notes.append(f"compiled step for {wanted.rows} row{'s' * (count > 1)}: {found.path}")
        said += problems
        if found is not None:
            steps[wanted.rows] = _loaded(found, model)
    return Quick(step.Stepped(model, steps) if steps else model, tuple(notes), tuple(said))


def _loaded(found: Kept, model: nn.Module) -> step.Compiled:
    if found.path.name.startswith(step.ONE):
        row_by_row(model)
    form = step.Form(tuple(map(tuple, found.form["shapes"])), tuple(found.form["dtypes"]))
    return step.Compiled(found.path, model, form, found.put)


def _make(model: nn.Module, folder: Path, wanted: Purpose) -> tuple[Kept | None, list[str], list[Diagnostic]]:
    """Trace and compile a step, and put it into the run's folder."""
    from torch._inductor.exc import InvalidCxxCompiler

    path = wanted.package(folder)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as aside:
            made = Path(aside) / path.name
            program, form, put = step.trace(model, wanted.rows)
            step.compile_to(made, program, wanted.threads)
            disk.make(path.parent)
            disk.write(path, made.read_bytes())
        found = kept.keep(path, asdict(form), put)
        kept.prune(folder, wanted)
    except OSError as error:
        return None, [], [_instead(f"the compiled step cannot be kept: {disk.reason(error)}")]
    except InvalidCxxCompiler:
        help_ = "install one (g++ or clang), or name it in the environment variable CXX"
        return None, [], [Diagnostic("W612", "there is no C++ compiler here: the step is not compiled", help=help_)]
    except Exception as error:  # whatever a tracer or a compiler raises at a model that it does not know
        return None, [], [_instead(f"the step of this model cannot be compiled: {_short(error)}")]
    seconds = time.monotonic() - began
    return found, [f"compiled the step for {wanted.rows} in {seconds:.1f} s, and kept it: {path}"], []


def _instead(message: str) -> Diagnostic:
    return Diagnostic("W613", message, help="it is run as it is, which gives the same text in more time")


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def _machine() -> str:
    """Return what compiled code depends on: the instructions that the processor has."""
    return " ".join([os.uname().machine, torch.backends.cpu.get_cpu_capability(), *sorted(set(_flags()))])


def _flags() -> Iterator[str]:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(("flags", "Features")):
                yield from line.partition(":")[2].split()
                return
