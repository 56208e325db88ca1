"""Find the source that a setting names: a file or a folder by what it holds, or a built-in set by its name."""

from __future__ import annotations

from pathlib import Path

from tfdsl import settings
from tfdsl.data import text
from tfdsl.data.source import Found
from tfdsl.diagnostics import Diagnostic


def find(data: settings.Data, source: str | None = None) -> Found:
    """Return the source that the settings name (or `source` in place of theirs), or what stands in the way."""
    name = data.source if source is None else source
    share = data.held_out if isinstance(data.held_out, float) and source is None else None
    path = Path(name)
    if name == "stdlib":
        return Found(text.Text(text.stdlib(), strict=False))
    if path.is_file():
        found = text.Text([path], share)
    elif path.is_dir():
        found = text.Text(text.within(path, data.files), share)
    else:
        help_ = "give a text file, a folder of text, or `stdlib`"
        message = f"there is nothing at `{name}`"
        return Found(None, problems=(Diagnostic("R702", message, label="no such file or folder", help=help_),))
    if not found.count:
        what = f"`{name}` holds no text" + (f" in files like `{data.files}`" if path.is_dir() else "")
        return Found(None, problems=(Diagnostic("R702", what, label="nothing to train on"),))
    return Found(found)
