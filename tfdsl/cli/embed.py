"""tfdsl embed: turn texts or images into vectors, and compare them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfdsl.cli import options
from tfdsl.cli.asked import examples, opened, pictured, sound
from tfdsl.cli.output import Stop, refuse, remark, say, write

if TYPE_CHECKING:
    from tfdsl.reading.embed import Embedded


@click.command()
@click.argument("folder", metavar="RUN")
@click.argument("given", metavar="[INPUT]...", nargs=-1)
@click.option("--file", "files", multiple=True, metavar="FILE", help="Texts, a line each; JSON lines with a `text`.")
@click.option("-o", "--save", metavar="FILE", help="Write the vectors as a NumPy array, a row each: vectors.npy.")
@click.option("--against", multiple=True, metavar="INPUT", help="Give the cosine with this one. Repeat it for more.")
@click.option("--search", metavar="FILE", help="Give the nearest of what FILE holds.")
@click.option("--top", type=click.IntRange(min=1), help="How many of what is searched. [default: 5]")
@click.option("--raw", is_flag=True, help="Leave vectors as the model gives them, not of length 1.")
@click.option("--output", metavar="NAME", help="Which of the model's outputs has the vectors.")
@options.pictures
@options.as_json
@options.last
def command(
    folder: str,
    given: tuple[str, ...],
    files: tuple[str, ...],
    save: str | None,
    against: tuple[str, ...],
    search: str | None,
    top: int | None,
    raw: bool,
    output: str | None,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    size: int | None,
    as_json: bool,
    last: bool,
) -> int:
    """Turn each INPUT into a vector, by a RUN that was trained to (`objective: contrastive`).

    An INPUT is a text; for a model that reads images, the path of one or of a folder of them. Without -o, --against,
    --search or --json, the cosines between all of them are shown, and of one its vector.
    """
    if against and search:
        refuse("--against names what is compared, --search a file of it: give one of them")
    if top is not None and search is None:
        refuse("--top is how many are shown of what is searched: it belongs to --search")
    _called(save)
    run = opened(folder, last)
    trained = pictured(run.trained(), mean, deviation, size)
    from tfdsl.reading import embed

    whole = True

    def vectors(some: tuple[str, ...], more: tuple[str, ...]) -> Embedded:
        nonlocal whole
        asked, read = examples(trained, some, more)
        found, said = embed.embed(trained, asked, unit=not raw, output=output)
        whole = sound(said) and read and whole
        if found is None:
            raise Stop(code=1)
        return found

    found = vectors(given, files)
    if save is not None:
        write(save, found.array())
        many, width = found.vectors.shape
        remark(f"{save}: {many:,} vector{'s' if many > 1 else ''} of {width:,} numbers")
    if search is not None or against:
        others = vectors(against, (search,) if search is not None else ())
        _near(found, others, (top or 5) if search is not None else len(others.names), as_json)
    elif as_json:
        for name, row in zip(found.names, found.vectors.tolist(), strict=True):
            say(json.dumps({"input": name, "vector": row}, ensure_ascii=False))
    elif save is None:
        _table(found)
    return 0 if whole else 1


def _called(save: str | None) -> None:
    """Refuse a name that is not that of an array."""
    if save not in (None, "-") and Path(save).suffix != ".npy":
        refuse(f"-o writes a NumPy array, and `{save}` is not called so: end the name in .npy, or take --json")


def _near(found: Embedded, others: Embedded, top: int, as_json: bool) -> None:
    """Show what is nearest to each."""
    for number, (name, near) in enumerate(zip(found.names, found.nearest(others, top), strict=True)):
        if as_json:
            told = [{"input": each.name, "place": each.place, "cosine": each.cosine} for each in near]
            say(json.dumps({"input": name, "nearest": told}, ensure_ascii=False))
            continue
        say(("\n" if number else "") + _short(name, 90))
        for each in near:
            say(f"  {each.cosine:7.4f}  {_short(each.name, 80)}")


def _table(found: Embedded) -> None:
    """Show the cosines between all, or the one vector that there is."""
    many, size = found.vectors.shape
    if many == 1:
        say(" ".join(f"{each:.6g}" for each in found.vectors[0].tolist()))
        remark(f"one vector of {size:,} numbers; of two or more inputs the cosines are shown")
        return
    remark(f"cosines between {many:,} vectors of {size:,} numbers")
    width = len(str(len(found.names)))
    for at, (name, row) in enumerate(zip(found.names, found.against(found).tolist(), strict=True), 1):
        say(f"{at:{width}}  {' '.join(f'{each:7.4f}' for each in row)}  {_short(name, 60)}")


def _short(name: str, most: int) -> str:
    line = " ".join(name.split())
    return line if len(line) <= most else line[: most - 1] + "…"
