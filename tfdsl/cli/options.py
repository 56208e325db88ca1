"""The arguments and options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

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
