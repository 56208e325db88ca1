"""From settings to tables: find the source, make or take the tokenizer, write the columns, check what there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from tfdsl import disk, settings
from tfdsl.data import manifest
from tfdsl.data.adopt import adopt
from tfdsl.data.asked import Asked
from tfdsl.data.plan import Problems, plan
from tfdsl.data.table import Prepared
from tfdsl.data.wanted import Wanted
from tfdsl.data.write import write
from tfdsl.diagnostics import Span

MANIFEST, Damaged = manifest.NAME, manifest.Damaged


def prepare(
    data: settings.Data,
    tokenizer: settings.Tokenizer,
    wanted: Wanted,
    vocab: int,
    *,
    own: Tokenizer | None = None,
    end: Sequence[int] = (),
    pad: int | None = None,
    where: Span | None = None,
    folder: Path,
) -> tuple[Prepared | None, Problems]:
    """Write what an objective wants of the data as tables in `folder`, or say what stands in the way, by place.

    `vocab` is the model's token count and `pad` its pad. A model that was trained before brings its `own` tokenizer,
    and the tokens that `end` a text with it; `where` is where the spec says how many tokens there are. What is wrong
    is told with the place in the spec that it is about; beside the data, what is worth a word. Raises OSError where the
    tables cannot be written.
    """
    asked = Asked(data, tokenizer, wanted, vocab, own, tuple(end), pad, where)
    if manifest.holds(Path(data.source)):
        return adopt(asked, folder)
    planned, problems = plan(asked)
    if planned is None:
        return None, problems
    if folder.exists():  # of a run that never began
        disk.remove(folder)
    try:
        with disk.folder(folder) as aside:
            layouts, problems = write(planned.work, planned.train, planned.held_out, aside)
            if problems:
                raise _Refused
            manifest.seal(aside, planned, layouts)
    except _Refused:
        return None, problems
    return reopen(folder), planned.remarks


def reopen(folder: Path) -> Prepared:
    """Return what was prepared in `folder`, mapped into memory; raises Damaged where a file is not what it was."""
    return manifest.opened(folder)


class _Refused(Exception):
    """What was written is to be taken away again."""
