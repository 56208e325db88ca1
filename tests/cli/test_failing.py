"""What no command met: said by whose code raised it: the model's, that of a package with kinds of its own, or ours."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import click
import pytest

from tfdsl.cli import app


def raising(error: str, file: str, module: str) -> Callable[[], None]:
    """Return a function that stands in a file of a module, and raises."""
    scope: dict[str, Any] = {"__name__": module}
    exec(compile(f"def forward():\n    raise {error}", file, "exec"), scope)
    found: Callable[[], None] = scope["forward"]
    return found


@pytest.mark.parametrize(
    ("error", "file", "module", "said", "code"),
    [
        ("ValueError('9 positions')", "<tfdsl gpt 3>", "tfdsl_gpt", "the model cannot do that: ValueError: 9", 1),
        ("TypeError('odd')", "<tfdsl gpt 3>", "tfdsl_gpt", "defect of tfdsl, or of a package whose kind the", 70),
        ("KeyError('odd')", "kinds.py", "odd.kinds", "defect of the package `odd`, whose kind the spec uses: KeyE", 70),
        ("KeyError('odd')", "beside.py", "beside", "defect of tfdsl, not of your spec: KeyError: 'odd' (beside.py", 70),
        ("MemoryError()", "beside.py", "beside", "tfdsl: the memory does not suffice: MemoryError", 1),
    ],
)
def test_whose_it_is_is_said(
    error: str,
    file: str,
    module: str,
    said: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    point = EntryPoint("odd", "odd.kinds", "tfdsl.nodes")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    monkeypatch.setattr(
        app.Commands, "get_command", lambda *_: click.Command("new", callback=raising(error, file, module))
    )
    assert app.run(["new"]) == code
    shown = capsys.readouterr().err
    assert said in shown and "TFDSL_TRACE=1" in shown and "Traceback" not in shown
