"""tfdsl sample: write text with a trained model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfdsl.cli import options, writing
from tfdsl.cli.asked import opened, show, sound, tell
from tfdsl.cli.output import Stop, refuse, remark

if TYPE_CHECKING:
    from tfdsl.run import Run
    from tfdsl.sampling.prompts import Asked


@click.command()
@click.argument("folder", metavar="RUN")
@click.option("--prompt", "prompts", multiple=True, help="A text to go on from; `-` reads it from standard input.")
@click.option(
    "--prompts",
    "file",
    metavar="FILE",
    help="Prompts, a line each: texts, or JSON objects with `prompt` or `messages` and settings of their own; `-` "
    "reads them from standard input.",
)
@click.option(
    "--chat",
    is_flag=True,
    help="Talk: each line is answered, and what was said before is kept. Ctrl-C stops an answer; behind `user:` it "
    "ends the conversation, as Ctrl-D does.",
)
@options.as_json
@click.option("--verbose", is_flag=True, help="Say at the end how tokens were drawn, how fast, and with what memory.")
@options.last
@options.sampled
def command(
    folder: str,
    prompts: tuple[str, ...],
    file: str | None,
    chat: bool,
    as_json: bool,
    verbose: bool,
    last: bool,
    **chosen: Any,
) -> int:
    """Write text with the model in a RUN's folder, as `tfdsl train` leaves it.

    What is not said here is as the RUN's settings.json says: the spec's `sample` section, as it was in training.
    """
    asking = [name for name, given in (("--prompt", prompts), ("--prompts", file), ("--chat", chat)) if given]
    if prompts.count("-") > 1:
        refuse("`--prompt -` is given twice, and standard input is read once: leave one of them out")
    if len(asking) > 1:
        refuse(f"`{asking[0]}` and `{asking[1]}` both say what to ask: give one of them")
    from tfdsl.settings import anew

    run = opened(folder, last)
    given = anew(run.sample, options.given(chosen))
    settings = options.settled(given)
    said = writing.Said(as_json, verbose)
    if chat:
        return _talk(run, settings, said)
    asked, whole = _asked(prompts, file, given, settings)
    left = _honoured(run, asked, settings)
    return _write(run, left, whole and len(left) == len(asked), said)


def _asked(prompts: tuple[str, ...], file: str | None, given: dict[str, Any], chosen: Any) -> tuple[list[Asked], bool]:
    """Return what is asked, and whether each line of a file could be read; end the command where none could."""
    from tfdsl.sampling.prompts import Asked, read

    if file is None:
        texts = [_stdin() if prompt == "-" else prompt for prompt in prompts] or [chosen.prompt]
        return [Asked(text, chosen, place) for place, text in enumerate(texts)], True
    if file == "-":
        found, wrong = read(_stdin(), "standard input", given)
    else:
        objects = True if Path(file).suffix in (".jsonl", ".ndjson") else None
        try:
            text = Path(file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            refuse(f"`{file}` is no text in UTF-8")
        found, wrong = read(text, f"`{file}`", given, objects)
    whole = sound(wrong)
    if not found:
        raise Stop(code=1)
    return found, whole


def _honoured(run: Run, asked: list[Asked], usual: Any) -> list[Asked]:
    """Return the prompts whose own settings the model can honour; say in which lines the others stand."""
    from tfdsl.sampling.prompts import alike

    found: list[Asked] = []
    alone = {"prompt": ""}
    for chosen, some in alike(asked):
        own = chosen.model_copy(update=alone) != usual.model_copy(update=alone)
        wrong = run.against(chosen) if own else []
        more = f" and {len(some) - 1:,} more" if len(some) > 1 else ""
        tell([replace(each, message=f"{some[0].line}{more}: {each.message}") for each in wrong])
        found += [] if wrong else some
    if not found:
        raise Stop(code=1)
    return found


def _stdin() -> str:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (the shell closed it: `<&-`)
        refuse("standard input is closed, so no prompt can be read from it")
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        refuse("standard input is no text in UTF-8")


def _write(run: Run, asked: list[Asked], whole: bool, said: writing.Said) -> int:
    from tfdsl.faults import RunError
    from tfdsl.sampling.prompts import alike

    numbers = None if len(asked) == 1 and whole else [each.place + 1 for each in asked]
    try:
        for chosen, some in alike(asked):
            called = None if numbers is None else [each.place + 1 for each in some]
            generation, found = run.write(chosen, [each.prompt for each in some], numbers=called, tell=remark)
            said.pause()
            whole = sound(found) and whole
            if generation is None:
                continue
            for note in generation.notes:
                remark(note)
            left = [some[place] for place in generation.places]
            said.texts(generation, left, chosen, alone=numbers is None and chosen.n == 1)
    except RunError as error:
        said.pause()
        tell(list(error.diagnostics))
        raise Stop(code=1) from None
    finally:
        said.finish()
    return 0 if whole else 1


def _talk(run: Run, chosen: Any, said: writing.Said) -> int:
    from tfdsl.faults import RunError
    from tfdsl.sampling.talk import Talk

    if chosen.n > 1:
        refuse("`--n` writes several texts, and a conversation goes on from one: leave it out")
    try:
        talk = Talk(run.author(chosen, tell=remark), chosen)
        show(talk.said)
        for note in talk.notes:
            remark(note)
        for line in writing.lines():
            try:
                generation, found = talk.answer(line)
                tell(found)
                if generation is not None:
                    said.answer(generation, talk, chosen)
            except KeyboardInterrupt:
                if not writing.typed():
                    raise
                said.stopped(talk)
    except RunError as error:
        said.pause()
        tell(list(error.diagnostics))
        raise Stop(code=1) from None
    finally:
        said.finish()
    return 0
