"""A new order of a tensor's axes, written as einops writes it: `(h three d) w -> (three h d) w`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

_TOKEN = re.compile(r"\s*(?:(?P<name>[a-z][a-z0-9_]*)|(?P<one>1)|(?P<mark>[()])|(?P<end>\Z)|(?P<other>\S+))")
Group = tuple[str, ...]  # the axes that one axis of the tensor is made of; none: an axis of size 1


class AxesError(ValueError):
    """A pattern that is none, or that does not go with a shape."""


@dataclass(frozen=True, slots=True)
class Order:
    """A rearrangement: reshape to `split`, put the axes in the order `turned`, reshape to `joined`."""

    split: tuple[int, ...]
    turned: tuple[int, ...]
    joined: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, read. `left` and `right` hold a group of names for each axis."""

    text: str
    left: tuple[Group, ...]
    right: tuple[Group, ...]

    @property
    def names(self) -> Group:
        """Return the names of all axes, in the order of the left side."""
        return tuple(name for group in self.left for name in group)

    def inverse(self) -> Pattern:
        """Return the pattern that undoes this one."""
        return Pattern(self.text, self.right, self.left)

    def order(self, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Order:
        """Return what is done to a tensor of `shape`; raises AxesError where it does not fit."""
        if len(shape) != len(self.left):
            raise AxesError(f"`{self.text}` begins with {len(self.left)} axes, the tensor has {list(shape)}")
        known = dict(sizes)
        for group, size in zip(self.left, shape, strict=True):
            self._bind(group, size, known)
        names = self.names
        turned = tuple(names.index(name) for group in self.right for name in group)
        joined = tuple(prod(known[name] for name in group) for group in self.right)
        return Order(tuple(known[name] for name in names), turned, joined)

    def _bind(self, group: Group, size: int, known: dict[str, int]) -> None:
        """Find the size of the one axis in `group` that is not known yet, and compare the whole."""
        unknown = [name for name in group if name not in known]
        rest = prod(known[name] for name in group if name in known)
        if len(unknown) > 1:
            raise AxesError(f"give the sizes of all but one of `{' '.join(unknown)}` in `sizes`")
        if unknown and rest and size % rest == 0:
            known[unknown[0]] = size // rest
        elif unknown or rest != size:
            raise AxesError(f"an axis of {size} is not `{' '.join(group) or 1}` with {rest} in it")


def pattern(text: str) -> Pattern:
    """Return the pattern that `text` says; raises AxesError where it is none."""
    sides = text.split("->")
    if len(sides) != 2:
        raise AxesError("a pattern has two sides, as in `(h d) w -> h d w`")
    left, right = (_groups(side) for side in sides)
    names = [[name for group in side for name in group] for side in (left, right)]
    for side in names:
        twice = [name for name in side if side.count(name) > 1]
        if twice:
            raise AxesError(f"axis `{twice[0]}` stands twice on one side")
    odd = sorted(set(names[0]) ^ set(names[1]))
    if odd:
        raise AxesError(f"axis `{odd[0]}` stands on one side alone")
    return Pattern(text, left, right)


def _groups(side: str) -> tuple[Group, ...]:
    groups: list[Group] = []
    inner: list[str] | None = None
    for token in _TOKEN.finditer(side):
        kind, text = token.lastgroup, token[token.lastgroup or 0].strip()
        if kind == "end":
            break
        if kind == "other" or (text == "(" and inner is not None) or (text == ")" and inner is None):
            raise AxesError(f"`{text}` has no place in a pattern: names, `1` and one level of parentheses do")
        if text == "(":
            inner = []
        elif text == ")":
            groups.append(tuple(inner or ()))
            inner = None
        elif inner is not None:
            inner += [text] if kind == "name" else []
        else:
            groups.append((text,) if kind == "name" else ())
    if inner is not None:
        raise AxesError("a parenthesis is not closed")
    return tuple(groups)
