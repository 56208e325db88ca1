"""tfdsl fill: say which words are missing where a text has a mask."""

from __future__ import annotations

import json

import click

from tfdsl.cli import options
from tfdsl.cli.asked import opened, sound, texts
from tfdsl.cli.output import say


@click.command()
@click.argument("folder", metavar="RUN")
@click.argument("given", metavar="[TEXT]...", nargs=-1)
@click.option("--file", "files", multiple=True, metavar="FILE", help="A text a line, or JSON lines with a `text`.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many words of each mask.")
@options.as_json
@options.last
def command(folder: str, given: tuple[str, ...], files: tuple[str, ...], top: int, as_json: bool, last: bool) -> int:
    """Say which words are likeliest where a TEXT has a mask, `[MASK]`, by a RUN of masked words.

    Without TEXT and --file, and for `-`, texts are read from standard input, one a line.
    """
    run = opened(folder, last)
    asked, whole = texts(given, files)
    from tfdsl.reading import fill

    found, said = fill.fill(run.trained(), asked, top)
    whole = sound(said) and whole
    for number, each in enumerate(found):
        if as_json:
            masks = [[{"token": w.token, "text": w.text, "probability": w.probability} for w in m] for m in each.words]
            say(json.dumps({"text": each.text, "masks": masks}, ensure_ascii=False))
            continue
        say(("\n" if number else "") + fill.shown(each.text))
        for place, words in enumerate(each.words, 1):
            name = f"  mask {place}" if len(each.words) > 1 else " "
            for word in words:
                say(
                    f"{name} {word.probability:8.2%}  {word.text!r}"
                    if word.text != word.text.strip()
                    else f"{name} {word.probability:8.2%}  {word.text}"
                )
    return 0 if whole else 1
