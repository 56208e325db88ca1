"""The public calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfdsl import checking
from tfdsl import document
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.spec import Spec

if TYPE_CHECKING:
    from tfdsl.costing import Cost

Source = str | Path | Spec | Checked


class SpecError(ValueError):
    """A spec has errors. `diagnostics` holds all of them; the message is what `tfdsl check` prints."""

    def __init__(self, checked: Checked) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render(checked.diagnostics, checked.document.texts))
        self.diagnostics: tuple[Diagnostic, ...] = checked.diagnostics


def check(source: Source, overrides: Sequence[str] = ()) -> Checked:
    """Check a spec and return what it means and what is wrong with it; never raises for what stands in a spec.

    `overrides` are settings from outside: `["dims.d_model=64"]`.
    """
    if isinstance(source, Checked):
        return source
    if isinstance(source, Spec):
        return checking.run(document.gather_text(source.to_yaml(), f"<{source.name}>", Path(), overrides))
    if isinstance(source, str) and "\n" in source:
        return checking.run(document.gather_text(source, "<text>", Path(), overrides))
    return checking.run(document.gather(Path(source), overrides))


def load(source: Source, overrides: Sequence[str] = ()) -> Spec:
    """Return the spec as a pydantic graph of Python objects; raises SpecError where it has errors."""
    spec = sound(source, overrides).spec
    assert spec is not None, "a spec without errors is there"
    return spec


def sound(source: Source, overrides: Sequence[str] = ()) -> Checked:
    """Return the checked spec; raises SpecError where it has errors."""
    checked = check(source, overrides)
    if not checked.ok:
        raise SpecError(checked)
    return checked


def cost(source: Source, axes: Mapping[str, int] | None = None, batch: int | None = None) -> Cost:
    """Count parameters, FLOPs and memory at the lengths in `axes`; raises SpecError, and AxisError for an unknown axis."""
    from tfdsl import costing

    return costing.count(sound(source), axes, batch)
