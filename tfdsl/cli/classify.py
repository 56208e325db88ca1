"""tfdsl classify: say which class texts or images are of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tfdsl.cli import options
from tfdsl.cli.asked import examples, opened, pictured, sound
from tfdsl.cli.output import say

if TYPE_CHECKING:
    from tfdsl.reading.classify import Classified


@click.command()
@click.argument("folder", metavar="RUN")
@click.argument("given", metavar="[INPUT]...", nargs=-1)
@click.option("--second", metavar="TEXT", help="The second text of a pair, whose first is INPUT.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Texts, a line each; or examples, as in training.")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many classes of each.")
@click.option("--output", metavar="NAME", help="Which of the model's outputs has the scores of the classes.")
@options.pictures
@options.as_json
@options.last
def command(
    folder: str,
    given: tuple[str, ...],
    second: str | None,
    files: tuple[str, ...],
    top: int,
    output: str | None,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    size: int | None,
    as_json: bool,
    last: bool,
) -> int:
    """Say which class each INPUT is of, by a RUN that was trained to classify.

    An INPUT is a text, or for a model of images the path of one, or of a folder of them. Where the classes are known
    (a field `label`, a folder a class), a table says how many were right.
    """
    run = opened(folder, last)
    trained = pictured(run.trained(), mean, deviation, size)
    asked, whole = examples(trained, given, files, second)
    from tfdsl.reading import classify

    found, said = classify.classify(trained, asked, top, output)
    whole = sound(said) and whole
    for each in found:
        say(_json(each) if as_json else _line(each, found))
    if any(each.truth is not None for each in found) and not as_json:
        say(_scored(found))
    return 0 if whole else 1


def _json(each: Classified) -> str:
    classes = [{"label": one.label, "probability": one.probability} for one in each.classes]
    truth = {} if each.truth is None else {"truth": each.truth}
    return json.dumps({"input": each.name, "label": each.label, "classes": classes, **truth}, ensure_ascii=False)


def _line(each: Classified, all_: Sequence[Classified]) -> str:
    """Return a line of the table: the classes with their probabilities, and the example."""
    width = max(len(one.label) for other in all_ for one in other.classes)
    classes = "  ".join(f"{one.label:<{width}} {one.probability:7.2%}" for one in each.classes)
    name = " ".join(each.name.split())
    wrong = "" if each.truth in (None, each.label) else f"  (is {each.truth})"
    return f"{classes}  {name if len(name) <= 60 else name[:59] + '…'}{wrong}"


def _scored(found: Sequence[Classified]) -> str:
    """Return how many were right, of all and of each class."""
    known = [each for each in found if each.truth is not None]
    right, true, said = Counter[str](), Counter[str](), Counter[str]()
    for each in known:
        true[each.truth or ""] += 1
        said[each.label] += 1
        right[each.label] += each.label == each.truth
    names = sorted({*true, *said})
    width = max(len("class"), *map(len, names))
    lines = [f"\n{'class':<{width}}  examples  right   said"]
    for name in names:
        share = f"{right[name] / true[name]:6.1%}" if true[name] else "     -"
        lines.append(f"{name:<{width}}  {true[name]:8,}  {share}  {said[name]:5,}")
    total = sum(right.values())
    lines.append(f"accuracy {total / len(known):.2%}: {total:,} of {len(known):,} right")
    return "\n".join(lines)
