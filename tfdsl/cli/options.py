"""The arguments and options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def spec(function: Function) -> Function:
    """Add the argument SPEC."""
    return click.argument("spec", metavar="SPEC")(function)


def overrides(function: Function) -> Function:
    """Add `--set`, which may be given many times."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="NAME=VALUE",
        help="Override a size or a setting, such as dims.d_model=1024 or train.steps=200. Repeat it for more.",
    )(function)


def as_json(function: Function) -> Function:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(function)


def last(function: Function) -> Function:
    """Add `--last`."""
    return click.option("--last", is_flag=True, help="Use the last weights in place of the best.")(function)


def pictures(function: Function) -> Function:
    """Add `--mean`, `--deviation` and `--size`: how images are read, where the run does not say it."""
    several: dict[str, Any] = {"multiple": True, "type": float, "metavar": "NUMBER"}
    size = click.IntRange(min=1)
    for option in (
        click.option("--size", type=size, help="Bring images to this size: the shorter side, the rest cut off evenly."),
        click.option("--deviation", help="What that is then divided by. Repeat it for each channel.", **several),
        click.option(
            "--mean", help="What is taken from the brightness (0 to 255) of images, where the run has none.", **several
        ),
    ):
        function = option(function)
    return function


def with_data(data: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Return the overrides with what `--data` names, on which `--set train.data.held_out=…` and the like build."""
    if data is None:
        return overrides
    if any(each.startswith("train.data.") for each in overrides):
        return (f"train.data={{source: {json.dumps(data, ensure_ascii=False)}}}", *overrides)
    return (*overrides, f"train.data={data}")


def sampled(function: Function) -> Function:
    """Add an option for each setting of the `sample` section; those that are not given are None, or empty."""
    from tfdsl.settings import Sample

    for name, field in reversed(Sample.model_fields.items()):
        if name == "prompt":
            continue
        kind, words = _kind(field.annotation)
        flag = f"--{name.replace('_', '-')}"
        about: dict[str, Any] = {"help": f"{field.description}."}
        if kind is bool:
            function = click.option(f"{flag}/--no-{name.replace('_', '-')}", name, default=None, **about)(function)
        elif words:
            function = click.option(flag, name, type=click.Choice(words), **about)(function)
        elif kind in (int, float):
            metavar = "N" if kind is int else "X"
            function = click.option(flag, name, type=kind, metavar=metavar, **about)(function)
        else:
            metavar = "TEXT=X" if kind is dict else "TEXT"
            function = click.option(flag, name, multiple=kind in (tuple, dict), metavar=metavar, **about)(function)
    return function


def given(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that options gave, as a spec would have them."""
    found: dict[str, Any] = {}
    for name, value in chosen.items():
        if name == "logit_bias" and value:
            found[name] = dict(_bias(each) for each in value)
        elif value is not None and value != ():
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def settled(given: Mapping[str, Any]) -> Any:
    """Return the `sample` section with these settings; an option that is out of range ends the command."""
    from pydantic import ValidationError

    from tfdsl.sampling.prompts import explain
    from tfdsl.settings import Sample

    try:
        return Sample.read(given)
    except ValidationError as error:
        raise click.UsageError(explain(error)) from None


def _bias(text: str) -> tuple[str, float]:
    word, equals, weight = text.rpartition("=")
    try:
        if equals and word:
            return word, float(weight)
    except ValueError:
        pass
    raise click.UsageError(f"`--logit-bias {text}` is not a text, `=` and a number, such as `--logit-bias the=-2`")


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the Python type of a setting, and the words of one that is one of several."""
    origin, parts = get_origin(annotation), [each for each in get_args(annotation) if each is not NoneType]
    if origin is Annotated or (origin in (Union, UnionType) and len(parts) == 1):
        return _kind(parts[0])
    if origin is Literal:
        return str, tuple(map(str, parts))
    return (annotation if origin is None else origin), ()
