"""faults: what the public calls raise, each with the diagnostics that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic


class SpecError(ValueError):
    """A spec has errors. `diagnostics` holds all of them; the message is what `tfdsl check` prints."""

    def __init__(self, checked: Checked) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render(checked.diagnostics, checked.document.texts))
        self.diagnostics: tuple[Diagnostic, ...] = checked.diagnostics


class RunError(ValueError):
    """A run cannot be made, gone on with, or opened. `diagnostics` says why; the message is what the commands print."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render(list(diagnostics), {}))
        self.diagnostics = tuple(diagnostics)


class RunWarning(UserWarning):
    """An answer is not what was asked for, in part. `diagnostic` says how; the message is what the commands print."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render([diagnostic], {}))
        self.diagnostic = diagnostic
