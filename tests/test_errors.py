"""A page a code, and a code a page: the wrong example says what the page says, the right one nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tfdsl
from tests import beside
from tfdsl import checking, document, errors
from tfdsl.report import render
from tfdsl.training import sums

ROOT = Path(tfdsl.__file__).parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"\"([YDTNEWIR][0-9]{3})\"")
SAID = re.compile(r"^(error|warning|note)\[(\w+)\]", re.MULTILINE)
Example = tuple[str, str]  # its language and its text
EARLIER = ("R837", "R844")  # of runs that hold no sums of their files, as those of earlier versions: one is changed


def sections(code: str) -> tuple[Example, str, Example]:
    """Return the wrong example, what is said of it, and the right example."""
    text = errors.page(code)
    assert text is not None
    head, wrong, right = re.split(r"^## (?:Wrong|Right)$", text, flags=re.MULTILINE)
    assert re.match(rf"# {code}: [^\n]+\n\n\S", head)
    (language, example), (kind, said) = BLOCK.findall(wrong)
    (repaired,) = BLOCK.findall(right)
    assert kind == "text"
    return (language, example), said, repaired


def answer(language: str, example: str, folder: Path) -> tuple[list[str], str]:
    """Return the codes of what is said of an example, and the text. It is a spec, an expression, or commands."""
    beside.lay(folder)
    if language == "sh":
        page = beside.run(example, folder)
        return [code for _, code in SAID.findall(page)], page
    path = folder / "spec.yaml"
    text = eval(example) if language == "python" else example
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    checked = checking.run(document.gather(path))
    page = render(checked.diagnostics, checked.document.texts)
    return [each.code for each in checked.diagnostics], page.replace(f"{folder}/", "")


@pytest.fixture(autouse=True)
def earlier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    code: str | None = getattr(request.node, "callspec", None) and request.node.callspec.params["code"]
    if code in EARLIER:
        monkeypatch.setattr(sums, "opened", lambda *_: [])


@pytest.mark.parametrize("code", errors.codes())
def test_the_wrong_example_says_what_the_page_says(code: str, tmp_path: Path, accept: bool) -> None:
    (language, example), said, _ = sections(code)
    found, page = answer(language, example, tmp_path)
    if accept:
        path = ROOT / "errors" / f"{code}.md"
        path.write_text(path.read_text().replace(f"```text\n{said}```", f"```text\n{page}```"))
        said = page
    assert page == said
    assert found == [code]


@pytest.mark.parametrize("code", errors.codes())
def test_the_right_example_says_nothing(code: str, tmp_path: Path) -> None:
    language, example = sections(code)[2]
    assert answer(language, example, tmp_path) == ([], "")


def test_every_code_has_a_page() -> None:
    told = {code for path in ROOT.rglob("*.py") for code in LITERAL.findall(path.read_text())}
    assert told == set(errors.codes())


def test_explain() -> None:
    assert errors.explain("y021")[0].startswith("# Y021: a key that stands twice\n")
    assert errors.explain("Y012 ")[1]
    assert errors.explain("YO21") == ("`YO21` is no code; did you mean `Y021`?\n", False)
    assert errors.explain("\x1b[31m") == ("`?[31m` is no code\n", False)


def test_a_dim_that_only_another_dim_needs_is_used() -> None:
    """Of `side`, nothing but `image` is made, and of `idle`, nothing."""
    text = """
tfdsl: 1
name: tiny
dims: {side: 2, idle: 3 * unheard, unheard: 1, image: 4 * side}
inputs: {x: {shape: [B, image], dtype: float}}
model: [linear: {from: x, width: 8}]
"""
    assert [each.message for each in tfdsl.check(text).diagnostics] == [
        "dim `idle` is not used",
        "dim `unheard` is not used",
    ]
