"""The commands that need no torch do without it, and the quick ones without anything else that is slow to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "networkx", "matplotlib", "tokenizers", "safetensors", "numpy", "rich", "typer"}
PROBE = """
import json, sys
from tfdsl.cli import main
code = main(sys.argv[1:])
print("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded(*arguments: str, folder: Path, probe: str = PROBE) -> set[str]:
    """Run a command in a process of its own and return the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return set(names)


GPT2 = str(ROOT / "specs/gpt2.yaml")
COMMANDS = {
    "check": [GPT2],
    "check --json": [GPT2],
    "render": [GPT2, "-o", "gpt2.svg"],
    "cost": [GPT2],
    "compile": [GPT2, "-o", "model.py"],
    "explain": ["T203"],
    "schema": [],
    "kinds": [],
    "kinds attention": [],
    "new": ["gpt"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_torch_stays_out(command: str, tmp_path: Path) -> None:
    assert "torch" not in loaded(*command.split(), *COMMANDS[command], folder=tmp_path)


def test_a_check_imports_nothing_that_is_slow(tmp_path: Path) -> None:
    assert loaded("check", GPT2, folder=tmp_path) & HEAVY == set()


def test_a_check_imports_no_room_that_its_spec_has_no_section_for(tmp_path: Path) -> None:
    probe = PROBE.replace('name.partition(".")[0]', "name")
    rooms = {f"tfdsl.{name}" for name in ("settings", "mapping", "look", "checking.salvage", "checking.foreign")}
    assert loaded("check", GPT2, folder=tmp_path, probe=probe) & rooms == set()
    set_ = loaded("check", GPT2, "--set", "train.steps=2", folder=tmp_path, probe=probe)
    assert set_ & rooms == {"tfdsl.settings"}


def test_importing_tfdsl_imports_nothing(tmp_path: Path) -> None:
    probe = PROBE.replace("from tfdsl.cli import main\ncode = main(sys.argv[1:])", "import tfdsl\ncode = 0")
    assert loaded(folder=tmp_path, probe=probe) & (HEAVY | {"pydantic", "yaml", "click"}) == set()


def test_this_test_can_fail(tmp_path: Path) -> None:
    """A command that does import torch is seen."""
    probe = PROBE.replace("code = main", "import torch\ncode = main")
    assert "torch" in loaded("kinds", folder=tmp_path, probe=probe)
