"""lookup: guess what comes next from where the newest words stood before in the text."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


class Lookup:
    """A draft without a model: what followed the last n-gram where it stood before, longest n-grams first.

    Saxena, 2023 (prompt lookup decoding); of several places the newest counts. A guess that reaches the end of the text
    goes on in itself, so that what repeats goes on repeating.
    """

    def __init__(self, longest: int) -> None:
        self._sizes = range(longest, 0, -1)
        self._places: dict[tuple[int, ...], int] = {}  # where the newest text behind an n-gram begins
        self._known = 1

    def guess(self, text: Sequence[int], most: int) -> tuple[list[int], list[Tensor | None]]:
        """Return `most` guesses of what follows `text`, or none where its end is new."""
        for place in range(self._known, len(text)):
            for size in self._sizes:
                if size <= place:
                    self._places[tuple(text[place - size : place])] = place
        self._known = len(text)
        for size in self._sizes:
            place = self._places.get(tuple(text[len(text) - size :])) if size < len(text) else None
            if place is not None:
                so_far = list(text)
                while len(so_far) < len(text) + most:
                    so_far.append(so_far[place])
                    place += 1
                return so_far[len(text) :], [None] * most
        return [], []
