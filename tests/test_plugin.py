"""A kind of another package, found by its entry point: checked, drawn, costed, compiled and built like ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "plugin"


def install(folder: Path) -> None:
    """Put the package into a folder as an installer does: its files, and what it says of itself."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    shutil.copytree(
        PLUGIN / "tfdsl_bottleneck", folder / "tfdsl_bottleneck", ignore=shutil.ignore_patterns("__pycache__")
    )
    facts = folder / f"tfdsl_bottleneck-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in entries.items()))
    ]
    (facts / "entry_points.txt").write_text("\n".join(points) + "\n")


def test_a_kind_of_another_package_is_used_as_ours_are(tmp_path: Path) -> None:
    install(tmp_path)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PLUGIN / "use.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "there": True,
        "loaded without need": [],
        "a wrong field": """\
error[D102]: unknown field `twise`
  --> <text>:10:29
   |
10 |   - bottleneck: {width: 12, twise: true}
   |                             ^^^^^
help: did you mean `twice`?
""",
        "a wrong shape": """\
error[T290]: 12 features are no bottleneck for 12
  --> <text>:10:25
   |
10 |   - bottleneck: {width: 12, twice: true}
   |                         ^^
""",
        "diagnostics": 0,
        "written": "  - bottleneck: {width: d_model / 3, twice: true}",
        "drawn": True,
        "parameters": 19 * 12 + 4 * 12 * 12 + 2 * 4 * 12,
        "compiled": '''\
class Bottleneck(nn.Module):
    """Adds to each position what a narrow matrix, ReLU and a wide matrix make of it: x_BTD -> x_BTD."""

    def __init__(self, width, middle):
        super().__init__()
        self.down = nn.Linear(width, middle, bias=False)
        self.up = nn.Linear(middle, width, bias=False)

    def forward(self, x_BTD):
        h_BTF = F.relu(self.down(x_BTD))
        h_BTF = h_BTF.square()
        return x_BTD + self.up(h_BTF)''',
        "without torch": True,
        "built": 19 * 12 + 4 * 12 * 12 + 2 * 4 * 12,
        "costed as PyTorch counts": [True, True],
        "gives": [2, 5, 19],
        "others compile without it": True,
    }
