"""Rows of different lengths in batches: of like length together, and none too large for the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

POSITIONS = 4096  # of a batch, its padding among them


def batches(lengths: Sequence[int], alike: bool = False, positions: int = POSITIONS) -> Iterator[list[int]]:
    """Yield which rows are read together; rows of different lengths are only where they need not be `alike`."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        other = bool(batch) and alike and lengths[row] != lengths[batch[0]]
        if batch and (other or (len(batch) + 1) * lengths[row] > positions):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
