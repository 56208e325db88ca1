"""faults: what the public calls raise, each with the diagnostics that it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic

ARGUMENTS = {  # where an option is not called as the argument is
    " with `-o`": "",
    "`--resume`": "`tfdsl.resume`",
    "`--from`": "`start`",
    "`--zip`": "`zipped`",
    "`--set`": "`overrides`",
}


class SpecError(ValueError):
    """A spec has errors. `diagnostics` holds all of them; the message is what `tfdsl check` prints."""

    def __init__(self, checked: Checked) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render(checked.diagnostics, checked.document.texts))
        self.diagnostics: tuple[Diagnostic, ...] = checked.diagnostics


class RunError(ValueError):
    """A run cannot be made, gone on with, or opened. `diagnostics` says why.

    The message is what the commands print, with the names that their options have in Python.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render([_spoken(each) for each in diagnostics], {}))
        self.diagnostics = tuple(diagnostics)


class RunWarning(UserWarning):
    """An answer is not what was asked for, in part. `diagnostic` says how; the message is what the commands print."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render([_spoken(diagnostic)], {}))
        self.diagnostic = diagnostic


def _spoken(said: Diagnostic) -> Diagnostic:
    """Return a diagnostic that names an argument of the public calls where it names an option of the commands."""
    return replace(said, message=_python(said.message), help=_python(said.help))


def _python(text: str) -> str:
    for option, argument in ARGUMENTS.items():
        text = text.replace(option, argument)
    return re.sub(r"`--([a-z][a-z-]*)`", lambda found: f"`{found[1].replace('-', '_')}`", text)
