"""tfdsl plot: draw the curves of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfdsl.cli.output import refuse, remark, say
from tfdsl.watching import curves

if TYPE_CHECKING:
    from tfdsl.watching.curves import Log

FORMATS = (".svg", ".png", ".pdf")
KNOWN = ("loss", "held_out", "lr", "norm")


@click.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a picture: FILE.svg, FILE.png or FILE.pdf; else the terminal shows it.",
)
@click.option("--x", "across", type=click.Choice(list(curves.ACROSS)), default="steps", show_default=True)
@click.option(
    "--y",
    "up",
    metavar="WHAT",
    default="loss",
    show_default=True,
    help="loss, held_out, lr, norm, or a figure that was measured, such as accuracy or 'bits a byte'.",
)
@click.option("--log", "logarithmic", is_flag=True, help="A logarithmic scale upwards.")
def command(runs: tuple[str, ...], output: str | None, across: str, up: str, logarithmic: bool) -> int:
    """Draw the curves of runs, one or many; a folder of runs, such as a sweep's, is all of them.

    Of one run, the training loss has its measurements beside it. Several are averaged, so that they can be told apart.
    """
    logs = _logs(runs)
    up = _known(up, logs)
    found = [(log, curves.points(log.entries, up, across)) for log in logs]
    found = [(log, points) for log, points in found if points]
    if not found:
        refuse(f"the logs tell no `{up}`" + (" yet" if up in KNOWN else ""), 1)
    if output is None:
        say(_terminal(found, across, up, logarithmic))
        return 0
    path = Path(output)
    if path.suffix not in FORMATS:
        refuse(f"`{output}` is no picture that can be written: end it in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        refuse(f"cannot write `{output}`: the folder `{path.parent}` is not there")
    _draw(found, across, up, logarithmic, path)
    remark(f"Wrote {output}.")
    return 0


def _logs(runs: Sequence[str]) -> list[Log]:
    for run in runs:
        if not curves.folders(Path(run)):
            what = "holds no run" if Path(run).is_dir() else "is no folder"
            refuse(f"`{run}` {what}: name a run's folder, or a folder of runs, such as a sweep's")
    return curves.gather(Path(run) for run in runs)


def _known(up: str, logs: Sequence[Log]) -> str:
    """Return the name of a quantity as the logs have it: `Bits_a_byte` is `bits a byte`."""
    names = [*KNOWN, *curves.figures(logs)]
    plain = {name.lower().replace("_", " "): name for name in names}
    word = up.lower().replace("_", " ").replace("-", " ")
    if word not in plain:
        refuse(f"nothing called `{up}` is in the logs. There are: {', '.join(names)}")
    return plain[word]


def _terminal(found: Sequence[tuple[Log, curves.Points]], across: str, up: str, logarithmic: bool) -> str:
    from math import log10

    from tfdsl.cli.curve import plot

    parts: list[str] = []
    for log, points in found:
        smooth = curves.thinned(curves.averaged(points) if up == "loss" else points, 400)
        marks = curves.thinned(curves.points(log.entries, "held_out", across), 40) if up == "loss" else []
        if logarithmic:
            smooth, marks = ([(x, log10(y)) for x, y in side if y > 0] for side in (smooth, marks))
        what = f"log10 of {up}" if logarithmic else up
        legend = " (dots: training, averaged; o: held out)" if marks else ""
        parts.append(f"{log.name}: {what}{legend}\n" + plot(smooth, marks, across=curves.ACROSS[across]))
    return "\n\n".join(parts)


def _draw(found: Sequence[tuple[Log, curves.Points]], across: str, up: str, logarithmic: bool, path: Path) -> None:
    from tfdsl.watching import picture

    if len(found) == 1 and up == "loss":
        log, points = found[0]
        held = curves.points(log.entries, "held_out", across)
        figure = picture.of_one(log.name, points, held, across, up, logarithmic)
    else:
        lines = [
            picture.Line(log.name, curves.thinned(curves.averaged(points) if up in ("loss", "norm") else points))
            for log, points in found
        ]
        few = max(len(points) for _, points in found) <= 50
        title = found[0][0].name if len(found) == 1 else f"{len(found)} runs"
        figure = picture.of_many(title, lines, across, up, logarithmic, marked=few)
    picture.save(figure, path)
