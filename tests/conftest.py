"""What every test may ask for: `--accept` writes what was found into the golden pages in place of what they expect."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write the golden pages and files anew from what was found")


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    """Return whether golden pages are written anew."""
    return bool(request.config.getoption("--accept"))
