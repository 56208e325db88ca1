"""Every page with commands says what the commands print: the README, the tour, and the command line's own pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sessions import ROOT, replay

PAGES = [ROOT / "README.md", ROOT / "docs/tour.md", *sorted((ROOT / "tests/cli").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, accept: bool) -> None:
    written = page.read_text(encoding="utf-8")
    found = replay(written, tmp_path)
    if accept:
        page.write_text(found, encoding="utf-8")
    assert found == written or accept


def test_a_page_that_lies_is_caught(tmp_path: Path) -> None:
    page = "```console\n$ echo one\ntwo\n$ exit 3\n```\n"
    assert replay(page, tmp_path) == "```console\n$ echo one\none\n$ exit 3\n[exit 3]\n```\n"
