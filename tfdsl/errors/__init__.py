"""What each code means: a page a code, beside this file, which are the docs and the tests too."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from tfdsl.diagnostics import suggest


@cache
def codes() -> tuple[str, ...]:
    """Return every code that has a page."""
    return tuple(
        sorted(entry.name.removesuffix(".md") for entry in files(__name__).iterdir() if entry.name.endswith(".md"))
    )


def page(code: str) -> str | None:
    """Return the page of a code (Markdown), or None where there is no such code."""
    return files(__name__).joinpath(f"{code}.md").read_text(encoding="utf-8") if code in codes() else None


def title(code: str) -> str:
    """Return the title of a code's page, or nothing."""
    text = page(code)
    return text.splitlines()[0].removeprefix(f"# {code}: ") if text else ""


def explain(code: str) -> tuple[str, bool]:
    """Return what a code means, and whether it is one: for another word, the code that was likely meant."""
    wanted = code.strip().upper()
    text = page(wanted)
    if text is not None:
        return text, True
    near = suggest(wanted, codes())
    shown = "".join(character if character.isprintable() else "?" for character in code[:40])
    return f"`{shown}` is no code" + (f"; did you mean `{near}`?" if near else "") + "\n", False
