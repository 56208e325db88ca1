"""tfdsl check: say what is wrong in specs."""

from __future__ import annotations

import click


@click.command()
@click.argument("specs", nargs=-1, required=True)
def command(specs: tuple[str, ...]) -> int:
    """Say what is wrong in SPECS."""
    return 0
