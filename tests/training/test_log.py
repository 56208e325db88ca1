"""The log keeps what was written, drops what a resumed run repeats, and becomes a picture."""

from pathlib import Path

import pytest

from tfdsl.training.log import Log, draw, read

ENTRIES = [{"step": step, "loss": 3.0 / step} for step in range(1, 40)] + [{"step": 20, "held_out": 0.2}]


def test_entries_come_back(tmp_path: Path) -> None:
    with Log(tmp_path / "log.jsonl", 0) as log:
        for entry in ENTRIES:
            log.write(entry)
    assert read(tmp_path / "log.jsonl") == ENTRIES


def test_a_resumed_log_drops_what_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\n{"step": 3, "lo')
    with Log(path, 1) as log:
        log.write({"step": 2, "loss": 1})
    assert read(path) == [{"step": 1, "loss": 3}, {"step": 2, "loss": 1}]


@pytest.mark.usefixtures("pictures")
def test_the_curve_is_drawn(tmp_path: Path) -> None:
    svg, png = draw(ENTRIES, tmp_path, "nano")
    assert png.read_bytes().startswith(b"\x89PNG\r\n")
    text = svg.read_text()
    assert text.rstrip().endswith("</svg>")
    assert "nano" in text
