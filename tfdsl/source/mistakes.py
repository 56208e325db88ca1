"""The parser's errors in people's words: what was meant is looked up in the text around the place."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tfdsl.diagnostics import Diagnostic, Edit, Lines, Note

CLOSING = {"[": "]", "{": "}"}
GLUED = re.compile(r"\s*(?:- +)*([A-Za-z_][A-Za-z0-9_]*):(?!//)(?=[^\s])")
DASHED = re.compile(r"\s*(?:- +)*-(?=[A-Za-z])")
BARE = re.compile(r"(\s*(?:- +)*)([^\s#:{}\[\],\"'|>&*!%@`-][^#:{}\[\],\"']*?)\s*(?:#.*)?")


def mistake(error: yaml.MarkedYAMLError, lines: Lines) -> Diagnostic:
    """Return the diagnostic for an error of the YAML parser."""
    problem = str(error.problem or error.context or "")
    context = str(error.context or "")
    at = _index(error.problem_mark, lines)
    begin = _index(error.context_mark, lines) if error.context_mark else at
    place = Place(lines, at, begin, problem, context)
    for reading in (_hollow, _tab, _quote, _foreign, _glued, _bracket, _colons, _pair, _list, _trailing, _indent):
        found = reading(place)
        if found is not None:
            return found
    words = problem.replace("found ", "").replace("did not find", "there is no")
    return Diagnostic("Y039", f"this is no YAML: {words}", lines.span(at, min(at + 1, len(lines.text))))


class Place:
    """Where the parser stopped (`at`), where what it was reading began (`begin`), and what it said."""

    def __init__(self, lines: Lines, at: int, begin: int, problem: str, context: str) -> None:
        self.lines = lines
        self.text = lines.text
        self.at = at
        self.begin = begin
        self.problem = problem
        self.context = context
        self.number = lines.place(at)[0]
        self.line = lines.line(self.number)
        self.start = lines.starts[self.number - 1]
        self.character = self.text[at : at + 1]
        self.before = self.text[self.start : at]

    def previous(self) -> int:
        """Return the number of the last line above that says anything, or 0."""
        for number in range(self.number - 1, 0, -1):
            stripped = self.lines.line(number).strip()
            if stripped and not stripped.startswith("#"):
                return number
        return 0


def _index(mark: Any, lines: Lines) -> int:
    return min(mark.index, len(lines.text)) if mark else 0


def _hollow(place: Place) -> Diagnostic | None:
    """Explain `{a:, b: 1}`: the colon before a comma or a bracket is taken for a part of the name."""
    if "unexpected ':'" not in place.problem:
        return None
    found = re.search(r"[\w$-]*$", place.before)
    name = found.group() if found else ""
    span = place.lines.span(place.at - len(name), place.at + 1)
    return Diagnostic("Y023", f"`{name}:` has no value", span, "a space and a value go after the colon")


def _tab(place: Place) -> Diagnostic | None:
    margin = re.match(r"[ \t]*", place.line)
    if margin is None or "\t" not in margin.group() or not ("tab" in place.problem or place.character == "\t"):
        return None
    first = place.start + margin.group().index("\t")
    span = place.lines.span(first, place.start + margin.end())
    return Diagnostic("Y030", "a tab indents this line", span, "a tab", help="indent with spaces, two a level")


def _quote(place: Place) -> Diagnostic | None:
    if "quoted scalar" not in place.context:
        return None
    if "escape" in place.problem or "hexdecimal" in place.problem or "Unicode" in place.problem:
        slash = place.text.rfind("\\", place.begin, place.at + 2)
        span = place.lines.span(slash, min(slash + 2, len(place.text)))
        help = "double the backslash, or put the text in single quotes"
        return Diagnostic("Y037", f"`{place.text[slash : slash + 2]}` is no escape", span, help=help)
    quote = place.text[place.begin]
    span = place.lines.span(place.begin, place.begin + 1)
    return Diagnostic("Y032", f"this {quote} is never closed", span, "opened here", help=f"close the text with {quote}")


def _foreign(place: Place) -> Diagnostic | None:
    span = place.lines.span(place.at, min(place.at + 1, len(place.text)))
    end = place.start + len(place.line)
    whole = place.lines.span(min(place.begin, end), end)
    if "directive" in place.context:
        return Diagnostic("Y013", "a directive is not part of the language", whole, help="remove the line")
    if "block scalar" in place.context:
        help = "the text begins on the next line, indented"
        return Diagnostic("Y039", "nothing but a comment may follow `|` or `>` on its line", whole, help=help)
    if "tag" in place.context:
        return Diagnostic("Y011", "a tag is not part of the language", whole, help="remove it")
    if "anchor" in place.context or "alias" in place.context:
        mark = place.text[place.begin : place.begin + 1]
        span = place.lines.span(place.begin, place.begin + 1)
        return Diagnostic("Y036", f"no value begins with `{mark}`", span, help="quote it, if it is text")
    if "cannot start any token" not in place.problem:
        return None
    help = "quote it, if it is text"
    return Diagnostic("Y036", f"no value begins with `{place.character}`", span, help=help)


def _glued(place: Place) -> Diagnostic | None:
    """Find `name:gpt2` and `-norm` on the line of the error, on the line where its context began, or just above."""
    numbers = (place.lines.place(place.begin)[0], place.previous(), place.number)
    if place.context.startswith("while parsing a flow"):
        return None
    for number in numbers:
        if not number:
            continue
        line, start = place.lines.line(number), place.lines.starts[number - 1]
        if found := GLUED.match(line):
            colon = start + found.end() - 1
            value = line[found.end() :].strip()
            at = place.lines.span(colon + 1, colon + 1)
            message = f"`{found.group(1)}:{value}` is one text, for want of a space"
            span, label = place.lines.span(colon, colon + 1), "a space goes after the colon"
            help = f"write `{found.group(1)}: {value}`"
            return Diagnostic("Y023", message, span, label, help=help, edits=(Edit(at, " "),))
        if found := DASHED.match(line):
            item = re.split(r"[\s:]", line[found.end() - 1 :], maxsplit=1)[0]
            at = start + found.end()
            message = f"there is no space after the dash of `{item}`"
            span, label = place.lines.span(at - 1, at), "a list item is `- `, with a space"
            edits = (Edit(place.lines.span(at, at), " "),)
            return Diagnostic("Y024", message, span, label, help=f"write `- {item[1:]}`", edits=edits)
    return None


def _bracket(place: Place) -> Diagnostic | None:
    """Find the bracket that is not closed, or that is closed by another."""
    if not place.context.startswith("while parsing a flow"):
        return None
    opening = place.begin if place.text[place.begin : place.begin + 1] in CLOSING else _open(place.text, place.at)
    if opening is None:
        return None
    bracket = place.text[opening]
    close = CLOSING[bracket]
    where = place.lines.span(opening, opening + 1)
    here = place.lines.span(place.at, min(place.at + 1, len(place.text)))
    if place.character and place.character in "]}" and place.character != close:
        note = Note(f"`{bracket}` was opened here", where)
        message = f"`{place.character}` closes nothing: `{bracket}` is open"
        return Diagnostic("Y031", message, here, f"`{close}` is wanted", (note,))
    if place.lines.place(opening)[0] != place.number and _closes(place.text, opening):
        margin = len(place.line) - len(place.line.lstrip())
        first = min(place.start + margin, place.at)
        here = place.lines.span(first, max(place.at, first + 1))
        notes = (Note(f"`{bracket}` was opened here", where),)
        help = "put a comma at the end of the line above"
        return Diagnostic("Y038", f"`,` or `{close}` is wanted before this", here, notes=notes, help=help)
    if place.lines.place(opening)[0] != place.number or not place.character:
        notes = (Note("the text goes on to here", here),) if place.character else ()
        return Diagnostic(
            "Y031", f"this `{bracket}` is never closed", where, "opened here", notes, f"close it with `{close}`"
        )
    if place.character == ",":
        return Diagnostic("Y038", "there is nothing before this `,`", here, help="remove it")
    if place.character == ":":
        message = f"this `:` stands where `,` or `{close}` is wanted"
        help = "put a comma between two fields, braces around a mapping, or quotes around a text with a colon"
        return Diagnostic("Y033", message, here, help=help)
    message = f"`,` or `{close}` is wanted here"
    return Diagnostic(
        "Y038", message, here, notes=(Note(f"`{bracket}` was opened here", where),), help="put a comma before it"
    )


MARKS = re.compile(r"\"(?:\\.|[^\"\\])*\"|(?<=[\s,\[{:])'[^']*'|(?:^|(?<=\s))#[^\r\n]*|[\[\]{}]")


def _closes(text: str, opening: int) -> bool:
    """Return whether the bracket at `opening` has its partner further down."""
    stack: list[str] = []
    for found in MARKS.finditer(text, opening):
        mark = found.group()
        if mark in CLOSING:
            stack.append(CLOSING[mark])
        elif mark in CLOSING.values():
            if stack.pop() != mark:
                return False
            if not stack:
                return True
    return False


def _open(text: str, end: int) -> int | None:
    """Return the offset of the innermost bracket that is open at `end`."""
    stack: list[int] = []
    for found in MARKS.finditer(text, 0, end):
        if found.group() in ("[", "{"):
            stack.append(found.start())
        elif found.group() in ("]", "}") and stack:
            stack.pop()
    return stack[-1] if stack else None


def _colons(place: Place) -> Diagnostic | None:
    """Explain `mapping values are not allowed`: a second colon, an indented line, a key without colon."""
    if "mapping values are not allowed" not in place.problem:
        return None
    span = place.lines.span(place.at, place.at + 1)
    if re.search(r":\s", place.before):
        help = "quote the text, or put braces around an inner mapping: `a: {b: c}`"
        return Diagnostic("Y033", "a second `:` in one value", span, "not allowed here", help=help)
    number = place.previous()
    if not number:
        return Diagnostic("Y033", "this `:` belongs to no key", span)
    above, start = place.lines.line(number), place.lines.starts[number - 1]
    bare = BARE.fullmatch(above)
    if bare and bare.group(2):
        return _wanting(place, start + bare.start(2), start + bare.end(2))
    margin = len(place.line) - len(place.line.lstrip())
    here = place.lines.span(place.start + margin, place.at)
    note = Note(
        "that line has its value already",
        place.lines.span(start + len(above) - len(above.lstrip()), start + len(above.rstrip())),
    )
    message = f"this line is indented by {margin}, as if it belonged to the value above"
    return Diagnostic("Y034", message, here, "indented too far", (note,), "align it with the key that it belongs to")


def _wanting(place: Place, start: int, end: int) -> Diagnostic:
    name = re.split(r"\s+#", place.text[start:end].strip())[0]  # without the remark behind it
    shown = name if len(name) <= 40 else name[:37] + "..."
    span = place.lines.span(start, start + len(name) if place.text.startswith(name, start) else end)
    return Diagnostic("Y035", f"there is no `:` after `{shown}`", span, "a key needs a colon", help=f"write `{shown}:`")


def _pair(place: Place) -> Diagnostic | None:
    if "could not find expected ':'" not in place.problem:
        return None
    line = place.lines.place(place.begin)[0]
    said = re.split(r"\s#", place.lines.line(line), maxsplit=1)[0].rstrip()
    end = place.lines.starts[line - 1] + len(said)
    return _wanting(place, place.begin, max(end, place.begin))


def _list(place: Place) -> Diagnostic | None:
    if "block sequence entries are not allowed" not in place.problem:
        return None
    span = place.lines.span(place.at, place.at + 1)
    help = "begin the list on the next line, or write it in brackets: `[a, b]`"
    return Diagnostic("Y040", "a list cannot begin on the line of its key", span, help=help)


def _trailing(place: Place) -> Diagnostic | None:
    """Explain text that follows a closing quote or bracket."""
    if not place.before.strip().strip(" -") or "did not find expected" not in place.problem:
        return None
    last = place.before.rstrip()[-1]
    if last in "\"'" and not place.character.isspace():
        end = place.start + len(place.line.rstrip())
        help = f"a {last} inside the text must be doubled" if last == "'" else 'a " inside the text is written \\"'
        return Diagnostic(
            "Y038", f"the text ended at the {last} before this", place.lines.span(place.at, end), help=help
        )
    if last in "]}" or place.character in ("]", "}"):
        end = place.at + 1 if place.character in ("]", "}") else place.start + len(place.line.rstrip())
        message = (
            "this closes nothing" if place.character in ("]", "}") else f"the value ended at the `{last}` before this"
        )
        return Diagnostic("Y038", message, place.lines.span(place.at, max(end, place.at)), help="remove it")
    return None


def _indent(place: Place) -> Diagnostic | None:
    """Explain a line whose indentation or first mark fits none of the lines above."""
    if "did not find expected" not in place.problem:
        return None
    if place.character == ":":
        help = "write the name of the field before it"
        return Diagnostic(
            "Y020", "there is no key before this `:`", place.lines.span(place.at, place.at + 1), help=help
        )
    end = place.start + len(place.line.rstrip())
    span = place.lines.span(place.at, max(end, place.at))
    column = place.lines.place(place.begin)[1]
    dash = _is_item(place.line)
    margin = _margin(place.line)
    help = "align it with its neighbours"
    notes: tuple[Note, ...] = ()
    if margin + 1 == column and "expected '-'" in place.problem:
        message, help = "this stands among list items, and is none", "begin it with `- `, or indent it under its item"
    elif margin + 1 == column and dash:
        message, help = "this list item stands among keys", "indent the list under its key"
    else:
        message = f"this line is indented by {margin}, which fits no line above"
        for number in range(place.number - 1, 0, -1):
            above = place.lines.line(number)
            if above.strip() and not above.strip().startswith("#") and _is_item(above) == dash:
                start = place.lines.starts[number - 1]
                what = "list item" if dash else "key"
                span_above = place.lines.span(start + _margin(above), start + len(above.rstrip()))
                notes = (Note(f"the {what} above is indented by {_margin(above)}", span_above),)
                break
    return Diagnostic("Y034", message, span, notes=notes, help=help)


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_item(line: str) -> bool:
    return line.lstrip().startswith("- ") or line.strip() == "-"
