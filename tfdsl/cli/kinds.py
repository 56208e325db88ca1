"""tfdsl kinds: list the kinds of node, or say what one takes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from tfdsl import kinds, node, reference
from tfdsl.cli import options
from tfdsl.cli.output import refuse, say
from tfdsl.diagnostics import suggest

WIDTH = 100


@click.command()
@click.argument("kind", required=False)
@options.as_json
def command(kind: str | None, as_json: bool) -> int:
    """List the kinds of node, or say what one KIND takes."""
    if kind is None:
        all_ = [reference.kind(name) for name in node.kinds()]
        say(json.dumps([asdict(each) for each in all_], indent=1) if as_json else _list(all_))
        return 0
    if kind not in node.kinds():
        near = suggest(kind, node.kinds())
        refuse(f"there is no kind `{kind}`." + (f" Did you mean `{near}`?" if near else " `tfdsl kinds` lists them."))
    page = kinds.page(kind)
    say(json.dumps(_plain(page), indent=1) if as_json else "\n".join(_page(page)))
    return 0


def _list(kinds: list[reference.Kind]) -> str:
    rows = [f"  {each.name:11} {each.purpose}" for each in kinds]
    return "\n".join([*rows, "", "`tfdsl kinds KIND` says what one takes."])


def _plain(page: kinds.Page) -> dict[str, Any]:
    """Return a page as JSON has it: the kind's own entries, its sources and its examples."""
    entries = asdict(page)
    return {**entries.pop("kind"), **entries}


def _page(page: kinds.Page) -> Iterator[str]:
    kind = page.kind
    yield f"{kind.name}: {kind.purpose}"
    yield ""
    yield from _wrapped(kind.about)
    if kind.headline:
        yield ""
        yield f"A value alone is its `{kind.headline}`."
    yield from _fields("Fields", kind.fields)
    for group in kind.types:
        usual = " (the default)" if group.word == kind.default_type else ""
        yield ""
        yield f"type: {group.word}{usual}"
        yield from _wrapped(group.about, "  ")
        yield from _rows(group.fields, "    ")
    for part in kind.parts:
        yield from _part(part)
    yield from _fields("Every node", reference.every())
    for example in page.examples:
        yield from _example(example)
    if page.sources:
        yield ""
        yield "Sources: " + ", ".join(page.sources)


def _example(example: kinds.Example) -> Iterator[str]:
    yield ""
    yield f"Example, type {example.word}:" if example.word else "Example:"
    yield from (f"    {line}" for line in example.text.splitlines())
    yield ""
    yield "Inside:"
    yield from (f"    {line}".rstrip() for line in example.drawing.splitlines())
    if example.shapes:
        yield ""
        yield f"Shapes: {example.shapes}"
    yield from (f"  {name:12} {shape}" for name, shape in example.weights)
    if example.costs:
        yield ""
        yield "Cost:"
        yield from (f"  {kinds.COSTS[cost]}: {formula}" for cost, formula in example.costs)
        for change in example.changes:
            yield from _wrapped(f"with `{change.setting}`: {kinds.COSTS[change.cost]} {change.adds}", "  ", "      ")


def _part(part: reference.Piece) -> Iterator[str]:
    yield ""
    yield f"{part.field}:"
    for group in part.groups:
        yield from _wrapped(f"{group.word}: {group.about}" if group.word else group.about, "  ")
        yield from _rows(group.fields, "    ")


def _fields(title: str, fields: tuple[reference.Field, ...]) -> Iterator[str]:
    if fields:
        yield ""
        yield f"{title}:"
        yield from _rows(fields, "  ")


def _rows(fields: tuple[reference.Field, ...], margin: str) -> Iterator[str]:
    for field in fields:
        usual = {"": "; must be given", "optional": ""}.get(field.default, f"; {field.default} if left out")
        yield from _wrapped(f"{field.name:12} {field.takes}{usual}", margin, margin + " " * 13)
        yield from _wrapped(field.about, margin + " " * 13)


def _wrapped(text: str, margin: str = "", further: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin if further is None else further)
