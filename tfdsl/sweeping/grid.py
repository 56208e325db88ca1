"""What a sweep varies, as the runs that it comes to: the product of all values, some of them in step, over seeds."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfdsl.diagnostics import Diagnostic

SEED = "train.seed"
LONGEST = 120  # characters of a folder's name
Setting = tuple[str, str]  # a name such as `dims.d_model` and the text of its value


@dataclass(frozen=True, slots=True)
class Axis:
    """Settings that change in step: one, or those of `--zip`; a row of texts for each place along the axis."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """A run to be: the name of its folder, what varies (without the seed), and its seed, if one is set."""

    name: str
    values: tuple[Setting, ...]
    seed: int | None = None

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return what `--set` would say."""
        seed = () if self.seed is None else (f"{SEED}={self.seed}",)
        return (*(f"{name}={text}" for name, text in self.values), *seed)


def axes(vary: Sequence[str], zipped: Sequence[str]) -> tuple[list[Axis], list[Diagnostic]]:
    """Return the axes that `--vary NAME=VALUE,…` and `--zip NAME=VALUE,…` ask for, or what is wrong with them."""
    found: list[Axis] = []
    problems: list[Diagnostic] = []
    for group in (*((text,) for text in vary), *((tuple(zipped),) if zipped else ())):
        parts = [_part(text) for text in group]
        wrong = [part for part in parts if isinstance(part, Diagnostic)]
        read = [part for part in parts if not isinstance(part, Diagnostic)]
        problems += wrong or _uneven(read)
        if not problems:
            columns = [values for _, values in read]
            found.append(Axis(tuple(name for name, _ in read), tuple(zip(*columns, strict=True))))
    names = [name for axis in found for name in axis.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [Diagnostic("R777", f"`{name}` varies twice", help="give all its values at once") for name in twice]
    return found, problems


def _part(text: str) -> tuple[str, tuple[str, ...]] | Diagnostic:
    """Return the name and the values of `NAME=VALUE,…`."""
    name, equals, rest = text.partition("=")
    values = split(rest)
    help_ = "for example `dims.n_layers=2,4,8`"
    if not equals or not re.fullmatch(r"\w+(\.\w+)+", name.strip()):
        return Diagnostic("R777", f"`{text}` is not of the form `section.name=value,value`", help=help_)
    if not all(values):
        return Diagnostic("R777", f"`{text}` leaves a value out", help=help_)
    if len(set(values)) < len(values):
        return Diagnostic("R777", f"`{text}` names a value twice", help="`--seeds` repeats each run with other seeds")
    return name.strip(), values


def _uneven(parts: Sequence[tuple[str, tuple[str, ...]]]) -> list[Diagnostic]:
    if len({len(values) for _, values in parts}) <= 1:
        return []
    told = ", ".join(f"{len(values)} of `{name}`" for name, values in parts)
    help_ = "`--zip` takes a value of each at a time; `--vary` makes all pairs"
    return [Diagnostic("R777", f"what goes in step has as many values each, and there are {told}", help=help_)]


def split(text: str) -> tuple[str, ...]:
    """Return the values between the commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        quote = "" if letter == quote else letter if not quote and letter in "'\"" else quote
        if not quote:
            depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts)


def written(vary: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return Python values as `--vary` says them."""
    return [f"{name}={','.join(_text(value) for value in values)}" for name, values in vary.items()]


def refused(values: Mapping[str, Any], **counts: int) -> list[Diagnostic]:
    """Say which Python values are no lists, and which `counts` no whole numbers from 1 up."""
    found: list[Diagnostic] = []
    for name, each in values.items():
        if isinstance(each, str) or not isinstance(each, Sequence):
            found.append(Diagnostic("R777", f"the values of `{name}` are a list, and not {each!r}"))
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  (of who does not check)
            found.append(Diagnostic("R777", f"`{name}` is a whole number from 1 up, and not {count!r}"))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def combinations(axes: Sequence[Axis], seeds: int, first: int) -> tuple[list[Combination], list[Diagnostic]]:
    """Return every run: the product of the axes; of several `seeds`, each from the `first` on."""
    names = [name for axis in axes for name in axis.names]
    if seeds > 1 and SEED in names:
        help_ = "leave one of them out"
        return [], [Diagnostic("R777", f"`{SEED}` varies, and `--seeds` would vary it too", help=help_)]
    short = shorts(names)
    found: list[Combination] = []
    for rows in itertools.product(*(axis.rows for axis in axes)):
        values = tuple(zip(names, itertools.chain(*rows), strict=True))
        label = [f"{short[name]}={text}" for name, text in values]
        for seed in range(first, first + seeds) if seeds > 1 else (None,):
            told = label if seed is None else [*label, f"seed={seed}"]
            found.append(Combination(_folder(told), values, seed))
    return _apart(found), []


def shorts(names: Sequence[str]) -> dict[str, str]:
    """Return, of each name, the last words: as many as tell it from the others."""
    short: dict[str, str] = {}
    for name in names:
        words = name.split(".")
        for count in range(1, len(words) + 1):
            short[name] = ".".join(words[-count:])
            if sum(f".{other}".endswith(f".{short[name]}") for other in names) == 1:
                break
    return short


def _folder(told: Sequence[str]) -> str:
    text = re.sub(r"[^\w.,=+-]+", "-", ",".join(told)) or "run"
    return text[:LONGEST]


def _apart(found: list[Combination]) -> list[Combination]:
    """Number the folders whose names came out alike."""
    seen: dict[str, int] = {}
    apart: list[Combination] = []
    for each in found:
        key = each.name.lower()  # some file systems know no difference of case
        seen[key] = seen.get(key, 0) + 1
        name = each.name if seen[key] == 1 else f"{each.name}-{seen[key]}"
        apart.append(Combination(name, each.values, each.seed))
    return apart
