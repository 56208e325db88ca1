"""tfdsl render: draw a spec."""

from __future__ import annotations

from pathlib import Path

import click

from tfdsl.cli import options
from tfdsl.cli.output import refuse, remark, write
from tfdsl.cli.reading import checked
from tfdsl.diagram import LEVELS, DrawError, draw
from tfdsl.diagram.engines import FORMATS, EngineError, render

DOT = "dot"


@click.command()
@options.spec
@click.option("-o", "--output", metavar="FILE", help="The picture: .svg, .png, .pdf or .dot; `-` for standard output.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--format", "form", type=click.Choice([*FORMATS, DOT]), help="The format, where FILE does not say it.")
@click.option(
    "--level",
    type=click.Choice(list(LEVELS)),
    default="block",
    show_default=True,
    help="full: attention and feed-forward with what they do within.",
)
@options.overrides
def command(spec: str, output: str | None, theme: str, form: str | None, level: str, overrides: tuple[str, ...]) -> int:
    """Draw a spec: a paper's figure, at the level of blocks or with attention and feed-forward opened.

    Needs neither a Graphviz nor fonts on the machine. Without -o the picture is called as the spec, in this folder.
    """
    form = form or _form(output)
    result = checked(spec, overrides)
    path = output or f"{Path(spec).stem if spec != '-' else 'model'}.{form}"
    try:
        dot = draw(result, theme, level)
        drawn = render(dot, form) if form != DOT else None
    except (DrawError, EngineError) as error:
        refuse(str(error), 1)
    write(path, drawn.data if drawn else dot)
    if path != "-":
        remark(f"Wrote {path}" + (f", drawn by {drawn.engine}." if drawn else "."))
    return 0


def _form(output: str | None) -> str:
    """Return the format that a file's name says."""
    if output is None or output == "-":
        return "svg"
    form = Path(output).suffix.lower().removeprefix(".")
    if form in (*FORMATS, DOT):
        return form
    named = f"`.{form}` is none" if form else f"`{output}` has no ending"
    refuse(f"the formats are .svg, .png, .pdf and .dot, and {named}. Rename the file, or give --format")
