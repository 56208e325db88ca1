"""Which axis of a value a field means, and what becomes of the padding along axes that are moved."""

from __future__ import annotations

from dataclasses import replace

from tfdsl.node import Ports
from tfdsl.shapes import Axis, Keep, Tensor


def place(io: Ports, x: Tensor, axis: int, field: str = "axis") -> int:
    """Return which axis of `x` is meant, counted from 0; a negative number counts from the end."""
    if not -len(x.axes) <= axis < len(x.axes):
        io.fail("T265", f"{x} has {len(x.axes)} axes, and no axis {axis}", field)
    return axis % len(x.axes)


def led(io: Ports, x: Tensor, made: Tensor) -> Tensor:
    """Return what a node makes of `x` with the padding that can still be told, and a warning about that which cannot.

    Padding is told by a table [B, T], so the first axis must stay the first.
    """
    first = made.axes[0].size if made.axes else 1
    if all(axis.keep is None for axis in made.axes) or (x.axes and x.axes[0].size == first):
        return made
    lost(io, next(axis for axis in made.axes if axis.keep is not None))
    return replace(made, axes=tuple(replace(axis, keep=None) for axis in made.axes))


def lost(io: Ports, axis: Axis) -> None:
    """Warn that from here on nobody knows which positions of `axis` are padding."""
    if axis.keep is not None:
        io.warn(
            "W523",
            f"`{io.name}` loses track of the padding of `{', '.join(axis.keep.inputs)}`",
            label="behind it, padded positions are taken for real ones",
            help="do what must leave padding out before it, or say that there is none: leave out `pad`",
        )


def shifted(keep: Keep | None, before: int = 0, after: int = 0) -> Keep | None:
    """Return the padding of an axis with positions put before and behind (or, below 0, taken away), all of them real.

    None where that cannot be told: behind a cut, a new position would take the place of one that was cut.
    """
    if keep is None or (before > 0 > keep.before) or (after > 0 > keep.after):
        return None
    return replace(keep, before=keep.before + before, after=keep.after + after)


def table(keep: str, axis: int, rank: int) -> str:
    """Return the table of real positions [B, T] as it stands beside a value of `rank` axes whose `axis` it tells of."""
    if axis == 1 and rank == 2:
        return keep
    marks = [":", *("None" for _ in range(axis - 1)), ":", *("None" for _ in range(rank - axis - 1))]
    return f"{keep}[{', '.join(marks)}]"
