"""tfdsl compile: write the PyTorch source of a spec."""

from __future__ import annotations

import click

from tfdsl.cli import options
from tfdsl.cli.output import remark, write
from tfdsl.cli.reading import checked
from tfdsl.codegen.write import write as compose


@click.command()
@options.spec
@click.option("-o", "--output", default="-", metavar="FILE", help="The file to write. [default: standard output]")
@options.overrides
def command(spec: str, output: str, overrides: tuple[str, ...]) -> int:
    """Write a spec as one Python file that needs torch alone: `from model import Model`.

    It is the very text that tfdsl itself builds, trains and samples. It belongs to you.
    """
    source = compose(checked(spec, overrides))
    write(output, source.text)
    if output != "-":
        remark(f"Wrote {output}, which needs torch alone.")
    return 0
