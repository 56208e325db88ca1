"""Logs as curves, and curves as pictures."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from tfdsl.cli import main
from tfdsl.watching import curves, picture

ENTRIES = [
    {"step": step, "loss": 3.0 / step, "lr": 1e-3, "norm": 1.0, "tokens": 64 * step, "seconds": step / 2}
    for step in range(1, 41)
]
HELD = [{"step": 20, "held_out": 0.4, "figures": {"bits a byte": 0.5}}, {"step": 20, "held_out": 0.3, "figures": {}}]


def lay(folder: Path, entries: list[curves.Entry]) -> None:
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of a sweep, and one of the same name elsewhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("sweep/a", "sweep/b", "other/a"):
        lay(tmp_path / name, [*ENTRIES[:20], *HELD, *ENTRIES[20:]])
    return tmp_path


def test_points_by_step_tokens_and_seconds() -> None:
    entries = [*ENTRIES[:20], *HELD, *ENTRIES[20:]]
    assert curves.points(entries, "loss")[:2] == [(1, 3.0), (2, 1.5)]
    assert curves.points(entries, "loss", "tokens")[-1] == (64 * 40, 3.0 / 40)
    assert curves.points(entries, "held_out", "seconds") == [(10, 0.3)]  # the later of two at one step
    assert curves.points(entries, "bits a byte") == [(20, 0.5)]
    assert curves.points([{"step": 1, "loss": float("nan")}], "loss") == []


def test_averages_are_even_where_the_curve_is() -> None:
    flat = [(float(x), 2.0) for x in range(500)]
    assert [y for _, y in curves.averaged(flat)] == pytest.approx([2.0] * 500)
    assert len(curves.thinned(flat, 100)) == 100
    assert curves.thinned(flat, 100)[-1] == flat[-1]


def test_averages_do_not_lag_behind_a_loss_that_falls() -> None:
    """Above as many points as below, over each fifth of a short run and of a long one; a line stays what it is."""
    for count in (30, 300, 3000):
        noise = random.Random(0)
        points = [(float(x), 5 * math.exp(-5 * x / count) + noise.gauss(0, 0.2)) for x in range(count)]
        smooth = curves.averaged(points)
        for first in range(0, count, count // 5):
            part = slice(first, first + count // 5)
            above = [one > other for (_, one), (_, other) in zip(smooth[part], points[part], strict=True)]
            assert 0.2 < sum(above) / len(above) < 0.8
    line = [(float(x), 7 - x / 40) for x in range(100)]
    assert [y for _, y in curves.averaged(line)] == pytest.approx([y for _, y in line], rel=1e-9)
    assert [curves.averaged(line[:count]) for count in (0, 1, 3)] == [line[:count] for count in (0, 1, 3)]


def test_runs_are_named_by_as_much_as_tells_them_apart(runs: Path) -> None:
    assert [log.name for log in curves.gather([Path("sweep")])] == ["a", "b"]
    assert [log.name for log in curves.gather([Path("sweep/a"), Path("other")])] == ["sweep/a", "other/a"]


@pytest.mark.usefixtures("pictures")
def test_pictures_and_what_they_say(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "sweep", "-o", "many.svg"]) == 0
    text = Path("many.svg").read_text()
    assert "2 runs" in text and "training loss (nats)" in text
    assert main(["plot", "sweep/a", "-o", "one.png", "--x", "tokens", "--log"]) == 0
    assert Path("one.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert main(["plot", "sweep/a", "--y", "bits_a_byte", "-o", "figure.svg"]) == 0
    assert capfd.readouterr().err == "Wrote many.svg.\nWrote one.png.\nWrote figure.svg.\n"
    assert main(["plot", "sweep/a"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("a: loss (dots: training, averaged; o: held out)\n")
    assert "step 40" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent"], "`absent` is no folder: name a run's folder, or a folder of runs, such as a sweep's"),
        (["."], "`.` holds no run: name a run's folder, or a folder of runs, such as a sweep's"),
        (
            ["sweep/a", "--y", "beauty"],
            "nothing called `beauty` is in the logs. There are: loss, held_out, lr, norm, bits a byte",
        ),
        (["sweep/a", "-o", "a.gif"], "`a.gif` is no picture that can be written: end it in .svg, .png, .pdf"),
        (["sweep/a", "-o", "no/a.svg"], "cannot write `no/a.svg`: the folder `no` is not there"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_what_cannot_be_drawn_is_said(
    runs: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *words]) == 2
    assert capfd.readouterr().err == f"tfdsl: {said}\n"


def test_a_run_that_broke_does_not_flatten_the_rest() -> None:
    lines = [picture.Line("good", [(x, 2.0 + x / 100) for x in range(40)]), picture.Line("bad", [(1, 2.0), (2, 1e9)])]
    (axes,) = picture.of_many("runs", lines, "steps", "loss").axes
    assert axes.get_ylim()[1] < 10
