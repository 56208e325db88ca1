"""A page a code: the wrong example says what the page says, the right one nothing, and the docs show the same pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tfdsl
from docs.codes import documents, write
from tfdsl import errors, source
from tfdsl.diagnostics import Diagnostic
from tfdsl.report import render

ROOT = Path(tfdsl.__file__).parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"\"([YDTNEWIR][0-9]{3})\"")
FILE = "spec.yaml"


def sections(code: str) -> tuple[tuple[str, str], str, str]:
    """Return the wrong example (its language and text), what is said of it, and the right example."""
    text = errors.page(code)
    assert text is not None
    head, wrong, right = re.split(r"^## (?:Wrong|Right)$", text, flags=re.MULTILINE)
    assert re.match(rf"# {code}: [^\n]+\n\n\w", head)
    (language, example), (kind, said) = BLOCK.findall(wrong)
    ((mended, repaired),) = BLOCK.findall(right)
    assert (kind, mended) == ("text", "yaml")
    return (language, example), said, repaired


def answer(language: str, example: str, folder: Path) -> tuple[list[Diagnostic], str]:
    """Return the diagnostics of an example, and how they read."""
    if language == "sh":  # a command that names a file
        (folder / "gpt2.yaml").write_text("tfdsl: 1\n")
        document = source.load(folder / example.split()[-1])
        found, page = list(document.diagnostics), render(document.diagnostics, {})
        return found, page.replace(f"{folder}/", "")
    text: str | bytes = eval(example) if language == "python" else example
    found = source.parse(text, FILE)[1]
    return found, render(found, {FILE: text if isinstance(text, str) else text.decode("utf-8", "replace")})


@pytest.mark.parametrize("code", errors.codes())
def test_the_wrong_example_says_what_the_page_says(code: str, tmp_path: Path, accept: bool) -> None:
    (language, example), said, _ = sections(code)
    found, page = answer(language, example, tmp_path)
    if accept:
        path = ROOT / "errors" / f"{code}.md"
        path.write_text(path.read_text().replace(f"```text\n{said}```", f"```text\n{page}```"))
        said = page
    assert page == said
    assert [each.code for each in found] == [code]


@pytest.mark.parametrize("code", errors.codes())
def test_the_right_example_says_nothing(code: str, tmp_path: Path) -> None:
    assert answer("yaml", sections(code)[2], tmp_path) == ([], "")


def test_every_code_has_a_page() -> None:
    told = {code for path in ROOT.rglob("*.py") for code in LITERAL.findall(path.read_text())}
    assert {code for code in told if code[0] == "Y"} == set(errors.codes())


def test_explain() -> None:
    assert errors.explain("y021")[0].startswith("# Y021: a key that stands twice\n")
    assert errors.explain("Y012 ")[1]
    assert errors.explain("YO21") == ("`YO21` is no code; did you mean `Y021`?\n", False)
    assert errors.explain("\x1b[31m") == ("`?[31m` is no code\n", False)


def test_the_docs_are_current(accept: bool) -> None:
    folder = ROOT.parent / "docs" / "errors"
    if accept:
        write(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == documents(), "run `make docs`"
