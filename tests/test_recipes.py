"""Every recipe's page states a figure for a command, and its spec is sound."""

from __future__ import annotations

from pathlib import Path

import pytest

import tfdsl
from examples.recipes import Recipe, recipes

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/README.md"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_each_spec_has_a_command_and_is_sound(folder: Path) -> None:
    commands = [recipe.command for recipe in recipes([folder.name])]
    for spec in sorted(folder.glob("*.yaml")):
        assert any(str(spec.relative_to(ROOT)) in command for command in commands)
        checked = tfdsl.check(spec)
        assert checked.ok, checked.diagnostics
        assert [each.code for each in checked.diagnostics] == []
    for command in commands:
        assert (ROOT / command.split()[2]).is_file()


def test_a_row_is_read() -> None:
    recipe = Recipe("tfdsl train examples/dates/transformer.yaml -o runs/dates", "exact match", "≥", 0.99)
    assert recipe in recipes(["dates"])
    assert (recipe.folder, recipe.holds(0.99), recipe.holds(0.98)) == ("runs/dates", True, False)
