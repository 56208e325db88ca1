"""How many threads to train with, where the wall clock decides: all of torch's, or one when others use the machine."""

from __future__ import annotations

from collections.abc import Callable

FIRST = 2  # steps before the first trial
TRIED = 2  # steps of a trial
PAUSE = 10.0  # seconds before the next trial, doubled each time that nothing came of one
HOPELESS = 3.0  # a trial's step that takes this many times as long ends it


class Pace:
    """Choose between one thread and `most` by how long steps take.

    Two threads that share one core are slower than one, up to ten times: each waits, busily, for the other. Now
    and then the count that is not in use is tried for two steps, and kept if they are faster. `use` sets a count.
    """

    def __init__(self, most: int, use: Callable[[int], None]) -> None:
        self._use, self._other, self.threads = use, most, 1
        self._mean, self._steps, self._since, self._pause = 0.0, 0, 0.0, PAUSE
        self._trial: list[float] | None = None
        use(1)

    def stepped(self, seconds: float) -> None:
        """Hear how long a step took; try another count, or change to it, where it is due."""
        if self._other == self.threads:
            return
        if self._trial is not None:
            self._trial.append(seconds)
            if len(self._trial) == TRIED or seconds > HOPELESS * self._mean:
                self._decide(min(self._trial))
            return
        self._steps, self._since = self._steps + 1, self._since + seconds
        self._mean = seconds if self._steps == 1 else 0.7 * self._mean + 0.3 * seconds
        if self._steps == FIRST or self._since > self._pause:
            self._trial = []
            self._use(self._other)

    def _decide(self, best: float) -> None:
        if best < self._mean:
            self.threads, self._other = self._other, self.threads
            self._mean, self._pause = best, PAUSE
        else:
            self._use(self.threads)
            self._pause *= 2
        self._trial, self._since = None, 0.0
