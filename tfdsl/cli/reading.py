"""Specs for commands: read, checked, and what is wrong with them shown."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from tfdsl.checking import Checked, run
from tfdsl.cli.output import Stop, coloured, refuse, remark
from tfdsl.diagnostics import Diagnostic
from tfdsl.document import Document, gather, gather_text
from tfdsl.source.text import LARGEST

STDIN = "<stdin>"


def inspect(spec: str, overrides: tuple[str, ...] = ()) -> Checked:
    """Check the spec in a file, or on standard input for `-`."""
    return run(_document(spec, overrides))


def checked(spec: str, overrides: tuple[str, ...] = ()) -> Checked:
    """Check a spec for a command that needs a right one; end the command where it has errors, after showing them."""
    result = inspect(spec, overrides)
    if not result.ok:
        from tfdsl import report  # most specs need none of it

        remark(report.render(result.diagnostics, result.document.texts, coloured(sys.stderr)).rstrip("\n"))
        raise Stop(code=verdict(result.diagnostics))
    warnings = sum(each.severity == "warning" for each in result.diagnostics)
    if warnings:
        many = "1 warning" if warnings == 1 else f"{warnings} warnings"
        sets = (word for override in overrides for word in ("--set", override))
        remark(f"{many}: see `{shlex.join(['tfdsl', 'check', spec, *sets])}`")
    return result


def verdict(diagnostics: Iterable[Diagnostic]) -> int:
    """Return the exit code: 0 without errors, 1 with errors in a spec, 2 where a file or `--set` itself is at fault."""
    errors = [each for each in diagnostics if each.severity == "error"]
    outside = any(each.code == "Y001" or (each.span and each.span.file.startswith("--set ")) for each in errors)
    return 2 if outside else 1 if errors else 0


def _document(spec: str, overrides: tuple[str, ...]) -> Document:
    if not spec:
        refuse("the name of a spec is empty")
    if spec != "-":
        return gather(Path(spec), overrides)
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (the shell closed it: `<&-`)
        refuse("standard input is closed, so no spec can be read from it")
    return gather_text(sys.stdin.buffer.read(LARGEST + 1), STDIN, Path(), overrides)
