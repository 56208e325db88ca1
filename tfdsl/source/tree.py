"""Parser events to a tree of values, one event at a time, so that no text can exhaust the stack or the memory."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # pyright: ignore[reportAttributeAccessIssue]

from tfdsl.diagnostics import Diagnostic, Edit, Lines, Note, Span
from tfdsl.source.mistakes import mistake
from tfdsl.source.scalars import resolve
from tfdsl.source.values import Mapping, Scalar, Sequence, Value

DEEPEST = 64
MOST = 100_000  # values: scalars, lists and mappings, keys included
ANCHORED = 1_000  # anchors, after which reading ends
WORST = 100  # mistakes, after which reading ends
PIECES = 16  # of a call that commas have torn apart
GLUED = re.compile(r"([a-z][a-z0-9_]*):(?!//)(\S.*)", re.DOTALL)
DASHED = re.compile(r"-[A-Za-z]")


@dataclass(slots=True)
class Frame:
    """A list or a mapping that is being read."""

    mapping: bool
    flow: bool
    start: Any  # a mark of the parser: index, line, column
    items: list[Value] = field(default_factory=list[Value])
    entries: list[tuple[Scalar, Value]] = field(default_factory=list[tuple[Scalar, Value]])
    key: Scalar | None = None
    waiting: bool = False  # a key was read (None where it was no scalar), and its value comes next


class Stop(Exception):
    """The rest of the text is not worth reading."""


class Reader:
    """The stack of open lists and mappings, the value when it is whole, and what was wrong."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = Lines(text, file)
        self.stack: list[Frame] = []
        self.value: Value | None = None
        self.found: list[Diagnostic] = []
        self.anchors: dict[str, tuple[Span, list[Note]]] = {}
        self.count = 0
        self.broken = False  # too much is missing for the tree to mean anything

    def report(self, code: str, message: str, span: Span, label: str = "", help: str = "", **more: Any) -> None:
        self.found.append(Diagnostic(code, message, span, label, help=help, **more))
        if len(self.found) >= WORST:
            raise Stop

    def span(self, start: Any, end: Any) -> Span:
        # At the end of the text the parser's line and column are those of a line break that it makes up.
        if end.index >= len(self.text):
            return self.lines.span(start.index, end.index)
        return Span(self.file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    # -- events -------------------------------------------------------------------------------------------------------

    def event(self, event: Any) -> None:
        """Take one event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            self.enter(event)
            self.put(self.scalar(event))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self.enter(event)
            if len(self.stack) == DEEPEST:
                message = f"the values are nested more than {DEEPEST} deep"
                self.report("Y006", message, self.span(event.start_mark, event.end_mark))
                raise Stop
            self.stack.append(Frame(isinstance(event, yaml.MappingStartEvent), event.flow_style, event.start_mark))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.close(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.document(event)

    def enter(self, event: Any) -> None:
        """Count a value, and report its anchor or its tag."""
        self.count += 1
        if self.count > MOST:
            message = f"a spec may hold {MOST:,} values, and this one holds more"
            self.report("Y007", message, self.span(event.start_mark, event.end_mark))
            raise Stop
        if event.anchor is None and event.tag is None:
            return
        start = event.start_mark.index
        if event.anchor is not None:
            at = self.text.find(f"&{event.anchor}", start)
            self.anchors.setdefault(event.anchor, (self.lines.span(at, at + len(event.anchor) + 1), []))
        if event.tag is not None:
            found = re.compile(r"![^\s,\[\]{}]*").search(self.text, start)
            at, end = found.span() if found else (start, start)
            help = "remove it: a spec holds mappings, lists and plain values" + (
                ', and `"..."` makes a text' if "str" in event.tag else ""
            )
            self.report(
                "Y011",
                f"the tag `{self.text[at:end]}` is not part of the language",
                self.lines.span(at, end),
                help=help,
            )

    def alias(self, event: Any) -> None:
        """Report an alias at its anchor, or alone where there is none."""
        self.broken = True
        span = self.span(event.start_mark, event.end_mark)
        frame = self.stack[-1] if self.stack else None
        merging = self.text[max(event.start_mark.index - 4, 0) : event.start_mark.index].endswith(("<<: ", "<<:"))
        if event.anchor in self.anchors:
            self.anchors[event.anchor][1].append(Note("merged here" if merging else "used here", span))
        else:
            help = f"a block's parameter is written `${event.anchor}`"
            self.report("Y010", f"the alias `*{event.anchor}` is not part of the language", span, help=help)
        if frame is not None:
            frame.key, frame.waiting = None, frame.mapping and not frame.waiting

    def document(self, event: Any) -> None:
        """Refuse directives, and every document after the first."""
        if self.value is not None or self.count:
            span = self.span(event.start_mark, event.end_mark)
            self.report(
                "Y014", "a spec is one document, and another begins here", span, help="put it into its own file"
            )
            raise Stop
        if event.version or event.tags:
            at = self.text.find("%", event.start_mark.index)
            line = self.lines.place(at)[0]
            end = at + len(self.lines.line(line))
            help = "remove the line"
            self.report("Y013", "a directive is not part of the language", self.lines.span(at, end), help=help)

    # -- values -------------------------------------------------------------------------------------------------------

    def scalar(self, event: Any) -> Scalar:
        """Return the scalar of an event, its span without the blank lines that follow a block scalar."""
        start, end = event.start_mark, event.end_mark
        if event.anchor is not None or event.tag is not None:  # the event begins at the anchor
            return self.bare(event)
        if event.style in ("|", ">"):
            stop = start.index + len(self.text[start.index : end.index].rstrip())
            return Scalar(event.value, event.value, self.lines.span(start.index, stop), True)
        if event.style:
            return Scalar(event.value, event.value, self.span(start, end), True)
        return self.plain(event.value, self.span(start, end))

    def bare(self, event: Any) -> Scalar:
        """Return the scalar that follows an anchor or a tag."""
        stop = event.end_mark.index
        start = event.start_mark.index
        while found := re.compile(r"[&!]\S*\s*").match(self.text, start, stop):
            start = found.end()
        quoted = bool(event.style)
        span = self.lines.span(start, max(start, stop))
        return Scalar(event.value, event.value, span, True) if quoted else self.plain(event.value, span)

    def plain(self, text: str, span: Span) -> Scalar:
        """Return the plain scalar `text`, resolved."""
        try:
            return Scalar(text, resolve(text), span)
        except OverflowError:
            shown = text if len(text) <= 24 else f"{text[:20]}..."
            self.report("Y008", f"the number `{shown}` is larger than a float can hold", span)
            return Scalar(text, 0, span)

    def put(self, value: Value) -> None:
        """Give a value its place in the list or the mapping that is open."""
        if not self.stack:
            self.value = value
            return
        frame = self.stack[-1]
        if not frame.mapping:
            frame.items.append(self.glued(value))
        elif not frame.waiting:
            frame.key, frame.waiting = self.key(value), True
        else:
            if frame.key is not None:
                frame.entries.append((frame.key, value))
            frame.key, frame.waiting = None, False

    def key(self, value: Value) -> Scalar | None:
        """Return the key that `value` is, or None after a report."""
        if not isinstance(value, Scalar):
            kind = "list" if isinstance(value, Sequence) else "mapping"
            help = "quote it, if the brackets are part of the name"
            self.report("Y020", f"a key is a name, and this one is a {kind}", value.span, help=help)
            return None
        if value.text == "" and not value.quoted:
            self.report(
                "Y020", "there is no key before this `:`", value.span, help="write the name of the field before it"
            )
            return None
        if not value.quoted and value.text == "<<":
            if not self.anchors:
                help = "blocks, `defaults` and `extends` share what is common"
                self.report("Y012", "the merge key `<<` is not part of the language", value.span, help=help)
            return None
        if not value.quoted and DASHED.match(value.text):
            self.broken = True
            self.dash(value)
        return value

    def dash(self, value: Scalar) -> None:
        """Report a list item whose dash has no space."""
        line, column = value.span.line, value.span.column
        dash = Span(self.file, line, column, line, column + 1)
        at = Span(self.file, line, column + 1, line, column + 1)
        message, label = f"there is no space after the dash of `{value.text}`", "a list item is `- `, with a space"
        self.report("Y024", message, dash, label, f"write `- {value.text[1:]}`", edits=(Edit(at, " "),))

    def glued(self, value: Value) -> Value:
        """Return `{a: b}` for the plain scalar `a:b`, which lacks a space, after a report."""
        if not isinstance(value, Scalar) or value.quoted:
            return value
        found = GLUED.fullmatch(value.text)
        if found is None or value.span.line != value.span.end_line:
            return value
        name, rest = found.groups()
        file, line, column = self.file, value.span.line, value.span.column + len(name)
        colon = Span(file, line, column, line, column + 1)
        at = Span(file, line, column + 1, line, column + 1)
        label = "a space goes after the colon"
        message, help = f"`{value.text}` is one text, for want of a space", f"write `{name}: {rest}`"
        self.report("Y023", message, colon, label, help, edits=(Edit(at, " "),))
        key = Scalar(name, name, Span(file, line, value.span.column, line, column))
        return Mapping(
            ((key, self.plain(rest, Span(file, line, column + 1, line, value.span.end_column))),), value.span
        )

    # -- endings ------------------------------------------------------------------------------------------------------

    def close(self, event: Any) -> None:
        """Make the innermost open list or mapping a value."""
        frame = self.stack.pop()
        if frame.flow:
            self.calls(frame)
        last = frame.entries[-1][1] if frame.entries else frame.items[-1] if frame.items else None
        if frame.flow or last is None:
            span = self.span(frame.start, event.end_mark)
        else:
            end = last.span
            span = Span(self.file, frame.start.line + 1, frame.start.column + 1, end.end_line, end.end_column)
        if frame.mapping:
            self.put(Mapping(self.once(frame), span))
        else:
            self.put(Sequence(tuple(frame.items), span))

    def once(self, frame: Frame) -> tuple[tuple[Scalar, Value], ...]:
        """Return the entries of a mapping, the first of each name, after a report of the others."""
        seen: dict[str, Scalar] = {}
        kept: list[tuple[Scalar, Value]] = []
        for key, value in frame.entries:
            if key.text in seen:
                note = Note("it stands here first", seen[key.text].span)
                message = f"the key `{key.text}` stands twice in one mapping"
                self.report("Y021", message, key.span, "the second", "keep one of them", notes=(note,))
            else:
                seen[key.text] = key
                kept.append((key, value))
        return tuple(kept)

    def calls(self, frame: Frame) -> None:
        """Join what a comma inside a call has torn apart: `{hidden: ceil_to(8, 64)}` reads as two entries."""
        if not frame.mapping:
            items: list[Value] = []
            at = 0
            while at < len(frame.items):
                more = torn(frame.items[at], frame.items[at + 1 : at + 1 + PIECES])
                items.append(self.call(frame.items[at], frame.items[at + more]) if more else frame.items[at])
                at += more + 1
            frame.items[:] = items
            return
        entries: list[tuple[Scalar, Value]] = []
        at = 0
        while at < len(frame.entries):
            key, value = frame.entries[at]
            keys = [each if empty(bare) else None for each, bare in frame.entries[at + 1 : at + 1 + PIECES]]
            more = torn(value, keys)
            if more:
                entries.append((key, self.call(value, frame.entries[at + more][0])))
            else:
                glued = self.glued(key) if empty(value) else key
                entries.append(glued.entries[0] if isinstance(glued, Mapping) else (key, value))
            at += more + 1
        frame.entries[:] = entries

    def call(self, first: Value, last: Value) -> Scalar:
        """Return the text from `first` to `last` as one scalar, after a report."""
        begin, end = first.span, last.span
        start = self.lines.offset(begin.line, begin.column)
        stop = self.lines.offset(end.end_line, end.end_column)
        text = " ".join(self.text[start:stop].split())
        span = Span(self.file, begin.line, begin.column, end.end_line, end.end_column)
        message = f"the comma ends the value here: `{text}` must be quoted inside brackets"
        quotes = Edit(self.lines.span(start, start), '"'), Edit(self.lines.span(stop, stop), '"')
        edits = quotes if '"' not in text and "\\" not in text else ()
        self.report("Y022", message, span, "quote it", f'write `"{text}"`', edits=edits)
        return Scalar(text, text, span)

    def finish(self) -> tuple[Value | None, list[Diagnostic]]:
        """Return the value and every diagnostic."""
        for name, (span, notes) in list(self.anchors.items())[:WORST]:
            message = f"the anchor `&{name}` is not part of the language"
            help = "blocks, `defaults` and `extends` share what is common"
            self.found.append(Diagnostic("Y010", message, span, notes=tuple(notes[:8]), help=help))
        return (None if self.broken else self.value), self.found


def torn(first: Value, following: Iterable[Value | None]) -> int:
    """Return how many of the values that follow belong to a call that `first` opens and that commas have torn apart."""
    depth = 0
    for count, piece in enumerate((first, *following)):
        if not isinstance(piece, Scalar) or piece.quoted:
            return 0
        depth += piece.text.count("(") - piece.text.count(")")
        if depth <= 0:
            return count
    return 0


def empty(value: Value) -> bool:
    """Return whether nothing was written in the value's place."""
    return isinstance(value, Scalar) and value.text == "" and not value.quoted


def read(text: str, file: str) -> tuple[Value | None, list[Diagnostic]]:
    """Return the value of a text whose characters are all allowed, and what is wrong with it."""
    reader = Reader(text, file)
    try:
        parser: Any = CParser(text)
        while parser.check_event():
            reader.event(parser.get_event())
    except Stop:
        if not reader.found or reader.found[-1].code != "Y014":
            reader.broken = True
    except yaml.MarkedYAMLError as error:
        reader.broken = True
        reader.found.append(mistake(error, reader.lines))
    if reader.count == 0 and not reader.found:
        reader.found.append(
            Diagnostic("Y005", "the text holds no spec", Span(file, 1, 1, 1, 1), help="`tfdsl new` writes one")
        )
    return reader.finish()
