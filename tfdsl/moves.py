"""What a pattern does to a value where it stands: its axes bound to names, and the plan that moves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from tfdsl.axes import led, lost
from tfdsl.node import Ports, Sight
from tfdsl.patterns import REST, Group, Plan, parse
from tfdsl.shapes import Axis, Tensor


class Unfit(ValueError):
    """Why a pattern does not fit a value: the message, the field that is wrong, and what to do."""

    def __init__(self, message: str, field: str = "pattern", help: str = "") -> None:
        super().__init__(message)
        self.field, self.help = field, help


@dataclass(frozen=True, slots=True)
class Moved:
    """The value that a pattern makes, how it is made, and what a position of it depends on.

    `lost` are axes whose padding nobody can tell any more.
    """

    tensor: Tensor
    plan: Plan
    sight: Sight
    lost: tuple[Axis, ...]


def shape(io: Ports, pattern: str, sizes: Mapping[str, int], reduces: bool = False) -> Tensor:
    """Return what `pattern` makes of the value before, or report why it cannot."""
    try:
        moved = move(io.floats(), pattern, sizes, reduces)
    except Unfit as error:
        io.fail("T262", str(error), error.field, help=error.help)
    for axis in moved.lost:
        lost(io, axis)
    return led(io, io.x, moved.tensor)


def move(x: Tensor, pattern: str, sizes: Mapping[str, int], reduces: bool = False) -> Moved:
    """Return what `pattern` makes of `x`. Raises Unfit where it does not fit."""
    said = parse(pattern)
    if len(said.takes) != 1:
        raise Unfit(f"the pattern takes {len(said.takes)} values, and one is given")
    takes = fitted(said.takes[0], x)
    gives = expanded(said.gives, sum(name.startswith(REST) for name in _names(takes)))
    axes = bound(takes, x, sizes)
    _check_names(_names(takes), _names(gives), sizes, reduces)
    split = tuple(axis for group, axis in zip(takes, x.axes, strict=True) if len(group) > 1)
    merged = tuple(axes[name] for group in gives if len(group) > 1 for name in group if name in axes)
    made = replace(x, axes=tuple(_group(group, axes, sizes) for group in gives))
    gone = tuple(axis for axis in (*split, *merged) if axis.keep is not None)
    return Moved(made, _plan(takes, gives, axes, sizes), _sight(takes, gives, axes), gone)


def fitted(groups: tuple[Group, ...], x: Tensor) -> tuple[Group, ...]:
    """Return the groups with `...` replaced by as many names as `x` has axes for. Raises Unfit where they differ."""
    more = len(x.axes) - len(groups)
    if more < -1 or (more and (REST,) not in groups):
        wanted = f"{len(groups)} {'axis' if len(groups) == 1 else 'axes'}"
        raise Unfit(f"the pattern has {wanted} where {x} has {len(x.axes)}")
    return expanded(groups, more + 1)


def expanded(groups: tuple[Group, ...], count: int) -> tuple[Group, ...]:
    """Return the groups with `...` replaced by this many names."""
    rest = tuple((f"{REST}{place}",) for place in range(count))
    place = groups.index((REST,)) if (REST,) in groups else None
    return groups if place is None else (*groups[:place], *rest, *groups[place + 1 :])


def bound(groups: tuple[Group, ...], x: Tensor, sizes: Mapping[str, int]) -> dict[str, Axis]:
    """Return the axis of `x` that each name stands for. Raises Unfit where a size is another, or is not known."""
    found: dict[str, Axis] = {}
    for group, axis in zip(groups, x.axes, strict=True):
        said = group[0] if len(group) == 1 else f"({' '.join(group)})" if group else "1"
        known = prod(sizes[name] for name in group if name in sizes)
        unknown = [name for name in group if name not in sizes]
        if len(unknown) > 1:
            help = f"give `sizes: {{{unknown[0]}: ...}}`"
            raise Unfit(f"`{said}` is {axis} in {x}, and nothing says how it is split", help=help)
        if not unknown and axis.size != known:
            raise Unfit(f"`{said}` is {axis} in {x}, and not {known}", "sizes" if group else "pattern")
        if len(group) == 1:
            found[group[0]] = axis
            continue
        rest = axis.size // known if isinstance(axis.size, int) else axis.size * Fraction(1, known)
        if unknown and (rest * known != axis.size or not (isinstance(rest, int) or rest.whole)):
            raise Unfit(f"`{said}` is {axis} in {x}, which {known} does not divide", "sizes")
        found |= {name: Axis(sizes.get(name, rest)) for name in group}
    return found


def _check_names(left: list[str], right: list[str], sizes: Mapping[str, int], reduces: bool) -> None:
    gone = [name for name in left if name not in right]
    new = [name for name in right if name not in left]
    if reduces and (new or not gone):
        message = f"`{new[0]}` stands only on the right" if new else "nothing stands only on the left"
        raise Unfit(message, help="what is reduced stands only on the left")
    if gone and not reduces:
        raise Unfit(f"`{gone[0]}` stands only on the left", help="`reduce` takes the mean or the sum over an axis")
    unsized = [name for name in new if name not in sizes]
    if unsized:
        help = f"to repeat along it, give `sizes: {{{unsized[0]}: ...}}`"
        raise Unfit(f"`{unsized[0]}` stands only on the right", help=help)
    idle = [name for name in sizes if name not in left and name not in right]
    if idle:
        raise Unfit(f"`sizes` has `{idle[0]}`, which the pattern does not", "sizes")


def _names(groups: tuple[Group, ...]) -> list[str]:
    return [name for group in groups for name in group]


def _group(group: Group, axes: Mapping[str, Axis], sizes: Mapping[str, int]) -> Axis:
    members = [axes[name] if name in axes else Axis(sizes[name]) for name in group]
    return members[0] if len(members) == 1 else Axis(prod((axis.size for axis in members), start=1))


def _plan(
    takes: tuple[Group, ...], gives: tuple[Group, ...], axes: Mapping[str, Axis], sizes: Mapping[str, int]
) -> Plan:
    left, right = _names(takes), _names(gives)
    here = [group for group in takes if group]
    sized = [
        (place, tuple(_length(axes[name]) for name in group)) for place, group in enumerate(here) if len(group) > 1
    ]
    stay = [name for name in left if name in right]
    merged, added, flat = list[tuple[int, int]](), list[int](), 0
    for place, group in enumerate(gives):
        if not group:
            added.append(place)
        elif len(group) > 1:
            merged.append((flat, flat + len(group) - 1))
        flat += len(group)
    return Plan(
        squeezed=tuple(place for place, group in enumerate(takes) if not group),
        split=tuple(sized),
        reduced=tuple(place for place, name in enumerate(left) if name not in right),
        order=tuple(stay.index(name) for name in right if name in stay),
        repeated=tuple((place, sizes[name]) for place, name in enumerate(right) if name not in left),
        merged=tuple(merged),
        added=tuple(added),
    )


def _length(axis: Axis) -> int:
    return axis.size if isinstance(axis.size, int) else -1


def _sight(takes: tuple[Group, ...], gives: tuple[Group, ...], axes: Mapping[str, Axis]) -> Sight:
    """Return `here` where positions stay apart and in order: only features are split, merged or reduced."""
    apart = all(len(group) < 2 for group in (*takes[:-1], *gives[:-1]))
    symbolic = [name for name in _names(takes) if not isinstance(axes[name].size, int)]
    same = symbolic == [name for name in _names(gives) if name in symbolic]
    outer = {name for group in takes[:-1] for name in group}
    return "here" if apart and same and outer <= set(_names(gives)) else "unknown"
