"""The house itself: its pages are current, its links lead somewhere, its files are of a size that can be read."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tfdsl.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
BUILD: dict[str, Any] = runpy.run_module("docs.build")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted((ROOT / "tfdsl").rglob("*.py"))
OTHERS = [path for room in ("tests", "docs", "examples") for path in sorted((ROOT / room).rglob("*.py"))]
READ = [*SOURCES, *(path for path in OTHERS if "golden" not in path.parts)]  # a golden file is as long as it is made


def tracked() -> list[Path]:
    """Return the files that are under version control; without git, all but what is hidden."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and not any(part[0] == "." for part in path.parts)]
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_made_pages_are_current() -> None:
    assert [str(path.relative_to(ROOT)) for path in BUILD["stale"]()] == []


def test_a_stale_page_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {**BUILD["pages"](), ROOT / "docs/map.md": "another text"}
    monkeypatch.setitem(BUILD["stale"].__globals__, "pages", lambda: made)
    assert ROOT / "docs/map.md" in BUILD["stale"]()


def test_the_readme_shows_the_figure_that_is_drawn_now() -> None:
    """Its texts are compared, not its bytes: another build of Graphviz may write another header."""
    shown = (ROOT / "docs/transformer.svg").read_text(encoding="utf-8")
    assert texts(shown) == texts(BUILD["figure"]())


def texts(svg: str) -> list[str]:
    """Return the texts of a picture, in order."""
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def lost(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'src="([^"]+)"', prose)
    return [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]


def test_links_lead_somewhere(tmp_path: Path) -> None:
    assert {str(page.relative_to(ROOT)): found for page in PAGES if (found := lost(page))} == {}
    (tmp_path / "page.md").write_text("[here](page.md) and [there](none.md#part), and ![a picture](https://x.y/z.png)")
    assert lost(tmp_path / "page.md") == ["none.md#part"]


def test_nothing_is_left_to_fill_in() -> None:
    assert [page for page in PAGES if re.search(r"@[A-Z]+@", page.read_text(encoding="utf-8"))] == []


def test_every_command_is_a_file_and_every_file_a_command() -> None:
    others = {"app", "asked", "curve", "options", "output", "reading", "writing"}
    assert {path.stem.removesuffix("_") for path in (ROOT / "tfdsl/cli").glob("[!_]*.py")} - others == set(COMMANDS)


def test_a_file_says_what_it_is_for_and_can_be_read_at_a_sitting() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in READ}
    assert [name for name, text in texts.items() if not text.startswith('"""')] == []
    assert {name: count for name, text in texts.items() if (count := text.count("\n")) > 400} == {}


def test_decisions_are_numbered_and_short() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    assert [page.name for page in pages if len(page.read_text(encoding="utf-8").splitlines()) > 40] == []


def test_specs_name_the_schema_beside_them() -> None:
    for path in sorted((ROOT / "specs").rglob("*.yaml")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        name = first.partition("# yaml-language-server: $schema=")[2]
        assert (path.parent / name).resolve() == ROOT / "specs/tfdsl.schema.json", path


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    here = str(ROOT).encode()
    homes = re.compile(rb"(?<![\w.~])/(root|home/\w+|Users/\w+)/")
    guilty = [path for path in tracked() if here in (text := path.read_bytes()) or homes.search(text)]
    assert guilty == []


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    told = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert targets == phony == told


WRITES = {
    *("write_text", "write_bytes", "mkdir", "rename", "rmdir", "unlink", "touch", "rmtree", "symlink_to", "chmod"),
    *("fsync", "mkstemp", "makedirs", "tofile", "savez", "save_file", "open_memmap", "copytree", "copyfile"),
}


def writes(text: str) -> list[str]:
    """Return the calls in a module's text that write files, whatever it is that they write."""
    found: list[str] = []
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [*call.args, *(word.value for word in call.keywords)]
        modes = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        opens = name in ("open", "memmap", "fdopen") and any(
            set(mode) & set("wax+") for mode in modes if len(mode) <= 3
        )
        owner = ast.unparse(call.func).rpartition(".")[0]
        if name in WRITES or opens or (name == "save" and (owner in ("np", "torch") or owner.endswith("tokenizer"))):
            found.append(ast.unparse(call))
    return found


def test_one_module_writes_files() -> None:
    """All else asks it to, so that what is acknowledged is on the disk."""
    guilty = {path: writes(path.read_text(encoding="utf-8")) for path in SOURCES if path.name != "disk.py"}
    assert {str(path.relative_to(ROOT)): found for path, found in guilty.items() if found} == {}
    assert (
        len(writes("p.open('w'); np.save(p, x); open(p, mode='ab'); p.mkdir(); t.tokenizer.save(p); p.open('rb')")) == 5
    )
