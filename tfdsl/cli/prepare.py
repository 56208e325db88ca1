"""tfdsl prepare: make tokens of data before training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from tfdsl import report
from tfdsl.cli import options
from tfdsl.cli.output import Stop, coloured, refuse, remark, say
from tfdsl.cli.reading import checked

if TYPE_CHECKING:
    from tfdsl.data.asked import Asked
    from tfdsl.data.table import Prepared, Table
    from tfdsl.diagnostics import Diagnostic, Span

MANY = 1 << 31  # tokens that a vocabulary may have where no model sets a limit


@click.command()
@click.argument("spec", metavar="SPEC|DATA")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="The folder to write, which must not be there.")
@click.option("--data", metavar="DATA", help="What to prepare: short for --set train.data=DATA.")
@click.option("--tokenizer", metavar="TYPE|FILE", help="Prepare DATA as text without a spec, with this tokenizer.")
@click.option(
    "--vocab-size", type=click.IntRange(2), help="Most tokens of a vocabulary that is trained without a spec."
)
@click.option("--workers", type=click.IntRange(1), help="Processes that work at once. [default: one a core]")
@options.overrides
def command(
    spec: str,
    output: str,
    data: str | None,
    tokenizer: str | None,
    vocab_size: int | None,
    workers: int | None,
    overrides: tuple[str, ...],
) -> int:
    """Make of data what a spec's objective reads: tokens, classes, images, as arrays that training maps into memory.

    Then `data: FOLDER` trains from them. Killed and called again, it keeps what was finished. With --tokenizer, DATA
    (a file, a folder, a built-in set) is prepared as text for every model whose vocabulary the tokens fit.
    """
    from tfdsl.data import shards

    folder = Path(output)
    if folder.exists():
        refuse(f"`{folder}` is already there, and is left as it is. Name another folder, or remove that one first")
    if tokenizer is None:
        asked, where, texts = _of_spec(spec, options.with_data(data, overrides))
    else:
        if data is not None or overrides:
            refuse("with --tokenizer there is no spec: name the data in its place, and leave --data and --set out")
        asked, where, texts = _of_text(spec, tokenizer, vocab_size), nowhere, {}
    try:
        made, problems = shards.prepare(asked, folder, workers or os.cpu_count() or 1, report=_progress)
    except OSError as error:
        from tfdsl import disk

        refuse(f"cannot write `{folder}`: {disk.reason(error)}; call it again, and what was finished is kept", 1)
    found = [replace(each, span=each.span or where(place)) for place, each in problems]
    if made is None:
        _refused(found, texts)
    if found:
        remark(report.render(found, texts, coloured(sys.stderr)).rstrip("\n"))
    say(_told(folder, made))
    return 0


def nowhere(place: str) -> Span | None:
    """Know of no place in a spec."""


def _of_spec(spec: str, overrides: tuple[str, ...]) -> tuple[Asked, Callable[[str], Span | None], Mapping[str, str]]:
    """Return what the objective of a spec asks of its data, where its settings stand, and the texts they stand in."""
    result = checked(spec, overrides)
    from tfdsl.training import subject
    from tfdsl.training.prepare import asked as wanted

    taken = subject.of(result)
    asked, problems = wanted(taken, result.train)
    if asked is None:
        _refused(problems, result.document.texts)
    return asked, taken.where, result.document.texts


def _of_text(data: str, tokenizer: str, vocab_size: int | None) -> Asked:
    """Return what is asked of text that is for no spec: one long text."""
    from tfdsl import settings
    from tfdsl.data.asked import Asked
    from tfdsl.data.wanted import Field, Wanted

    types = settings.Tokenizer.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    if tokenizer not in types and not Path(tokenizer).is_file():
        refuse(f"`{tokenizer}` is neither a file nor one of {', '.join(types)}")
    trained = tokenizer not in ("bytes", "characters") and tokenizer in types
    if trained and vocab_size is None:
        refuse(f"say how many tokens `{tokenizer}` may make, such as --vocab-size 8192")
    if vocab_size is not None and not trained:
        refuse(f"--vocab-size belongs to a vocabulary that is trained, not to `{tokenizer}`")
    chosen = settings.Tokenizer(type=tokenizer) if tokenizer in types else settings.Tokenizer(file=tokenizer)  # type: ignore[arg-type]
    wanted = Wanted(((Field("text"),),), whole=True)
    return Asked(settings.Data(source=data), chosen, wanted, vocab_size or MANY)


def _refused(problems: list[Diagnostic], texts: Mapping[str, str]) -> NoReturn:
    remark(report.render(problems, texts, coloured(sys.stderr)).rstrip("\n"))
    raise Stop(code=1)


def _progress(done: int, count: int) -> None:
    """Tell how many shards are written, on one line of a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(f"\r{done} of {count} shards{'' if done < count else chr(10)}", err=True, nl=False)


def _told(folder: Path, made: Prepared) -> str:
    """Say what was written."""
    lines = [f"{folder}: {_table(made.train)} to train on, {_table(made.held_out)} held out"]
    if made.tokenizer is not None:
        lines.append(f"  {folder / 'tokenizer.json'!s:32} {made.tokenizer.get_vocab_size():,} tokens")
    if made.labels:
        lines.append(f"  {len(made.labels)} classes: {', '.join(made.labels[:8])}{', …' * (len(made.labels) > 8)}")
    lines.append(f"next: tfdsl train SPEC --data {folder}")
    return "\n".join(lines)


def _table(table: Table) -> str:
    tokens = sum(len(table.columns[name].values) for name in table.sizes)
    examples = f"{len(table):,} example{'s' * (len(table) != 1)}"
    return f"{examples} ({tokens:,} tokens)" if table.sizes else examples
