"""prompts: what is asked of a model, line by line: a text a line, or JSON objects with settings of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from tfdsl import settings
from tfdsl.data import chat
from tfdsl.diagnostics import Diagnostic, suggest


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and how what follows it is to be drawn."""

    prompt: str
    chosen: settings.Sample


def read(
    text: str, place: str, given: Mapping[str, Any], objects: bool | None = None
) -> tuple[list[Asked], list[Diagnostic]]:
    """Return the prompts in a text that stands at `place`, or what is wrong with its lines; blank ones are left out.

    A line is a prompt, or where they are `objects` (None: where the first line begins with a brace) a JSON object with
    `prompt` or `messages` and settings of the `sample` section, which go before those that are `given`.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if objects is None:
        objects = bool(lines) and lines[0][1].lstrip().startswith("{")
    found: list[Asked] = []
    wrong: list[Diagnostic] = []
    usual = settings.Sample.read(given)
    for number, line in lines:
        each = _object(line, given) if objects else Asked(line, usual)
        if isinstance(each, str):
            help_ = 'a line is an object such as {"prompt": "Once", "temperature": 0.8}, or has `messages`'
            wrong.append(Diagnostic("R816", f"line {number} of {place} {each}", label="not a prompt", help=help_))
        else:
            found.append(each)
    if not lines:
        wrong.append(Diagnostic("R712", f"{place} holds no prompt", help="write a prompt a line"))
    return found, wrong


def alike(asked: Sequence[Asked]) -> list[tuple[settings.Sample, list[str]]]:
    """Return prompts in a row that are drawn alike, with how that is: they are written at once."""
    groups = groupby(asked, key=lambda each: each.chosen.model_copy(update={"prompt": ""}))
    return [(chosen, [each.prompt for each in group]) for chosen, group in groups]


def explain(error: ValidationError) -> str:
    """Return what is wrong with settings, in words: the field, and what it takes."""
    first = error.errors(include_url=False)[0]
    facts: Mapping[str, Any] = first.get("ctx", {})
    near = suggest(str(facts.get("word", "")), tuple(facts.get("candidates", ())))
    wanted = facts.get("expected") or (f"did you mean `{near}`?" if near else facts.get("help") or "")
    field = ".".join(str(each) for each in first["loc"])
    named = field and facts.get("at") != "key"
    return f"{f'`{field}`: ' if named else ''}{facts.get('message', first['msg'])}{f' ({wanted})' if wanted else ''}"


def _object(line: str, given: Mapping[str, Any]) -> Asked | str:
    """Return the prompt in a line of JSON, or what is wrong with it."""
    try:
        held = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
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
        return Asked(own["prompt"], settings.Sample.read({**given, **own}))
    except ValidationError as error:
        return f"has a wrong setting: {explain(error)}"
