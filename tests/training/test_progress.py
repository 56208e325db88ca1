"""What a person sees of a training run."""

import io
import re

from rich.console import Console

from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.training.meter import Use
from tfdsl.training.progress import Bar, clock
from tfdsl.training.task import Measured


def test_durations() -> None:
    assert [clock(seconds) for seconds in (0, 9.6, 65, 3599.7, 7384)] == ["0:00", "0:10", "1:05", "1:00:00", "2:03:04"]


def test_off_a_terminal_each_measurement_is_a_line() -> None:
    out = io.StringIO()
    with Bar(100, Console(file=out, width=40)) as bar:
        bar.stepped(50, loss=2.5, speed=12345.6, done=0.5, left=83)
        bar.measured(50, Measured(2.25, 1000, {"bits a byte": 1.5}))
    assert out.getvalue() == "step 50 · held out 2.250 (1.5 bits a byte) · 12,346 tokens/s · 1:23 left\n"


def test_the_share_of_the_peak_and_of_waiting_stand_beside_the_speed() -> None:
    out = io.StringIO()
    with Bar(100, Console(file=out, width=40)) as bar:
        for waiting in (0.001, 0.25):
            bar.used(Use(12345.6, 4e10, 0.52, waiting))
            bar.stepped(100, loss=2.5, speed=12345.6, done=0.5, left=83)
            bar.measured(50, Measured(2.25, 1000))
    assert out.getvalue() == (
        "step 50 · held out 2.250 · 12,346 tokens/s · 52 % of peak · 1:23 left\n"
        "step 50 · held out 2.250 · 12,346 tokens/s · 52 % of peak · 25 % waiting for data · 1:23 left\n"
    )


def test_a_warning_is_shown_before_the_first_step_and_once() -> None:
    out = io.StringIO()
    warning = Diagnostic("W575", "a step needs about 2.0 GiB of memory", Span("small.yaml", 1, 8, 1, 9), "batch")
    with Bar(100, Console(file=out, width=40), {"small.yaml": "batch: 9\n"}) as bar:
        bar.warned([warning])
    assert out.getvalue().startswith("warning[W575]: a step needs about 2.0 GiB of memory\n --> small.yaml:1:8\n")
    assert bar.said == [warning]


def test_on_a_terminal_there_is_a_bar() -> None:
    out = io.StringIO()
    with Bar(100, Console(file=out, width=120, force_terminal=True, color_system=None)) as bar:
        bar.measured(40, Measured(2.25, 1000, {"bits a byte": 1.5}))
        bar.stepped(50, loss=2.5, speed=12345.6, done=0.5, left=83)
    last = [line for line in out.getvalue().replace("\r", "\n").splitlines() if "step 50" in line][-1]
    assert "step 50 · 50% ━" in last
    assert "loss 2.500 · held out 2.250 (1.5 bits a byte) · 12,346 tokens/s · 1:23 left" in last


def test_a_narrow_terminal_shows_what_matters_most() -> None:
    lines = []
    for width in (50, 80, 140):
        out = io.StringIO()
        with Bar(100, Console(file=out, width=width, force_terminal=True, color_system=None)) as bar:
            bar.measured(40, Measured(2.25, 1000, {"bits a byte": 1.5}))
            bar.used(Use(12345.6, 4e10, 0.52, 0.001))
            bar.stepped(100, loss=2.5, speed=12345.6, done=0.5, left=83)
        last = [line for line in out.getvalue().replace("\r", "\n").splitlines() if "step 100" in line][-1]
        lines.append(re.sub("[━╸╺ ]*[━╸╺]+ *", " | ", last.removeprefix("\x1b[2K")))
    assert lines == [
        "step 100 · 50% | loss 2.500 · 1:23 left",
        "step 100 · 50% | loss 2.500 · held out 2.250 · 12,346 tokens/s · 1:23 left",
        "step 100 · 50% | loss 2.500 · held out 2.250 (1.5 bits a byte) · 12,346 tokens/s · 52 % of peak · 1:23 left",
    ]
