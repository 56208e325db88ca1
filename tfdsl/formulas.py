"""What a kind costs, as formulas: found by counting the kind's example at other sizes, so that they cannot lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import gcd, lcm, prod
from pathlib import Path

from tfdsl import checking, document
from tfdsl.checking import Checked
from tfdsl.node import Flow, Size, Step
from tfdsl.shapes import Longer, Monomial, Poly, Quotient, Tensor, symbol

DEGREE = 2  # of a size in a formula, at most
FACTORS = tuple(map(Fraction, ("1", "2", "4", "8", "1/2", "1/4", "3", "5", "7")))  # what divides, goes on dividing

Count = Mapping[tuple[str, Monomial], Fraction]
"""What was counted at some sizes: a cost or a side of a weight, and the factor of each product of axes in it."""
Powers = Mapping[str | Quotient | Longer, int]
At = Callable[[tuple[int, ...]], Count | None]


@dataclass(frozen=True, slots=True)
class Formulas:
    """What a node takes, gives, declares and costs, in the dims of a spec and in its axes.

    `weights` are names with shapes; `costs` are `parameters`, the `flops` of a forward pass (two for a multiply and
    add), and the `cache` of decoding, in elements.
    """

    takes: tuple[str, ...]
    gives: str
    weights: tuple[tuple[str, str], ...]
    costs: Mapping[str, Size]


@cache
def formulas(text: str, kind: str) -> Formulas | None:
    """Return the formulas of the first node of a kind in a spec without errors; None where no polynomial fits.

    Dims that are whole numbers are varied; what is computed from them follows.
    """
    checked = check(text, {})
    assert checked.ok and checked.spec is not None, f"the example of `{kind}` has errors"
    step = first(checked, kind)
    assert step is not None, f"the example of `{kind}` has none"
    dims = {name: value for name, value in checked.spec.dims.items() if isinstance(value, int)}
    sizes = _fit(text, kind, dims)
    if sizes is None:
        return None
    names = tuple(dims)
    weights = [
        (name, _sides([say(sizes.get(f"{name} {side}", 0), names) for side in range(len(weight.shape))]))
        for name, weight in step.weights.items()
        if not weight.tied
    ]
    takes = tuple(_shape(tensor) for tensor in step.inputs)
    costs = {cost: sizes.get(cost, 0) for cost in ("parameters", "flops", "cache")}
    return Formulas(takes, _shape(step.output), tuple(weights), costs)


def _sides(sides: Sequence[str]) -> str:
    return " × ".join(f"({side})" if " " in side and len(sides) > 1 else side for side in sides) or "1"


def _shape(tensor: Tensor) -> str:
    return f"[{', '.join(axis.label for axis in tensor.axes)}]"


def check(text: str, dims: Mapping[str, int]) -> Checked:
    """Check a spec with some of its dims changed."""
    overrides = [f"dims.{name}={value}" for name, value in dims.items()]
    return checking.run(document.gather_text(text, "<example>", Path(), overrides))


def first(checked: Checked, kind: str) -> Step | None:
    """Return the first node of a kind."""
    return next(
        (step for each in checked.streams.values() for step in _steps(each.flow) if step.node.kind == kind), None
    )


def _steps(flow: Flow) -> Iterator[Step]:
    for step in flow.steps:
        yield step
        for inner in (*step.flows, *(each.flow for each in step.instances)):
            yield from _steps(inner)


def _fit(text: str, kind: str, dims: Mapping[str, int]) -> dict[str, Size] | None:
    """Return each cost, and each side of each weight, as a polynomial that gives what is counted at all sizes tried."""
    counts: dict[tuple[int, ...], Count | None] = {}

    def at(point: tuple[int, ...]) -> Count | None:
        if point not in counts:
            counts[point] = count(check(text, dict(zip(dims, point, strict=True))), kind)
        return counts[point]

    base = tuple(dims.values())
    nodes = [_nodes(at, base, place) for place in range(len(base))]
    if any(not each for each in nodes):
        return None
    grid = {point: at(point) for point in product(*nodes)}
    beyond = tuple(2 * max(each) if len(each) > 1 else each[0] for each in nodes)
    known = {point: count for point, count in grid.items() if count is not None}
    if len(known) < len(grid):
        return None
    names = sorted({name for count in known.values() for name in count}, key=str)
    sizes: dict[str, Size] = {}
    for name, axes in names:
        values = {point: count.get((name, axes), Fraction(0)) for point, count in known.items()}
        sizes[name] = sizes.get(name, 0) + _polynomial(values, nodes, tuple(dims), axes)
    return sizes if _agrees(sizes, at(beyond), dict(zip(dims, beyond, strict=True))) else None


def count(checked: Checked, kind: str) -> Count | None:
    """Count the first node of a kind; None where there is none, or the spec has errors."""
    step = first(checked, kind) if checked.ok else None
    if step is None:
        return None
    own = {name: weight for name, weight in step.weights.items() if not weight.tied}
    work = step.node.work(step)
    sizes: dict[str, Size] = {"parameters": sum(each.count for each in own.values() if each.trained)}
    sizes |= {"flops": work.flops, "cache": work.cache + work.states}
    sizes |= {f"{name} {side}": size for name, weight in own.items() for side, size in enumerate(weight.shape)}
    return {(name, axes): factor for name, size in sizes.items() for axes, factor in _terms(size)}


def _terms(size: Size) -> Sequence[tuple[Monomial, Fraction]]:
    return size.terms if isinstance(size, Poly) else [((), Fraction(size))] if size else []


def _nodes(at: At, base: tuple[int, ...], place: int) -> list[int]:
    """Return as many values of a dim as its degree asks for; none where `DEGREE` is not enough."""
    values: list[int] = []
    counts: list[Count] = []
    for factor in FACTORS:
        value = base[place] * factor
        count = at((*base[:place], int(value), *base[place + 1 :])) if value.denominator == 1 else None
        if count is not None and len(values) < DEGREE + 2:
            values.append(int(value))
            counts.append(count)
    names = {name for count in counts for name in count}
    degree = max((_degree(values, [count.get(name, Fraction(0)) for count in counts]) for name in names), default=0)
    return values[: degree + 1] if len(values) == DEGREE + 2 and degree <= DEGREE else []


def _degree(places: Sequence[int], values: Sequence[Fraction]) -> int:
    """Return the degree of the polynomial through some points, by Newton's divided differences."""
    column, degree = list(values), 0
    for order in range(1, len(values)):
        column = [
            (after - before) / (places[row + order] - places[row])
            for row, (before, after) in enumerate(zip(column, column[1:], strict=False))
        ]
        degree = order if any(column) else degree
    return degree


def _polynomial(
    values: Mapping[tuple[int, ...], Fraction], nodes: Sequence[Sequence[int]], names: Sequence[str], axes: Monomial
) -> Size:
    """Return the polynomial through the values on a grid, times a product of axes (Lagrange, a dim at a time)."""
    factors = dict(values)  # of places on the grid; of powers, once each dim has been turned
    for place, each in enumerate(nodes):
        turned: dict[tuple[int, ...], Fraction] = {}
        shares = _lagrange(each)
        for point, value in factors.items():
            for power, share in enumerate(shares[each.index(point[place])] if value else ()):
                powers = (*point[:place], power, *point[place + 1 :])
                turned[powers] = turned.get(powers, Fraction(0)) + share * value
        factors = turned
    total: Size = 0
    for powers in product(*(range(len(each)) for each in nodes)):
        factor = factors.get(powers, Fraction(0))
        if factor:
            term: Size | Fraction = Poly(((axes, factor),))
            for name, power in zip(names, powers, strict=True):
                for _ in range(power):
                    term = symbol(name) * term
            total = term + total
    return total


def _lagrange(places: Sequence[int]) -> list[list[Fraction]]:
    """Return, for each place, the coefficients of the polynomial that is 1 there and 0 at the others."""
    found: list[list[Fraction]] = []
    for here in places:
        powers = [Fraction(1)]
        for other in places:
            if other != here:
                shifted = [Fraction(0), *powers]
                powers = [
                    (high - other * low) / (here - other)
                    for high, low in zip(shifted, [*powers, Fraction(0)], strict=True)
                ]
        found.append(powers)
    return found


def _agrees(sizes: Mapping[str, Size], count: Count | None, dims: Mapping[str, int]) -> bool:
    """Return whether polynomials give what was counted at sizes that they were not made from."""
    if count is None:
        return False
    axes = {atom for _, monomial in count for atom, _ in monomial}
    lengths = {atom: 97 + 2 * place for place, atom in enumerate(sorted(str(atom) for atom in axes))}
    wanted: dict[str, Fraction] = {}
    for (name, monomial), factor in count.items():
        wanted[name] = wanted.get(name, Fraction(0)) + factor * prod(lengths[str(atom)] ** p for atom, p in monomial)
    found = {name: _value(size, {**lengths, **dims}) for name, size in sizes.items()}
    return all(found.get(name, 0) == value for name, value in wanted.items())


def _value(size: Size, values: Mapping[str, int]) -> Fraction:
    return sum(
        (factor * prod(values[str(atom)] ** power for atom, power in monomial) for monomial, factor in _terms(size)),
        start=Fraction(0),
    )


def say(size: Size, order: Sequence[str] = ()) -> str:
    """Return a size as a formula, what is common to its terms before a bracket: `2·B·T·(d_model + T)`.

    Axes stand first in a product, then the names of `order`.
    """
    terms = _terms(size)
    denominator = lcm(*(factor.denominator for _, factor in terms))
    said = _sum([(dict(monomial), factor * denominator) for monomial, factor in terms], order)
    return said if denominator == 1 else f"({said}) / {denominator}" if " + " in said else f"{said} / {denominator}"


def _sum(terms: Sequence[tuple[Powers, Fraction]], order: Sequence[str]) -> str:
    """Return a sum of products: what all of them have is put before a bracket, then what most of them have."""
    if not terms:
        return "0"
    number = Fraction(gcd(*(factor.numerator for _, factor in terms)))
    number = -number if all(factor < 0 for _, factor in terms) else number
    common = {atom: min(powers.get(atom, 0) for powers, _ in terms) for atom in terms[0][0]}
    rest = [(_less(powers, common), factor / number) for powers, factor in terms]
    if len(rest) == 1:
        return _product(terms[0][0], number, order)
    outer = _product(common, number, order)
    inner = _parted(rest, order)
    return {"1": inner, "-1": f"-({inner})"}.get(outer, f"{outer}·({inner})")


def _parted(terms: Sequence[tuple[Powers, Fraction]], order: Sequence[str]) -> str:
    """Return a sum whose terms have nothing in common, those that share the most frequent name in one bracket."""
    products = [powers for powers, _ in terms if sum(powers.values()) > 1]
    counts = Counter(atom for powers in products for atom in powers if powers[atom])
    shared, count = max(counts.items(), key=lambda item: (item[1], str(item[0])), default=("", 0))
    groups = [[(powers, factor)] for powers, factor in terms]
    if count > 1:
        inside = [term for term in terms if term[0].get(shared) and sum(term[0].values()) > 1]
        outside = [term for term in terms if term not in inside]
        groups = [inside, outside] if outside else [inside]
    if count > 1 and len(groups) == 2 and len(groups[1]) > 1:
        return _added([_sum(groups[0], order), _parted(groups[1], order)])
    return _added([_sum(group, order) for group in groups])


def _added(pieces: Sequence[str]) -> str:
    return " + ".join(pieces).replace("+ -", "- ")


def _less(powers: Powers, common: Powers) -> Powers:
    return {atom: power - common.get(atom, 0) for atom, power in powers.items() if power > common.get(atom, 0)}


def _product(powers: Powers, factor: Fraction, order: Sequence[str]) -> str:
    def place(atom: str | Quotient | Longer) -> tuple[int, str]:
        return (order.index(str(atom)) + 1 if atom in order else 0), str(atom)

    raised = {1: "", 2: "²", 3: "³"}
    atoms = [
        f"{atom}{raised.get(powers[atom], f'^{powers[atom]}')}" for atom in sorted(powers, key=place) if powers[atom]
    ]
    number = [] if factor == 1 and atoms else ["-"] if factor == -1 and atoms else [str(factor)]
    return "·".join([*number, *atoms]).replace("-·", "-")
