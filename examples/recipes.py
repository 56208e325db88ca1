"""Train every recipe: each row of the tables in the folders' README.md is a command, and the figure that it reaches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| `(tfdsl train [^`]+)` \| ([^|]+) \| ([≥≤]) ([0-9.]+) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A command, and the held-out figure that must be at least (`≥`) or at most (`≤`) a bound at its end."""

    command: str
    figure: str
    sign: str
    bound: float

    @property
    def folder(self) -> str:
        """Return the folder of the run."""
        return self.command.split(" -o ")[1].split()[0]

    def holds(self, value: float) -> bool:
        """Return whether a value is as good as the recipe says."""
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def recipes(names: list[str]) -> list[Recipe]:
    """Return the recipes of the folders called `names`, or of all; one that starts from another run comes after it."""
    pages = sorted((ROOT / "examples").glob("*/README.md"))
    found = [
        Recipe(row[1], row[2].strip(), row[3], float(row[4]))
        for page in pages
        if not names or page.parent.name in names
        for row in ROW.finditer(page.read_text())
    ]
    return sorted(found, key=lambda each: "--from" in each.command)


def reached(folder: Path, figure: str) -> float:
    """Return a figure of the last measurement of a run."""
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last = [entry for entry in entries if "held_out" in entry][-1]
    value: float = last["held_out"] if figure == "loss" else last["figures"][figure]
    return value


def main(names: list[str]) -> int:
    """Run the recipes one after another, tell each one's figure, and return how many fell short."""
    short = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for each in ("examples", "specs"):
            (place / each).symlink_to(ROOT / each)
        for recipe in recipes(names):
            began = time.monotonic()
            words = [sys.executable, "-m", *recipe.command.split()]
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"fell over    {recipe.command}\n{done.stderr}", flush=True)
                short += 1
                continue
            value = reached(place / recipe.folder, recipe.figure)
            good = recipe.holds(value)
            short += not good
            said = "reached" if good else "FELL SHORT"
            line = f"{recipe.figure} {value:.4g} ({recipe.sign} {recipe.bound:g}), {time.monotonic() - began:.0f} s"
            print(f"{said:<12} {recipe.command}: {line}", flush=True)
    return short


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
