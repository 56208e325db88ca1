"""tfdsl schema: write the JSON Schema for editors."""

from __future__ import annotations

import click

from tfdsl.cli.output import remark, write


@click.command()
@click.option("-o", "--output", default="-", metavar="FILE", help="The file to write. [default: standard output]")
def command(output: str) -> int:
    """Write the JSON Schema of the language, with the kinds that are installed.

    An editor with yaml-language-server completes, explains and underlines a spec whose first line names the file:

        # yaml-language-server: $schema=tfdsl.schema.json
    """
    from tfdsl import schema

    write(output, schema.text())
    if output != "-":
        remark(f"Wrote {output}. Put `# yaml-language-server: $schema={output}` on a spec's first line.")
    return 0
