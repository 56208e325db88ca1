"""What every test shares: `--accept` writes golden files anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write the golden files anew, then compare")


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    """Return whether golden files are to be written anew."""
    return bool(request.config.getoption("--accept"))
