"""text: the pieces of Python that an emitted file is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfdsl.node import Call


@dataclass(frozen=True, slots=True)
class Made:
    """An instance of a class of the file: what its constructor takes, and what it is given."""

    name: str
    sizes: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.given)})"


def module(
    name: str,
    title: str,
    made: Sequence[str],
    parameters: Sequence[str],
    lines: Sequence[str],
    sizes: Sequence[str] = (),
) -> str:
    """Return the text of a module; `parameters` are those of `forward`, `sizes` those of the constructor."""
    text = [f"class {name}(nn.Module):", f'    """{title}."""', "", f"    def __init__({', '.join(['self', *sizes])}):"]
    text += [f"        {line}" for line in ["super().__init__()", *made]]
    text += ["", f"    def forward({', '.join(parameters)}):"]
    return "\n".join([*text, *(f"        {line}" for line in lines)])


def construct(call: Call) -> str:
    """Return the expression that makes a layer."""
    arguments = [literal(value) for value in call.positional]
    arguments += [f"{name}={literal(value)}" for name, value in call.named.items()]
    return f"{call.layer}({', '.join(arguments)})"


def literal(value: Any) -> str:
    """Return a plain value as Python writes it; a layer is made where it stands."""
    if isinstance(value, Call):
        return construct(value)
    return f'"{value}"' if isinstance(value, str) else repr(value)


def module_list(held: str, order: Sequence[Made]) -> list[str]:
    """Return the lines that make the copies of a repeat: one class several times, or several in turn."""
    names = {each.name for each in order}
    if len({str(each) for each in order}) == 1:
        return [f"self.{held} = nn.ModuleList({order[0]} for _ in range({len(order)}))"]
    if len(names) == 1:
        sizes = ", ".join(order[0].sizes)
        given = [", ".join(each.given) for each in order]
        times, turn = _turn([f"({each})" if ", " in each else each for each in given])
        return [f"self.{held} = nn.ModuleList({names.pop()}({sizes}) for {sizes} in {times}{turn})"]
    if not any(each.given for each in order):
        times, turn = _turn([each.name for each in order])
        return [f"{held} = {turn}", f"self.{held} = nn.ModuleList(layer() for layer in {times}{held})"]
    return [f"self.{held} = nn.ModuleList([{', '.join(map(str, order))}])"]


def _turn(order: list[str]) -> tuple[str, str]:
    """Return how many times a shorter tuple stands in turn (`4 * `, or nothing), and that tuple."""
    period = next(n for n in range(1, len(order) + 1) if len(order) % n == 0 and order == order[:n] * (len(order) // n))
    return "" if period == len(order) else f"{len(order) // period} * ", f"({', '.join(order[:period])})"
