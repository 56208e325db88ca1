"""The `weights` section over a model's weights: which entry gives which, and what is wrong with the section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tfdsl.diagnostics import suggest
from tfdsl.expressions import Expression, ExpressionError
from tfdsl.mapping.axes import AxesError
from tfdsl.mapping.names import STAR, Template, template
from tfdsl.mapping.section import Take, Weights
from tfdsl.mapping.trees import Change, Planter, Room, Tree, names

Path = tuple[str | int, ...]
MOST = 5_000_000  # comparisons of a key with a name
SHOWN = 4  # names of weights that one diagnostic tells


@dataclass(frozen=True, slots=True)
class Own:
    """One of our weights: its name, the same with counters for its numbers, its shape, and what it is tied to."""

    name: str
    form: str
    shape: tuple[int, ...]
    tied: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """One of our weights: the key of the entry that gives it, and the tree of what it is made of."""

    weight: Own
    key: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: a diagnostic's code and words, and its place below `weights`; `key` where a key is meant."""

    code: str
    message: str
    path: Path
    help: str = ""
    key: bool = False


def plan(section: Weights, own: Iterable[Own], dims: Mapping[str, Any]) -> tuple[tuple[Planned, ...], list[Fault]]:
    """Return what each of our weights is made of, and what is wrong with the section.

    A weight that is tied to another needs no entry; one with an entry is the same tensor under a second name.
    """
    weights, faults = tuple(own), list[Fault]()
    beginning = _by_first(weights)
    if sum(len(beginning.get(_first(key), weights)) for key in section.map) > MOST:
        return (), [
            Fault("E410", f"more than {MOST:,} names would be compared", ("map",), "let one entry take more: `$i`, `*`")
        ]
    planned: dict[str, Planned] = {}
    stray: list[str] = []
    room = Room()
    for key, take in section.map.items():
        ours = template(key, ours=True)
        near = beginning.get(_first(key), () if "$" not in _first(key) and "*" not in _first(key) else weights)
        matched = [(each, gaps) for each in near if (gaps := ours.match(each.name)) is not None]
        if not matched:
            stray.append(key)
        faults += _stars(key, ours, take)
        told: set[str] = set()
        for each, gaps in matched:
            if each.name in planned:
                if not told:
                    faults.append(_twice(key, planned[each.name].key, each))
                told.add("twice")
                continue
            planter = Planter(gaps, dims, each.shape, room)
            try:
                planned[each.name] = Planned(each, key, _fitting(planter.plant(take), each))
            except (ExpressionError, AxesError) as error:
                planned[each.name] = Planned(each, key, Tree)  # type: ignore[arg-type]  (there are faults: none is read)
                if "tree" not in told:
                    faults.append(_untold(key, error))
                told.add("tree")
    open_ = tuple(each for each in weights if each.name not in planned)
    faults += [_nothing(key, open_ or weights) for key in stray]
    faults += _left(open_) if not stray and section.map else []  # a key that is misspelt is one cause
    return tuple(planned.values()), faults


def _first(name: str) -> str:
    return name.partition(".")[0]


def _by_first(weights: tuple[Own, ...]) -> dict[str, list[Own]]:
    """Return the weights by the first part of their names."""
    found: dict[str, list[Own]] = {}
    for each in weights:
        found.setdefault(_first(each.name), []).append(each)
    return found


def _fitting(tree: Tree, weight: Own) -> Tree:
    """Return the tree, where the weight's shape can be what its pattern makes."""
    if isinstance(tree, Change) and tree.pattern is not None and tree.rows is None and tree.at is None:
        tree.pattern.inverse().order(weight.shape, dict(tree.sizes))
    return tree


def _stars(key: str, ours: Template, take: Take) -> list[Fault]:
    lone = [each.text for each in names(take) if ours.starred and not each.starred]
    if not lone:
        return []
    help = f"end it with `*` too, or name the weights of `{key}` one by one"
    return [Fault("D122", f"`{lone[0]}` would be all of `{key}`", ("map", key), help)]


def _nothing(key: str, weights: tuple[Own, ...]) -> Fault:
    forms = list(dict.fromkeys(each.form for each in weights))
    if key.endswith(".*"):
        forms = list(dict.fromkeys(each.rpartition(".")[0] + ".*" for each in forms))
    near = suggest(plain(key), {plain(each): each for each in forms})
    meant = {plain(each): each for each in forms}.get(near or "")
    help = f"did you mean `{meant}`?" if meant else f"there are {_some(forms)}"
    return Fault("D121", f"no weight of this model is called `{key}`", ("map", key), help, key=True)


def _twice(key: str, first: str, weight: Own) -> Fault:
    return Fault("D126", f"`{weight.name}` is given twice", ("map", key), f"`{first}` gives it too", key=True)


def _untold(key: str, error: ExpressionError | AxesError) -> Fault:
    if isinstance(error, AxesError):
        return Fault("D123", str(error), ("map", key))
    if error.code == "E402":
        help = error.help or "it is neither a counter of our name nor a dim"
        return Fault("D122", error.message, ("map", key), help)
    return Fault(error.code, error.message, ("map", key), error.help)


def _left(unplanned: tuple[Own, ...]) -> list[Fault]:
    left = [each for each in unplanned if not each.tied]
    if not left:
        return []
    forms = list(dict.fromkeys(each.form for each in left))
    what = f"{len(left):,} weights have" if len(left) > 1 else f"`{left[0].name}` has"
    help = f"add {_some(forms)}; `{{new: true}}` says that the checkpoint has none"
    return [Fault("D125", f"{what} no entry", ("map",), help, key=True)]


def plain(text: str) -> str:
    """Return a key without what its gaps are called, to compare it with others."""
    pieces = template(text, ours=True).pieces
    return "".join("0" if isinstance(each, Expression) else "*" if each is STAR else str(each) for each in pieces)


def _some(forms: list[str]) -> str:
    shown = ", ".join(f"`{each}`" for each in forms[:SHOWN])
    return shown + (f" and {len(forms) - SHOWN} more" if len(forms) > SHOWN else "")
