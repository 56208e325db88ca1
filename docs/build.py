"""Write the pages that are made from the code: kinds, errors, map, schema, figure. `--check` says which are stale."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import tfdsl
from docs import codes
from tfdsl import node, nodes, reference, schema
from tfdsl.diagram import engines
from tfdsl.settings import Sample, Train
from tfdsl.spec import Init

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = "<!-- Made by `make docs` from {}: change it there. -->\n"


def pages() -> dict[Path, str]:
    """Return every page that is made, by its path."""
    made = {DOCS / "map.md": _map(), ROOT / "specs/tfdsl.schema.json": schema.text()}
    made |= {DOCS / f"kinds/{name}.md": _kind(reference.kind(name)) for name in node.kinds()}
    made[DOCS / "kinds/index.md"] = _kinds()
    made[ROOT / "tfdsl/nodes/__init__.pyi"] = _stub()
    made |= {DOCS / "errors" / name: text for name, text in codes.documents().items()}
    made[DOCS / "settings.md"] = _settings()
    return made


def figure() -> str:
    """Return the README's figure as SVG."""
    checked = tfdsl.check(ROOT / "specs/transformer.yaml")
    return engines.render(tfdsl.draw(checked), "svg").data.decode()


def stale() -> list[Path]:
    """Return the pages that differ from what would be made, and those that nothing makes any more."""
    wanted = pages()
    there = {*(DOCS / "kinds").glob("*.md"), *(DOCS / "errors").glob("*.md")}
    differing = [
        path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    return sorted({*differing, *(there - wanted.keys())})


def write() -> None:
    """Write every page that is stale, and remove those that nothing makes any more."""
    wanted = pages()
    for path in stale():
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
        print(path.relative_to(ROOT))
    (DOCS / "transformer.svg").write_text(figure(), encoding="utf-8")


def _map() -> str:
    files = sorted((ROOT / "tfdsl").rglob("*.py"))
    lines = [MADE.format("the first line of each file"), "# Where things are\n"]
    lines += ["One line a module. [architecture.md](architecture.md) says how they stand to each other.\n"]
    folder = None
    for path in sorted(files, key=lambda path: (path.parent.parts, path.name != "__init__.py", path.name)):
        if path.parent != folder:
            folder = path.parent
            lines.append(f"\n## {folder.relative_to(ROOT)}/\n")
        told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        lines.append(f"- `{path.name}`: {told}")
    return "\n".join(lines) + "\n"


def _kinds() -> str:
    rows = [f"| [{name}]({name}.md) | {reference.kind(name).purpose} |" for name in node.kinds()]
    return (
        "\n".join([MADE.format("tfdsl/nodes"), "# The kinds of node\n", "| kind | what it is |", "|---|---|", *rows])
        + "\n"
    )


def _stub() -> str:
    """Return what an editor is told of `tfdsl.nodes`, whose classes are found by looking."""
    head = "# Made by `make docs` from the files beside it: for editors and type checkers.\n\n"
    lines = [f"from {each.__module__} import {name} as {name}" for name, each in nodes.classes().items()]
    return head + "\n".join(sorted(lines, key=str.lower)) + "\n\ndef classes() -> dict[str, type]: ...\n"


def _settings() -> str:
    lines = [MADE.format("tfdsl/settings.py and tfdsl/spec.py"), "# Settings\n"]
    lines += [
        "What `train`, `sample` and `init` of a spec may say. Each can be set from outside: `--set train.steps=200`.\n"
    ]
    for name, model in (("train", Train), ("sample", Sample), ("init", Init)):
        fields, pieces = reference.section(model)
        lines += [f"\n## {name}", *_fields(fields)]
        for piece in pieces:
            lines += ["", f"### `{name}.{piece.field}`"]
            for group in piece.groups:
                lines += ["", group.about, *_fields(group.fields)]
    return "\n".join(lines) + "\n"


def _kind(kind: reference.Kind) -> str:
    lines = [
        MADE.format(f"tfdsl/nodes/{kind.name}"),
        f"# {kind.name}\n",
        f"{kind.purpose[:1].upper()}{kind.purpose[1:]}.\n",
        kind.about,
    ]
    if kind.headline:
        lines += ["", f"A value alone is its `{kind.headline}`."]
    lines += _fields(kind.fields)
    for group in kind.types:
        lines += ["", f"## {kind.name}: {group.word}", "", group.about]
        lines += ["", "This is the type where none is named."] if group.word == kind.default_type else []
        lines += _fields(group.fields)
    for piece in kind.parts:
        lines += ["", f"## `{piece.field}`"]
        for group in piece.groups:
            lines += ["", f"**{group.word}**: {group.about}" if group.word else group.about, *_fields(group.fields)]
    lines += [
        "",
        "Every node may also carry `id`, `from`, `expect` and `about`: see [the language](../language.md#nodes).",
    ]
    uses = list(_uses(kind.name))
    if uses:
        lines += ["", "## In the specs", "", "```yaml", *uses, "```"]
    return "\n".join(lines) + "\n"


def _fields(fields: tuple[reference.Field, ...]) -> list[str]:
    if not fields:
        return []
    rows = [f"| `{each.name}` | {each.takes} | {_default(each)} | {each.about} |" for each in fields]
    return [
        "",
        "| field | takes | if left out | meaning |",
        "|---|---|---|---|",
        *(row.replace("\n", " ") for row in rows),
    ]


def _default(field: reference.Field) -> str:
    return {"": "must be given", "optional": ""}.get(field.default, f"`{field.default}`")


def _uses(kind: str) -> Iterator[str]:
    """Yield the shortest line of each of up to four specs that shows the kind with fields of its own."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        lines = [line.strip().partition("  #")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [
            line
            for line in lines
            if re.search(rf"(^|[\s\[{{]){kind}: ", line) and line.startswith(("- ", f"{kind}: {{"))
        ]
        if lines:
            line = min(lines, key=len)
            found.setdefault(line, path.stem)
    for line, spec in list(found.items())[:4]:
        yield f"{line:70}  # {spec}"


if __name__ == "__main__":
    if "--check" in sys.argv:
        late = [str(path.relative_to(ROOT)) for path in stale()]
        print("\n".join(late) if late else "Every made page is current.")
        sys.exit(1 if late else 0)
    write()
