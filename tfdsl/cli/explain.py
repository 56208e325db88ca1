"""tfdsl explain: say what a diagnostic's code means."""

from __future__ import annotations

import click

from tfdsl import errors
from tfdsl.cli.output import remark, say


@click.command()
@click.argument("code", required=False)
def command(code: str | None) -> int:
    """Say what the CODE of a diagnostic means, with a wrong and a right example; without one, list the codes."""
    if code is None:
        for each in errors.codes():
            say(f"{each}  {errors.title(each)}")
        return 0
    text, known = errors.explain(code)
    if known:
        say(text.rstrip("\n"))
        return 0
    remark(f"tfdsl: {text.rstrip().rstrip('?')}{'?' if '?' in text else '.'} `tfdsl explain` lists the codes.")
    return 2
