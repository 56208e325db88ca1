"""The next step's batches, made in a thread while the model learns from this one's."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """What `make` returns for step after step, each made while the one before it is used.

    `make` must be a function of the step, and is called for one step at a time, never for `last` or beyond. `waiting`
    counts the seconds that `take` waited. Steps may be taken in any order; those in sequence are made ahead.
    """

    def __init__(self, make: Callable[[int], Made], last: int) -> None:
        self._make, self._last = make, last
        self._pool = ThreadPoolExecutor(1, "tfdsl-prefetch")
        self._next: tuple[int, Future[Made]] | None = None
        self.waiting = 0.0

    def take(self, step: int) -> Made:
        """Return what was made for `step`, and begin with the next. Raises what `make` raised."""
        began = time.monotonic()
        if self._next is None or self._next[0] != step:
            self._forget()
            self._next = step, self._pool.submit(self._make, step)
        made = self._next[1].result()
        self.waiting += time.monotonic() - began
        following = step + 1
        self._next = (following, self._pool.submit(self._make, following)) if following < self._last else None
        return made

    def _forget(self) -> None:
        if self._next is not None:
            self._next[1].cancel()
            self._next = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is being made, and end the thread."""
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)
