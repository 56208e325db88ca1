"""Every example runs, in a folder that it leaves as it was. The demo, which takes minutes, runs by `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem not in ("demo", "recipes"))
PRINTED = {
    "attention_by_hand": "the same to rounding\n",
    "alone": "{'logits': (1, 6, 30522), 'pooled': (1, 96)}\n",
    "in_python": "467,616 parameters\n",
    "deep_or_wide": "    12    768    124,439,808      284,812,800 ",
    "train_on_these_docs": "after step 150:\n# The ",
}


# Each in a fork of a process that has imported torch: to import it anew takes longer than most of them.
EACH = """
import os, runpy, sys, tfdsl, torch
for path in sys.argv[2:]:
    child = os.fork()
    if child and os.waitpid(child, 0)[1]:
        sys.exit(1)
    if not child:
        os.dup2(os.open(f"{sys.argv[1]}/{os.path.basename(path)}", os.O_WRONLY | os.O_CREAT), 1)
        runpy.run_path(path, run_name="__main__")
        sys.exit()
"""


def test_examples(tmp_path: Path) -> None:
    here, said = tmp_path / "here", tmp_path / "said"
    here.mkdir()
    said.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EACH, str(said), *map(str, EXAMPLES)],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.stem: path.read_text() for path in said.iterdir()}
    assert found.keys() == PRINTED.keys()
    assert [name for name, part in PRINTED.items() if part not in found[name]] == []
    assert list(here.iterdir()) == []
