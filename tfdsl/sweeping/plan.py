"""The runs of a sweep, all checked before the first one starts, and what became of those that were there before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic, Note
from tfdsl.sweeping.grid import Combination
from tfdsl.watching import curves

State = Literal["new", "begun", "ended"]
SHOWN = 6  # combinations that are named where more have the same fault


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A run of a sweep: its combination, its folder, and its spec, checked."""

    combination: Combination
    folder: Path
    checked: Checked

    @property
    def text(self) -> str:
        """Return the spec with all that it extends, imports and overrides, as the run's folder keeps it."""
        assert self.checked.spec is not None, "a run is planned of a sound spec"
        return self.checked.spec.to_yaml()

    @property
    def state(self) -> State:
        """Return whether the run is new, has a checkpoint to be taken up at, or came to an end."""
        log = self.folder / curves.LOG
        end = curves.Log("", curves.read(log)).end if log.is_file() else None
        if end is not None and end["end"] != "signal":
            return "ended"
        return "begun" if any((self.folder / "checkpoints").glob("step-*")) else "new"


Fit = Callable[[Checked], list[Diagnostic]]


def plan(
    combinations: Sequence[Combination], check: Callable[[Sequence[str]], Checked], folder: Path, fit: Fit
) -> tuple[list[Planned], list[Diagnostic], dict[str, str]]:
    """Check every combination; return the runs, or what is wrong with any of them, and the texts that it is about.

    `check` checks the spec under overrides; `fit` says what in a sound spec's settings and data does not fit. A fault
    that several combinations have at one place is said once, as the first of them has it, with their names.
    """
    runs: list[Planned] = []
    texts: dict[str, str] = {}
    faults: dict[object, tuple[Diagnostic, list[str]]] = {}
    for each in combinations:
        checked = check(each.overrides)
        texts.update(checked.document.texts)
        run = Planned(each, folder / each.name, checked)
        wrong = [found for found in checked.diagnostics if found.severity == "error"] or fit(checked) or _other(run)
        for fault in wrong:
            cause = fault if fault.span is None else (fault.code, fault.span)
            names = faults.setdefault(cause, (fault, []))[1]
            if each.name not in names:
                names.append(each.name)
        runs.append(run)
    return runs, [_named(fault, names, len(combinations)) for fault, names in faults.values()], texts


def _named(fault: Diagnostic, names: list[str], count: int) -> Diagnostic:
    """Return a fault with the combinations that have it."""
    if len(names) == count:
        return fault if count == 1 else replace(fault, notes=(*fault.notes, Note(f"in all {count} combinations")))
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    where = f"in {len(names)} of {count} combinations: {'; '.join(names[:SHOWN])}{rest}"
    return replace(fault, notes=(*fault.notes, Note(where)))


def _other(run: Planned) -> list[Diagnostic]:
    """Refuse a folder that holds a run of another spec: it is neither taken up nor written over."""
    kept = run.folder / "spec.yaml"
    if run.state == "new" or not kept.is_file() or kept.read_text(encoding="utf-8") == run.text:
        return []
    message = f"`{run.folder}` holds a run of another spec, or of other settings"
    return [Diagnostic("R778", message, label="not overwritten", help="choose another folder with `-o`")]
