"""The commands that need no torch do without it, and the quick ones without anything else that is slow to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "networkx", "matplotlib", "tokenizers", "safetensors", "numpy", "rich", "typer"}
PROBE = """
import json, sys
from tfdsl.cli import main
codes = [main(line.split("|")) for line in sys.argv[1:]]
print("\\n" + json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded(*commands: str, folder: Path, probe: str = PROBE) -> set[str]:
    """Run commands, their words joined by `|`, in a process of their own; return the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", probe, *commands],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    codes, names = json.loads(done.stdout.splitlines()[-1])
    assert not any(codes), done.stdout + done.stderr
    return set(names)


GPT2 = str(ROOT / "specs/gpt2.yaml")


def test_torch_stays_out(tmp_path: Path) -> None:
    """All in one process: which of them it was, each alone tells."""
    commands = (
        f"check|{GPT2}",
        f"check|--json|{GPT2}",
        f"render|{GPT2}|-o|gpt2.svg",
        f"cost|{GPT2}",
        f"compile|{GPT2}|-o|model.py",
        "explain|T203",
        "schema",
        "kinds",
        "kinds|attention",
        "new|gpt",
    )
    assert "torch" not in loaded(*commands, folder=tmp_path)


def test_a_check_imports_nothing_that_is_slow_and_no_room_that_its_spec_has_no_section_for(tmp_path: Path) -> None:
    probe = PROBE.replace('name.partition(".")[0]', "name")
    rooms = {f"tfdsl.{name}" for name in ("settings", "mapping", "look", "checking.salvage", "checking.foreign")}
    assert loaded(f"check|{GPT2}", folder=tmp_path, probe=probe) & (HEAVY | rooms) == set()
    set_ = loaded(f"check|{GPT2}|--set|train.steps=2", folder=tmp_path, probe=probe)
    assert set_ & rooms == {"tfdsl.settings"}


def test_importing_tfdsl_imports_nothing(tmp_path: Path) -> None:
    probe = PROBE.replace("from tfdsl.cli import main", "import tfdsl")
    assert loaded(folder=tmp_path, probe=probe) & (HEAVY | {"pydantic", "yaml", "click"}) == set()


def test_this_test_can_fail(tmp_path: Path) -> None:
    """A command that imports what is called torch is seen."""
    (tmp_path / "torch.py").touch()
    assert "torch" in loaded("kinds", folder=tmp_path, probe=PROBE.replace("codes =", "import torch\ncodes ="))
