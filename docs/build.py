"""Write the pages that are made from the code: kinds, errors, map, schema, figure. `--check` says which are stale."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import tfdsl
from docs import codes
from tfdsl import kinds, node, nodes, reference, schema
from tfdsl.diagram import dot, engines
from tfdsl.settings import Sample, Train
from tfdsl.spec import Init

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = "<!-- Made by `make docs` from {}: change it there. -->\n"


def pages() -> dict[Path, str]:
    """Return every page that is made, by its path."""
    made = {DOCS / "map.md": _map(), ROOT / "specs/tfdsl.schema.json": schema.text()}
    made |= {DOCS / f"kinds/{name}.md": _kind(kinds.page(name)) for name in node.kinds()}
    made[DOCS / "kinds/index.md"] = _kinds()
    made[ROOT / "tfdsl/nodes/__init__.pyi"] = _stub()
    made |= {DOCS / "errors" / name: text for name, text in codes.documents().items()}
    made[DOCS / "settings.md"] = _settings()
    made[DOCS / "specs.md"] = _specs()
    return made


def insides() -> dict[Path, str]:
    """Return the figure of each kind's inside as DOT text, by the path of its picture."""
    return {
        DOCS / f"kinds/{_picture(name, example)}": dot.write(kinds.picture(name, example.word))
        for name in node.kinds()
        for example in kinds.page(name).examples
    }


def _picture(name: str, example: kinds.Example) -> str:
    return f"{name}_{example.word}.svg" if example.word else f"{name}.svg"


def _drawn(text: str) -> str:
    """Return a DOT text as SVG that ends with the text's digest, so that it is known to be current without drawing."""
    return f"{engines.render(text, 'svg').data.decode().rstrip()}\n{_digest(text)}\n"


def _digest(text: str) -> str:
    return f"<!-- {hashlib.sha256(text.encode()).hexdigest()} -->"


def figure() -> str:
    """Return the README's figure as SVG."""
    checked = tfdsl.check(ROOT / "specs/transformer.yaml")
    return engines.render(tfdsl.draw(checked), "svg").data.decode()


def stale() -> list[Path]:
    """Return the pages that differ from what would be made, and those that nothing makes any more."""
    wanted, drawn = pages(), insides()
    there = {*(DOCS / "kinds").iterdir(), *(DOCS / "errors").glob("*.md")}
    current = {path: path.read_text(encoding="utf-8") for path in wanted.keys() | drawn.keys() if path.is_file()}
    differing = [path for path, text in wanted.items() if current.get(path) != text]
    differing += [path for path, text in drawn.items() if not current.get(path, "").endswith(f"{_digest(text)}\n")]
    return sorted({*differing, *(there - wanted.keys() - drawn.keys())})


def write() -> None:
    """Write every page that is stale, and remove those that nothing makes any more."""
    wanted, drawn = pages(), insides()
    for path in stale():
        if path in wanted or path in drawn:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path] if path in wanted else _drawn(drawn[path]), encoding="utf-8")
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


def _specs() -> str:
    """Return the table of all specs: what each is, and its parameters as they are counted."""
    rows: list[str] = []
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        checked = tfdsl.check(path)
        assert checked.spec is not None and checked.ok, path
        about = re.sub(r",? [\d,]{7,} parameters", "", checked.spec.about or "")
        about = re.sub(r"arXiv:([\d.]+\d)", r"[arXiv:\1](https://arxiv.org/abs/\1)", about)
        rows.append(f"| [{path.stem}](../specs/{path.name}) | {about} | {tfdsl.cost(checked).parameters:,} |")
    head = [
        MADE.format("specs"),
        "# The specs\n",
        "Every one is checked, drawn, costed and built: `tfdsl render specs/NAME.yaml`.\n",
    ]
    return "\n".join([*head, "| spec | what it is | parameters |", "|---|---|---|", *rows]) + "\n"


def _settings() -> str:
    lines = [MADE.format("tfdsl/settings/*.py and tfdsl/spec.py"), "# Settings\n"]
    lines += [
        "What `train`, `sample` and `init` of a spec may say. Each can be set from outside: `--set train.steps=200`.\n"
    ]
    for name, model in (("train", Train), ("sample", Sample), ("init", Init)):
        fields, pieces = reference.section(model)
        lines += [f"\n## {name}", *_fields(fields)]
        for piece in pieces:
            lines += ["", f"### `{name}.{piece.field}`"]
            for group in piece.groups:
                word = f"**`{group.word}`**: " if group.word else ""
                lines += ["", word + group.about, *_fields(group.fields)]
    return "\n".join(lines) + "\n"


def _kind(page: kinds.Page) -> str:
    kind = page.kind
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
    for example in page.examples:
        lines += _example(kind.name, example)
    uses = list(_uses(kind.name))
    if uses:
        lines += ["", "## In the specs", "", "```yaml", *uses, "```"]
    if page.sources:
        lines += [
            "",
            "## Sources",
            "",
            ", ".join(f"[{each}](https://arxiv.org/abs/{each[6:]})" for each in page.sources),
        ]
    return "\n".join(lines) + "\n"


def _example(name: str, example: kinds.Example) -> list[str]:
    title = f"Example: {example.word}" if example.word else "Example"
    lines = ["", f"## {title}", "", "```yaml", *example.text.splitlines(), "```", ""]
    lines += [f"![What stands inside]({_picture(name, example)})"]
    if example.shapes:
        lines += ["", f"Shapes: `{example.shapes}`"]
    rows = [f"| weight `{weight}` | `{shape}` |" for weight, shape in example.weights]
    rows += [f"| {kinds.COSTS[cost]} | `{formula}` |" for cost, formula in example.costs]
    rows += [f"| {kinds.COSTS[each.cost]}, with `{each.setting}` | `{each.adds}` |" for each in example.changes]
    return [*lines, "", "| what | in the sizes of the example |", "|---|---|", *rows] if rows else lines


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
