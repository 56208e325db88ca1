"""tfdsl kinds: list the kinds of node, or say what one takes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

import click

from tfdsl import node, reference
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
        kinds = [reference.kind(name) for name in node.kinds()]
        say(json.dumps([asdict(each) for each in kinds], indent=1) if as_json else _list(kinds))
        return 0
    if kind not in node.kinds():
        near = suggest(kind, node.kinds())
        refuse(f"there is no kind `{kind}`." + (f" Did you mean `{near}`?" if near else " `tfdsl kinds` lists them."))
    described = reference.kind(kind)
    say(json.dumps(asdict(described), indent=1) if as_json else "\n".join(_page(described)))
    return 0


def _list(kinds: list[reference.Kind]) -> str:
    rows = [f"  {each.name:11} {each.purpose}" for each in kinds]
    return "\n".join([*rows, "", "`tfdsl kinds KIND` says what one takes."])


def _page(kind: reference.Kind) -> Iterator[str]:
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
