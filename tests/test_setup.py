"""`.ci/setup`: what it says where there is no Python that will do, and that it leaves a current environment alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder that holds what setup reads, and an empty PATH but for the shell's own tools."""
    (tmp_path / ".ci").mkdir()
    for name in (".ci/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cat", "cksum", "dirname", "rm", "uname", "awk", "tail", "tee", "sleep"):
        found = shutil.which(tool)
        assert found is not None, tool
        (tools / tool).symlink_to(found)
    return tmp_path


def setup(house: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run setup with nothing on the PATH but `tools`."""
    environment = {"PATH": str(house / "tools"), "TORCH_INDEX": "", **environment}
    return subprocess.run(
        ["sh", ".ci/setup"], cwd=house, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def interpreter(house: Path, name: str, script: str) -> None:
    """Put a program that pretends to be a Python on the PATH."""
    path = house / "tools" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


OLD = 'case "$2" in *print*) echo 3.8.1;; *) exit 1;; esac'
WITHOUT_VENV = 'case "$2" in *print*) echo 3.12.4;; *ensurepip*) exit 1;; esac'
SHIM = "echo 'pyenv: python3: command not found' >&2; exit 127"


def test_no_python(house: Path) -> None:
    result = setup(house)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "setup: no Python was found. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3.12\n"
    )


def test_a_python_that_is_too_old(house: Path) -> None:
    interpreter(house, "python3", OLD)
    interpreter(house, "python3.13", SHIM)
    result = setup(house)
    assert result.returncode == 1
    assert result.stderr == (
        "setup: Python 3.11 or newer is needed; found python3 (3.8.1). "
        "Install one, or name it: make setup PYTHON=/path/to/python3.12\n"
    )


def test_a_python_without_venv(house: Path) -> None:
    interpreter(house, "python3", OLD)
    interpreter(house, "python3.12", WITHOUT_VENV)
    result = setup(house)
    assert result.returncode == 1
    assert result.stderr == (
        "setup: python3.12 (3.12.4) cannot make virtual environments. "
        "On Debian and Ubuntu: sudo apt install python3-venv\n"
    )


def test_the_python_that_was_named_is_not_there(house: Path) -> None:
    result = setup(house, PYTHON="/nowhere/python3")
    assert result.returncode == 1
    assert result.stderr.startswith("setup: no Python was found at /nowhere/python3. ")


def test_a_failed_installation_says_where_the_log_is_and_leaves_no_stamp(house: Path) -> None:
    (house / "constraints.txt").write_text("setuptools==0.0.0.dev1\n")
    result = setup(house, PYTHON=sys.executable, PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull)
    assert result.returncode == 1
    assert (
        "setup: pip could not install what is pinned in constraints.txt (the whole log: .venv/setup.log)"
        in result.stderr
    )
    assert not (house / ".venv/.ready").exists()


def test_a_current_environment_is_left_alone(house: Path) -> None:
    """The stamp names what the environment was made from; anything else in it is not looked at."""
    python = house / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    inputs = b"".join((house / name).read_bytes() for name in ("pyproject.toml", "constraints.txt", ".ci/setup"))
    checksum = subprocess.run(["cksum"], input=inputs, capture_output=True, check=True).stdout.decode().strip()
    (house / ".venv/.ready").write_text(f"{house.resolve()} {checksum}\n")
    assert setup(house).returncode == 0
    (house / "constraints.txt").write_text("changed\n")
    assert "no Python was found" in setup(house).stderr
