"""einsum: the sum of products of two values over the axes that the result does not have (Einstein's convention)."""

from __future__ import annotations

from math import prod
from string import ascii_lowercase, ascii_uppercase

from pydantic import Field

from tfdsl.axes import led
from tfdsl.moves import Unfit, expanded, fitted
from tfdsl.node import Node, Ports, Sight, Size, Step, Work, Writer
from tfdsl.parts import Name, needed
from tfdsl.patterns import REST, Group, Written, parse
from tfdsl.shapes import Axis, Tensor


class Einsum(Node):
    """Multiplies two values and sums over the axes that the result does not have: `b h t k, b h s k -> b h t s`.

    The two are those that `from` names, `from: [q, k]`, or the value before and the one that `with` names. An axis with
    one name in both must have one size in both, and the checker must be able to prove it.
    """

    headline = "pattern"
    title = "Einsum"
    example = """
    dims: {heads: 8, head_dim: 64}
    inputs: 
      q: {shape: [B, heads, T, head_dim], dtype: float}
      k: {shape: [B, heads, S, head_dim], dtype: float}
    model:
      - einsum: {from: [q, k], pattern: "b h t k, b h s k -> b h t s"}
    """
    reads = ("from", "with")
    pattern: Written = needed(
        description="Names for the axes of the first value, a comma, those of the second, `->`, those of the result. "
        "An axis that the result lacks is summed over."
    )
    other: Name | None = Field(None, alias="with", description="The second value, where `from` does not name both.")

    def shape(self, io: Ports) -> Tensor:
        values = operands(io, self.other)
        try:
            sides = _sides(self.pattern, values)
        except Unfit as error:
            io.fail("T262", str(error), "pattern", help=error.help)
        axes: dict[str, Axis] = {}
        for names, value in zip(sides[:-1], values, strict=True):
            for name, axis in zip(names, value.axes, strict=True):
                first = axes.setdefault(name, axis)
                if first.size != axis.size:
                    message = f"`{name}` is {first} in {values[0]} and {axis} in {value}"
                    io.fail("T263", message, "pattern", notes=io.origin(axis, f"it is {axis} here"))
        for name in sides[-1]:
            if name not in axes:
                io.fail("T262", f"`{name}` stands only on the right", "pattern")
        _padding(io, sides, values)
        return led(io, values[0], Tensor(tuple(axes[name] for name in sides[-1])))

    def sides(self, step: Step) -> tuple[tuple[str, ...], ...]:
        """Return the names of the axes of the two values and of the result."""
        return _sides(self.pattern, both(step))

    def work(self, step: Step) -> Work:
        left, right, gives = self.sides(step)
        sizes = {name: axis.size for names, value in zip((left, right), both(step), strict=True)
                 for name, axis in zip(names, value.axes, strict=True)}  # fmt: skip
        summed = [name for name in left if name in right and name not in gives]
        flops: Size = 2 * prod((sizes[name] for name in {*gives, *summed}), start=1) if summed else 0
        return Work(flops=flops, entering=flops, needs=("x", _second(step)))

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        left, right, gives = self.sides(step)
        letters = _letters([*left, *right])
        said = ["".join(letters[name] for name in names) for names in (left, right, gives)]
        w.let(f'torch.einsum("{said[0]}, {said[1]} -> {said[2]}", {w.x}, {w.value(_second(step))})')

    def sight(self, step: Step) -> Sight:
        """Return `here` where each position of the first value meets its own position of the second, or a weight."""
        left, right, gives = self.sides(step)
        lead = left[:-1]
        stay = tuple(name for name in gives if name in lead) == lead
        fixed = all(isinstance(size, int) for size in both(step)[1].sizes)
        beside = right[: len(lead)] == lead or (fixed and not set(lead) & set(right))
        return "here" if lead and stay and beside and gives[: len(lead)] == lead else "unknown"

    def facts(self, step: Step) -> str:
        return self.pattern


def operands(io: Ports, other: str | None) -> tuple[Tensor, Tensor]:
    """Return the two values, which must be numbers."""
    found = (*io.sources, *([io.value("with")] if other is not None else []))
    if len(found) != 2:
        help = "name both, `from: [q, k]`, or the second: `with: k`"
        io.fail("N307", f"`{io.name}` takes two values, and has {len(found)}", "from" if io.sources else "", help=help)
    for value in found:
        if value.dtype != "float":
            io.fail("T205", f"`{io.name}` works on numbers, and {value} holds ids", help="embed the ids first: `embed`")
    return found[0], found[1]


def _padding(io: Ports, sides: tuple[tuple[str, ...], ...], values: tuple[Tensor, ...]) -> None:
    """Warn of a sum over an axis whose padding nothing has left out: it is told of in every value that has the axis."""
    summed: dict[str, list[Axis]] = {}
    for names, value in zip(sides[:-1], values, strict=True):
        for name, axis in zip(names, value.axes, strict=True):
            if name not in sides[-1]:
                summed.setdefault(name, []).append(axis)
    for name, axes in summed.items():
        padded = [axis.keep for axis in axes if axis.keep is not None]
        if len(padded) == len(axes):
            told = ", ".join(dict.fromkeys(each for keep in padded for each in keep.inputs))
            message = f"the sum over `{name}` counts the padding of `{told}`"
            io.warn("W584", message, "pattern", help="shares that `softmax` makes over this axis leave padding out")


def both(step: Step) -> tuple[Tensor, Tensor]:
    """Return the two values of a step."""
    return step.x, step.reads[_second(step)].tensor


def _second(step: Step) -> str:
    return "with" if "with" in step.reads else "from.1"


def _sides(pattern: str, values: tuple[Tensor, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the axes of each value and of the result. Raises Unfit where they do not fit."""
    said = parse(pattern)
    if len(said.takes) != len(values):
        raise Unfit(f"the pattern has {len(said.takes)} values before `->`, and there are {len(values)}")
    takes = [fitted(groups, value) for groups, value in zip(said.takes, values, strict=True)]
    rests = {sum(group[:1] != () and group[0].startswith(REST) for group in groups) for groups in takes} - {0}
    if len(rests) > 1:
        raise Unfit("`...` stands for another number of axes in each value")
    sides = [*takes, expanded(said.gives, max(rests, default=0))]
    return tuple(tuple(_single(group) for group in groups) for groups in sides)


def _single(group: Group) -> str:
    if len(group) != 1:
        said = f"({' '.join(group)})" if group else "1"
        raise Unfit(f"`einsum` knows no `{said}`", help="split and merge axes with `rearrange`")
    return group[0]


def _letters(names: list[str]) -> dict[str, str]:
    """Return a letter for each name: its own first letter where that is free."""
    found: dict[str, str] = {}
    for name in names:
        if name not in found:
            own = [name[0]] if name[0].isalpha() else []
            free = (each for each in (*own, *ascii_lowercase, *ascii_uppercase) if each not in found.values())
            found[name] = next(free)
    return found
