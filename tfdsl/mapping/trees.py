"""What an entry of the `weights` section says of one weight, its gaps filled and its expressions numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tfdsl.expressions import ExpressionError
from tfdsl.mapping.axes import Pattern, pattern
from tfdsl.mapping.names import Gaps, Template, number, template, whole
from tfdsl.mapping.section import Take

MOST = 100_000  # tensors that all entries name


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor of the checkpoint. `also` names others that may be there and are the same."""

    name: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """Parts joined along the first axis; `heights` are their rows, where they are said."""

    parts: tuple[Tree, ...]
    heights: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """Parts set on top of each other along a new first axis."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The first part whose tensors the checkpoint has."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """A number throughout, which no tensor gives."""

    value: float


@dataclass(frozen=True, slots=True)
class New:
    """What the model itself started with."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to `inner`, in the order of the fields."""

    inner: Tree
    transpose: bool = False
    pattern: Pattern | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    rows: tuple[int, int] | None = None
    at: int | None = None
    scale: float = 1.0
    add: float = 0.0


Tree = Leaf | Join | Stack | Either | Fill | New | Change


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Yield every tensor that a tree may read."""
    match tree:
        case Leaf():
            yield tree
        case Join() | Stack() | Either():
            for part in tree.parts:
                yield from leaves(part)
        case Change():
            yield from leaves(tree.inner)
        case Fill() | New():
            pass


def partial(tree: Tree) -> bool:
    """Return whether a tree takes only a part of a tensor somewhere."""
    match tree:
        case Join() | Stack() | Either():
            return any(partial(part) for part in tree.parts)
        case Change():
            return tree.rows is not None or tree.at is not None or partial(tree.inner)
        case _:
            return False


class Room:
    """How many more tensors the entries of a section may name, so that no section takes long."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self) -> None:
        """Make room for one tensor more; raises ExpressionError where there is none."""
        self.left -= 1
        if self.left < 0:
            raise ExpressionError(f"the entries name more than {MOST:,} tensors", 0, 0, code="E410")


@dataclass(frozen=True)
class Planter:
    """Makes trees of entries. `dims` are the spec's numbers; `shape` is that of the weight which the tree fills."""

    gaps: Gaps
    dims: Mapping[str, Any]
    shape: tuple[int, ...]
    room: Room

    def plant(self, take: Take, top: bool = True) -> Tree:
        """Return the tree of an entry; raises ExpressionError where a name in it has no value."""
        tree = self._source(take, top)
        changed = take.transpose or take.rearrange or take.rows or take.at is not None
        if not changed and take.scale == 1 and take.add == 0:
            return tree
        scale = float(number(take.scale, self.gaps, self.dims))
        if scale == 0:
            help_ = "`fill: 0` is a weight that is 0 throughout"
            raise ExpressionError(
                "`scale: 0` makes every tensor 0, and export could not turn it round", 0, 0, help_, "E405"
            )
        return Change(
            tree,
            take.transpose,
            pattern(take.rearrange) if take.rearrange else None,
            tuple((name, self._whole(size)) for name, size in take.sizes.items()),
            (self._whole(take.rows[0]), self._whole(take.rows[1])) if take.rows else None,
            None if take.at is None else self._whole(take.at),
            scale,
            float(number(take.add, self.gaps, self.dims)),
        )

    def _source(self, take: Take, top: bool) -> Tree:
        if take.new:
            return New()
        if take.fill is not None:
            return Fill(float(number(take.fill, self.gaps, self.dims)))
        if take.either is not None:
            return Either(tuple(self.plant(each, top) for each in take.either))
        if take.stack is not None:
            return self._stack(take, top)
        return self._of(take.from_, take)

    def _of(self, source: Any, take: Take) -> Tree:
        if isinstance(source, str):
            self.room.take()
            return Leaf(self._name(source), tuple(self._name(each) for each in take.also))
        if isinstance(source, Take):
            return self.plant(source, top=False)
        parts = tuple(self.plant(each, top=False) for each in source)
        return Join(parts, tuple(self._whole(each) for each in take.heights or ()))

    def _stack(self, take: Take, top: bool) -> Tree:
        over = take.over or self._unbound(take.stack)
        if take.times is not None:
            times = self._whole(take.times)
        elif top and not (take.transpose or take.rearrange or take.rows or take.at is not None):
            times = self.shape[0]
        else:
            raise ExpressionError("say how many there are with `times`", 0, 0, code="D124")
        parts = list[Tree]()
        for index in range(times):
            inner = replace(self, gaps=Gaps({**self.gaps.numbers, over: index}, self.gaps.rest))
            parts.append(inner._of(take.stack, Take.model_construct()))
        return Stack(tuple(parts))

    def _unbound(self, source: Any) -> str:
        """Return the one counter of a stacked source that our name does not have."""
        found = sorted({name for each in names(source) for name in each.names if name not in self.gaps.numbers})
        found = [name for name in found if name not in self.dims]
        if len(found) != 1:
            raise ExpressionError("say which counter is stacked with `over`", 0, 0, code="D124")
        return found[0]

    def _name(self, text: str) -> str:
        each = template(text)
        if each.starred and not self.gaps.rest:
            raise ExpressionError("there is no `*` in our name, so none can stand here", 0, 0, code="D122")
        return each.filled(self.gaps, self.dims)

    def _whole(self, value: Any) -> int:
        return whole(value, self.gaps, self.dims)


def names(source: Any) -> Iterator[Template]:
    """Yield every name of a tensor in a source, its gaps open."""
    if isinstance(source, str):
        yield template(source)
    elif isinstance(source, Take):
        for each in (source.from_, source.stack, *(source.either or ())):
            if each is not None:
                yield from names(each)
        yield from (template(name) for name in source.also)
    else:
        for each in source:
            yield from names(each)
