"""The pages of `docs/errors/`, a page a code, from the pages that `tfdsl explain` shows: `python -m docs.codes`."""

from __future__ import annotations

from pathlib import Path

from tfdsl import errors

FAMILIES = {
    "Y": "The text",
    "D": "The document, its kinds and fields",
    "T": "Tensors and shapes",
    "N": "Names and references",
    "E": "Expressions and numbers",
    "W": "Warnings",
    "I": "Notes",
    "R": "Runs",
}
HEAD = """# Diagnostics

Each diagnostic has a code that stays the same. `tfdsl explain CODE` shows its page in the terminal.
"""


def documents() -> dict[str, str]:
    """Return the text of every page by the name of its file, the index among them."""
    pages = {f"{code}.md": errors.page(code) or "" for code in errors.codes()}
    index = [HEAD]
    for letter, family in FAMILIES.items():
        rows = [f"| [{code}]({code}.md) | {errors.title(code)} |" for code in errors.codes() if code[0] == letter]
        if rows:
            index.append("\n".join([f"## {family}\n", "| code | what is wrong |", "|---|---|", *rows]) + "\n")
    return pages | {"index.md": "\n".join(index)}


def write(folder: Path) -> None:
    """Write the pages into `folder`, in place of those that are there."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        path.unlink()
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "errors")
