"""refused: what a call on a run raises where it cannot do what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tfdsl.diagnostics import Diagnostic


class RunError(ValueError):
    """A run cannot be made, opened or asked. `diagnostics` says why; the message is what the commands print."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        from tfdsl import report

        super().__init__("\n" + report.render(list(diagnostics), {}))
        self.diagnostics = tuple(diagnostics)
