"""prompts: what is asked of a model, line by line: a text a line, or JSON objects with settings of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from tfdsl import settings
from tfdsl.data import chat
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.expressions import Expression
from tfdsl.parts import one_of
from tfdsl.sampling.aside import told


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, its place among all, how what follows it is to be drawn, and the line that it stands in."""

    prompt: str
    chosen: settings.Sample
    place: int = 0
    line: str = ""


def read(
    text: str, place: str, given: Mapping[str, Any], objects: bool | None = None
) -> tuple[list[Asked], list[Diagnostic]]:
    """Return the prompts in a text that stands at `place`, and what is wrong with lines that are none.

    Blank lines are left out. A line is a prompt, or where they are `objects` (None: where the first line begins with a
    brace) a JSON object with `prompt` or `messages` and settings of the `sample` section, which go before those that
    are `given`.
    """
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if objects is None:
        objects = bool(lines) and lines[0][1].lstrip().startswith("{")
    found: list[Asked] = []
    wrong: dict[int, Diagnostic] = {}
    usual = settings.Sample.read(given)
    for at, (number, line) in enumerate(lines):
        each = _object(line, usual) if objects else _text(line, usual)
        if isinstance(each, str):
            help_ = 'a line is an object such as {"prompt": "Once", "temperature": 0.8}, or has `messages`'
            wrong[at] = Diagnostic("R816", f"line {number} of {place} {each}", label="not a prompt", help=help_)
        else:
            found.append(replace(each, place=at, line=f"line {number} of {place}"))
    if not lines:
        wrong[0] = Diagnostic("R712", f"{place} holds no prompt", help="write a prompt a line")
    return found, told(wrong)


def alike(asked: Sequence[Asked]) -> list[tuple[settings.Sample, list[Asked]]]:
    """Return prompts in a row that are drawn alike, with how that is: they are written at once."""
    groups = groupby(asked, key=lambda each: each.chosen.model_copy(update={"prompt": ""}))
    return [(chosen, list(group)) for chosen, group in groups]


def explain(error: ValidationError) -> str:
    """Return what is wrong with settings, in words: the field, and what it takes."""
    first = error.errors(include_url=False)[0]
    facts: Mapping[str, Any] = first.get("ctx", {})
    message, words = str(facts.get("message", first["msg"])), tuple(facts.get("candidates", ()))
    near = suggest(str(facts.get("word", "")), words)
    choice = one_of(words) if words and first["type"] == "D104" else facts.get("help")
    wanted = facts.get("expected") or (f"did you mean `{near}`?" if near else choice) or ""
    wanted = "" if wanted in message else wanted
    field = ".".join(str(each) for each in first["loc"])
    named = field and facts.get("at") != "key"
    return f"{f'`{field}`: ' if named else ''}{message}{f' ({wanted})' if wanted else ''}"


def uncounted(chosen: settings.Sample) -> list[Diagnostic]:
    """Refuse what a spec may write and nobody can count here: expressions of its dims."""
    return [
        Diagnostic("R814", f"`{name}` is the text `{value}`, and is to be a number", help="write the number itself")
        for name, value in chosen.given().items()
        if isinstance(value, Expression)
    ]


def unreadable(prompts: Sequence[Any], names: Sequence[str]) -> dict[int, Diagnostic]:
    """Return which prompts are no text, by their place: anybody may hand over anything."""
    found: dict[int, Diagnostic] = {}
    for place, (prompt, name) in enumerate(zip(prompts, names, strict=True)):
        if not isinstance(prompt, str):
            message = f"{name} is to be a text, and is {f'{prompt!r:.40}' if prompt is not None else 'None'}"
            help_ = "give one text, or several in a list"
            found[place] = Diagnostic("R816", message, label="not a text", help=help_)
        elif any("\ud800" <= letter <= "\udfff" for letter in prompt):
            message = f"{name} holds what is no character: half of a pair, or bytes that are not UTF-8"
            found[place] = Diagnostic("R816", message, label="not a text", help="write it in UTF-8")
    return found


def _text(line: str, usual: settings.Sample) -> Asked | str:
    """Return a line as a prompt, or why it looks like none: JSON among lines of text was not meant as text."""
    if line.lstrip().startswith("{"):
        try:
            held: Any = json.loads(line)
        except (ValueError, RecursionError):
            held = None
        if isinstance(held, dict) and ("prompt" in held or "messages" in held):
            return "is a JSON object, and the first line is a text"
    return Asked(line, usual)


def _object(line: str, usual: settings.Sample) -> Asked | str:
    """Return the prompt in a line of JSON, or what is wrong with it."""
    try:
        held = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is no JSON: {error}"
    if not isinstance(held, dict):
        return "is no JSON object"
    own: dict[str, Any] = dict(held)
    messages = own.pop("messages", None)
    if messages is not None:
        if wrong := chat.against(messages):
            return wrong
        if "prompt" in own or messages[-1]["role"] == chat.ANSWERER:
            return "has `messages` that ask nothing: the last one is not the assistant's, and there is no `prompt`"
        own["prompt"] = chat.asked(messages)
    if not isinstance(own.get("prompt"), str):
        return "has no `prompt`"
    try:
        chosen = settings.Sample.read(settings.anew(usual, own))
    except ValidationError as error:
        return f"has a wrong setting: {explain(error)}"
    if wrong := uncounted(chosen):
        return f"has a wrong setting: {wrong[0].message}"
    return Asked(own["prompt"], chosen)
