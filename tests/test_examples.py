"""Every example runs, in a process and a folder of its own. The demo, which takes minutes, runs by `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem not in ("demo", "recipes"))
PRINTED = {
    "attention_by_hand": "the same to rounding\n",
    "alone": "{'logits': (1, 6, 30522), 'pooled': (1, 96)}\n",
    "in_python": "467,616 parameters\n",
    "deep_or_wide": "    12    768    124,439,808      284,812,800 ",
    "train_on_these_docs": "after step 150:\n# The ",
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert PRINTED[path.stem] in done.stdout
    assert list(tmp_path.iterdir()) == []
