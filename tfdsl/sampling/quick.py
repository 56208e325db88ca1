"""quick: a model whose steps of one token are compiled, where that was asked for or done before."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tfdsl import disk
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling import packages, rows, small, step
from tfdsl.sampling.layout import by_columns, column_by_column, row_by_row
from tfdsl.sampling.packages import Kept, Purpose

Tell = Callable[[str], object]
"""What is told at once what takes long."""


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Quick:
    """A model that is called as before; `notes` say which of its steps are `compiled`, `said` what went wrong."""

    model: Any
    notes: tuple[str, ...] = ()
    said: tuple[Diagnostic, ...] = ()
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Shop:
    """Where compiled steps of a model are made and kept: a run's folder, for the text of the model and its weights.

    The rows of a `parted` model may hold several documents; `call` is how it is called.
    """

    folder: Path
    source: str
    weights: str = "float32"
    parted: bool = False
    call: step.Call = step.PLAIN

    def purpose(self, rows: int, ahead: bool = False) -> Purpose:
        """Return what a compiled step is for here and now: a token each of so many rows, or guesses `ahead` of one."""
        kind = step.AHEAD if ahead else step.named(rows)
        made = (torch.__version__, _machine(), torch.get_num_threads(), _how())
        return Purpose(self.source, self.weights, kind, self.parted, *made)


def quicken(model: nn.Module, shop: Shop, rows: int, asked: bool, tell: Tell = silent, ahead: bool = False) -> Quick:
    """Return a model with the compiled steps that are in a run's folder; `ahead` is whether it is to read guesses.

    Where it is `asked` for, the one for this number of rows is made if it is not there, which is told first. What
    cannot be compiled, or what is on disk and cannot be used, is said, and the model does it as before.
    """
    steps: dict[str, step.Compiled] = {}
    notes: list[str] = []
    said: list[Diagnostic] = []
    as_it_was = by_columns(model)
    wanted = [shop.purpose(rows), *([shop.purpose(1, ahead=True)] if ahead else [])]
    for purpose in (*wanted, *([shop.purpose(1)] if rows > 1 else [])):
        run, problems = _kept(model, shop, purpose)
        note = f"compiled step: {purpose.package(shop.folder)}"
        if run is None and asked and purpose in wanted:
            began = time.monotonic()
            problems = _make(model, shop, purpose, tell)
            run, problems = _kept(model, shop, purpose) if not problems else (None, problems)
            note += f", made in {time.monotonic() - began:.1f} s"
        said += problems
        if run is not None:
            notes.append(note)
            steps[purpose.rows] = run
    if as_it_was and not steps:
        column_by_column(model)
    return Quick(step.Stepped(model, steps, shop.call) if steps else model, tuple(notes), tuple(said), bool(steps))


def _kept(model: nn.Module, shop: Shop, purpose: Purpose) -> tuple[step.Compiled | None, list[Diagnostic]]:
    """Return the step that lies in the run's folder, with the model's weights; or what is left aside, and why."""
    found, problems = packages.find(shop.folder, purpose)
    if found is None:
        return None, problems
    row_by_row(model)
    try:
        return _loaded(found, model), []
    except Exception as error:  # it is whole and was made here, and yet torch cannot run it: a library of it is gone
        return None, [packages.aside(found.path, f"it cannot be loaded: {_short(error)}")]


def _loaded(found: Kept, model: nn.Module) -> step.Compiled:
    shapes, dtypes, forks, given = (found.form[name] for name in ("shapes", "dtypes", "forks", "given"))
    forks = tuple((call, tuple(sizes)) for call, sizes in forks)
    return step.Compiled(
        found.path, model, step.Form(tuple(map(tuple, shapes)), tuple(dtypes), forks, given), found.put
    )


def _make(model: nn.Module, shop: Shop, wanted: Purpose, tell: Tell) -> list[Diagnostic]:
    """Trace and compile a step, and put it into the run's folder; return what stands in the way, if something does."""
    what = "the reading of guesses" if wanted.rows == step.AHEAD else "the step of one token"
    if not compiler():
        return [_instead(what, "there is no C++ compiler", "install g++ or clang, or name yours in `CXX`")]
    path = wanted.package(shop.folder)
    tell(f"compiling {what}, once: about a minute. It is kept in {path.parent}")
    row_by_row(model)
    try:
        with tempfile.TemporaryDirectory() as aside, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, about itself
            made = Path(aside) / path.name
            program, form, put = step.trace(model, wanted.rows, shop.call)
            step.compile_to(made, program, wanted.threads)
            disk.make(path.parent)
            disk.write(path, made.read_bytes())
        packages.keep(path, asdict(form), put)
        packages.prune(shop.folder, wanted)
        return []
    except OSError as error:
        return [_instead(what, f"it cannot be kept: {disk.reason(error)}", "make room for it, or leave it out")]
    except Exception as error:  # whatever a tracer or a compiler raises at a model that it does not know
        return [_instead(what, _short(error), "the text is the same without it")]


def _instead(what: str, why: str, help_: str) -> Diagnostic:
    return Diagnostic("W612", f"{what} is not compiled: {why}", help=help_)


def compiler() -> bool:
    """Return whether there is the C++ compiler that torch will call."""
    named = os.environ.get("CXX") or "g++"
    return shutil.which(named.split()[0]) is not None


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def _machine() -> str:
    """Return what compiled code depends on: the instructions that the processor has."""
    return " ".join([os.uname().machine, torch.backends.cpu.get_cpu_capability(), *sorted(set(_flags()))])


def _how() -> str:
    """Return a sum of the code that traces and compiles: what it makes may be another when it changes."""
    files = [Path(str(module.__file__)) for module in (rows, small, step)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _flags() -> Iterator[str]:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(("flags", "Features")):
                yield from line.partition(":")[2].split()
                return
