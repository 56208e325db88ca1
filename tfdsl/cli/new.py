"""tfdsl new: write a spec to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tfdsl.cli.output import refuse, remark, say, write

TEMPLATES = Path(__file__).parent / "templates"
SCHEMA = "tfdsl.schema.json"


@click.command()
@click.argument("template", required=False)
@click.option(
    "-o", "--output", metavar="FILE", help="The spec to write; `-` for standard output. [default: TEMPLATE.yaml]"
)
def command(template: str | None, output: str | None) -> int:
    """Write a spec to start from.

    TEMPLATE says which; without it they are listed. Beside the spec goes the JSON Schema that its first line names, so
    that an editor with yaml-language-server completes and explains. No file that is there already is touched.
    """
    if template is None:
        say(_list())
        return 0
    text = _text(template)
    if output == "-":
        write("-", text)
        return 0
    path = Path(output or f"{template}.yaml")
    write(str(path), _named(text, path), overwrite=False)
    remark(f"Wrote {path}.")
    schema = path.parent / SCHEMA
    if not schema.exists():
        from tfdsl import schema as language

        write(str(schema), language.text())
        remark(f"Wrote {schema}, which editors read.")
    remark(f"Next: tfdsl check {path}")
    return 0


def names() -> list[str]:
    """Return the templates that there are."""
    return sorted(path.stem for path in TEMPLATES.glob("*.yaml"))


def _text(template: str) -> str:
    known = names()
    name = template.replace("-", "_").removesuffix(".yaml")
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, 1)
        guess = f" Did you mean `{near[0]}`?" if near else ""
        refuse(f"there is no template `{template}`.{guess} There are: {', '.join(known)}")
    return f"# yaml-language-server: $schema={SCHEMA}\n" + (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")


def _named(text: str, path: Path) -> str:
    """Return the template under the name that its file has."""
    name = re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return text
    return re.sub(r"^name: .*$", f"name: {name}", text, count=1, flags=re.MULTILINE)


def _list() -> str:
    rows = [(name, re.search(r"^about: (.*)$", _text(name), re.MULTILINE)) for name in names()]
    lines = [f"  {name:16} {about.group(1) if about else ''}" for name, about in rows]
    return "\n".join(["Templates (tfdsl new NAME -o FILE):", *lines])
