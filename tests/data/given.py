"""What tests of data ask for: the usual fields, and examples prepared in a folder, read back as people wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfdsl import settings
from tfdsl.data.prepare import Problems, prepare
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Wanted

TEXT = Wanted(((Field("text"),),), whole=True)
PAIRS = Wanted(((Field("source"), Field("target")),), ("pad", "start", "end"))
LABELLED = Wanted(((Field("text"), Field("label", "label")),))
IMAGES = Wanted(((Field("image", "image"), Field("label", "label")),))
NUMBERS = Wanted(((Field("numbers", "numbers"),),))
SPANS = Wanted(((Field("question"), Field("passage"), Field("answer", "stretch", of="passage")),), ("pad",))


def prepared(
    folder: Path, wanted: Wanted, data: Any, tokenizer: Any = "bytes", vocab: int = 400, **more: Any
) -> tuple[Prepared | None, Problems]:
    """Prepare what `data` (as a spec writes it) names, below `folder`."""
    chosen = settings.Data.model_validate(data)
    return prepare(chosen, settings.Tokenizer.model_validate(tokenizer), wanted, vocab, folder=folder / "made", **more)


def made(folder: Path, wanted: Wanted, data: Any, tokenizer: Any = "bytes", vocab: int = 400, **more: Any) -> Prepared:
    """Prepare data that nothing is wrong with."""
    found, problems = prepared(folder, wanted, data, tokenizer, vocab, **more)
    assert [(place, problem.message) for place, problem in problems if problem.severity == "error"] == []
    assert found is not None
    return found


def remarks(folder: Path, wanted: Wanted, data: Any, **more: Any) -> list[tuple[str, str]]:
    """Return the code and the message of what is told beside data that nothing is wrong with."""
    found, said = prepared(folder, wanted, data, **more)
    assert found is not None, said
    return [(each.code, each.message.replace(f"{folder}/", "")) for _, each in said]


def wrong(folder: Path, wanted: Wanted, data: Any, tokenizer: Any = "bytes", **more: Any) -> list[tuple[str, str, str]]:
    """Return the place, the code and the message of what is wrong."""
    found, problems = prepared(folder, wanted, data, tokenizer, **more)
    assert found is None
    assert not (folder / "made" / "train").exists()
    return [(place, each.code, each.message.replace(f"{folder}/", "")) for place, each in problems]


def texts(table: Table, column: str, data: Prepared) -> list[str]:
    """Return the texts of a column, marks left out."""
    assert data.tokenizer is not None
    return [data.tokenizer.decode(table.columns[column][place].tolist()) for place in range(len(table))]
