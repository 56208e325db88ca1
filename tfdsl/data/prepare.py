"""From settings to examples: what is read becomes tables of arrays in a folder, which are mapped into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.data import text
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Wanted
from tfdsl.diagnostics import Diagnostic

MANIFEST, TOKENIZER = "manifest.json", "tokenizer.json"
Found = list[tuple[str, Diagnostic]]


def prepare(
    data: settings.Data,
    tokenizer: settings.Tokenizer,
    wanted: Wanted,
    vocab: int,
    *,
    folder: Path,
    own: Tokenizer | None = None,
    end: Sequence[int] = (),
    pad: int | None = None,
) -> tuple[Prepared | None, Found]:
    """Read `data` and return it as `wanted`, kept below `folder`; or say what is wrong, with the place in the spec.

    `vocab` is the number of the model's words and `pad` the one that stands for nothing; `own` is a tokenizer that the
    model brings, with the tokens that `end` a text. Without one, a tokenizer is made as the settings say.
    """
    read, problems = text.read(data.source, data.files, data.held_out)
    if read is None:
        return None, [("train.data", problem) for problem in problems]
    if own is None:
        own = tokens.make(
            tokenizer, read.train + read.held_out if tokenizer.type == "characters" else read.train, vocab
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in (("train", read.train), ("held_out", read.held_out)):
        each = [tokens.encode(own, [document], end) for document in documents]
        (folder / name).mkdir(exist_ok=True)
        np.save(folder / name / "text.npy", np.concatenate(each))
        np.save(folder / name / "text.offsets.npy", np.cumsum([0, *map(len, each)]))
    own.save(str(folder / TOKENIZER))
    sizes = {
        "train": sum(len(document.encode()) for document in read.train),
        "held_out": sum(len(document.encode()) for document in read.held_out),
    }
    digest = hashlib.sha256(b"".join((folder / name / "text.npy").read_bytes() for name in sizes)).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({"sizes": sizes, "digest": digest}, indent=1) + "\n")
    return reopen(folder), []


def reopen(folder: Path) -> Prepared:
    """Return what `prepare` left in `folder`."""
    kept = json.loads((folder / MANIFEST).read_text())
    tables = {
        name: Table(
            {
                "text": Ragged(
                    np.load(folder / name / "text.npy", mmap_mode="r"), np.load(folder / name / "text.offsets.npy")
                )
            },
            {"text": kept["sizes"][name]},
        )
        for name in ("train", "held_out")
    }
    own = Tokenizer.from_file(str(folder / TOKENIZER)) if (folder / TOKENIZER).is_file() else None
    return Prepared(tables["train"], tables["held_out"], own, digest=kept["digest"])
