"""What the kinds can say, a file for each room: GROUPS of nodes that differ in one field at a time."""

from importlib import import_module
from pathlib import Path

GROUPS: dict[str, list[str]] = {
    name: nodes
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
    for name, nodes in import_module(f"tests.honoured.{path.stem}").GROUPS.items()
}
