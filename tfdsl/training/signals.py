"""SIGINT and SIGTERM as an event: a step ends, and the run is saved, before the process does."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Generator

SAME = 5.0  # seconds in which `torchrun` passes on the signal that the terminal has sent to all


class Stopped(threading.Event):
    """Set when the process is told to stop, by the signal of the `number`."""

    number: int | None = None


@contextlib.contextmanager
def caught(several: bool = False) -> Generator[Stopped]:
    """Turn SIGINT and SIGTERM into an event, so that a step ends before the run does; a second one ends it at once.

    With `several` processes, one press of Ctrl-C comes twice: what follows within five seconds is the same.
    """
    stopped = Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    first = 0.0

    def stop(number: int, frame: object) -> None:
        nonlocal first
        first = first or time.monotonic()
        stopped.number = number
        stopped.set()
        if not several or time.monotonic() - first > SAME:
            signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
