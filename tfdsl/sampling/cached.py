"""cached: what the sampler does with any cache that a model fills: rows picked, positions forgotten, bytes counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


class Cache(Protocol):
    """What an emitted model keeps of the positions that it has seen: decision 30 says what holds for all of them.

    An entry is a tensor, or several in a tuple, a list or a mapping, each with the rows of the batch along axis 0. What
    an entry says of a position that was seen is never overwritten: a layer writes behind it, or puts another entry.
    """

    length: int
    position: int
    turn: int
    entries: list[Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """A cache as it was between two forwards: its position and the entries that it held. It takes no memory of its own.

    Entries that were put since (a recurrent state, a window laid anew) stay in memory for as long as the mark does.
    """

    position: int
    entries: tuple[Any, ...]


def mark(cache: Cache) -> Mark:
    """Return a mark of a cache, to which `back` can bring it until rows are picked."""
    return Mark(cache.position, tuple(cache.entries))


def back(cache: Cache, since: Mark, count: int) -> int:
    """Forget the last `count` positions that were read since a mark; return how many others are to be read again.

    That is none where entries hold each position by itself. Where one does not (the state of a recurrent layer, a
    window that was laid anew meanwhile), the cache is as it was at the mark, and the caller reads those that stay once
    more. After a forward that raised, `count` of all positions since the mark, which is 0, makes the cache whole again.
    """
    stays = cache.position - count
    if stays < since.position:
        raise ValueError(
            f"{count} positions cannot be forgotten: {cache.position - since.position} came since the mark"
        )
    cache.turn = 0
    if len(cache.entries) == len(since.entries) and all(map(_same, cache.entries, since.entries)):
        cache.position = stays
        return 0
    cache.entries[:] = since.entries
    cache.position = since.position
    return stays - since.position


def pick(cache: Cache, rows_N: Tensor) -> None:
    """Go on with these rows of the batch, in this order; a row may be left out, or taken more than once.

    Every mark that was made before is void.
    """
    cache.entries[:] = [_each(entry, lambda x: x.index_select(0, rows_N)) for entry in cache.entries]


def size(cache: Cache) -> int:
    """Return how many bytes the entries hold, memory that several share counted once."""
    storages = [x.untyped_storage() for entry in cache.entries for x in tensors(entry)]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def tensors(entry: Any) -> Iterator[Tensor]:
    """Yield the tensors of an entry."""
    if isinstance(entry, Tensor):
        yield entry
    elif isinstance(entry, dict):
        for each in entry.values():  # pyright: ignore[reportUnknownVariableType]
            yield from tensors(each)
    elif isinstance(entry, tuple | list):
        for each in entry:  # pyright: ignore[reportUnknownVariableType]
            yield from tensors(each)


def _same(one: Any, other: Any) -> bool:
    return one is other


def _each(entry: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return an entry with each of its tensors changed."""
    if isinstance(entry, Tensor):
        return change(entry)
    if isinstance(entry, dict):
        return {key: _each(each, change) for key, each in entry.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(entry, tuple | list):
        return type(entry)(_each(each, change) for each in entry)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return entry
