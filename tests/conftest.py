"""What every test may ask for, and what none pays for: `--accept` writes golden pages anew from what was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfdsl import disk
from tfdsl.watching import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Hasty(disk.System):
    """A disk that is not waited for: what a power loss takes is asked of a `Recorder`, and a kill takes nothing."""

    def sync(self, path: Path) -> None:
        """Leave it to the system."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write the golden pages and files anew from what was found")


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    """Return whether golden pages are written anew."""
    return bool(request.config.getoption("--accept"))


@pytest.fixture(autouse=True, scope="session")
def hasty() -> Iterator[None]:
    """Wait for no disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "system", Hasty())
        yield


@pytest.fixture
def pictures() -> None:
    """Have the pictures of a test drawn, as they are for people."""


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write pictures empty where a test does not ask for `pictures`: one takes longer than the run that it shows."""

    def save(figure: Figure, *paths: Path) -> list[Path]:
        for path in paths:
            disk.write(path, b"")
        return list(paths)

    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(picture, "save", save)
