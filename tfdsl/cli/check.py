"""tfdsl check: say what is wrong in specs."""

from __future__ import annotations

from pathlib import Path

import click

from tfdsl.checking import Checked
from tfdsl.cli import options
from tfdsl.cli.output import coloured, remark, say, write
from tfdsl.cli.reading import STDIN, inspect, verdict
from tfdsl.diagnostics import Diagnostic

ROUNDS = 8  # of fixing: a fix may bring what stood behind it to light


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@options.as_json
@click.option("--sarif", is_flag=True, help="Write SARIF 2.1.0, which code hosts and editors read.")
@click.option("--fix", is_flag=True, help="Make the fixes that are certain, in the files themselves.")
@options.overrides
def command(specs: tuple[str, ...], as_json: bool, sarif: bool, fix: bool, overrides: tuple[str, ...]) -> int:
    """Say what is wrong in specs (`-` reads one from standard input).

    The exit code is 0 where there is no error (warnings may be), 1 where a spec has errors, 2 where one cannot be read.
    """
    if as_json and sarif:
        raise click.UsageError("--json and --sarif are two forms of one answer: give one of them")
    results = [_fixed(spec, overrides) if fix else inspect(spec, overrides) for spec in dict.fromkeys(specs)]
    found = [each for result in results for each in result.diagnostics]
    if found or as_json or sarif:
        say(_written(results, found, as_json, sarif), end="")
    if not as_json and not sarif:
        _praise(dict.fromkeys(specs), results, found != [])
    return verdict(found)


def _written(results: list[Checked], found: list[Diagnostic], as_json: bool, sarif: bool) -> str:
    from tfdsl import report  # most specs need none of it

    if as_json:
        return report.to_json(found)
    if sarif:
        return report.to_sarif(found)
    texts = {file: text for result in results for file, text in result.document.texts.items()}
    return report.render(found, texts, coloured())


def _praise(specs: dict[str, None], results: list[Checked], after: bool) -> None:
    """Say of each spec without errors that it is well."""
    well = [spec for spec, result in zip(specs, results, strict=True) if result.ok]
    if well and after:
        say()
    for spec in well:
        say(f"{STDIN if spec == '-' else spec}: no errors")


def _fixed(spec: str, overrides: tuple[str, ...]) -> Checked:
    """Make the certain fixes of a spec and of the files that it stands on, then check it again."""
    if spec == "-":
        raise click.UsageError("--fix writes into files, and standard input is none: name the file")
    result, made = inspect(spec, overrides), 0
    for _ in range(ROUNDS):
        changed = [file for file in result.document.texts if _mend(file, result)]
        if not changed:
            break
        made += 1
        result = inspect(spec, overrides)
    if made:
        remark(f"{spec}: fixed what is certain")
    return result


def _mend(file: str, result: Checked) -> bool:
    from tfdsl import report

    path = Path(file)
    if not path.is_file() or not any(edit.span.file == file for each in result.diagnostics for edit in each.edits):
        return False
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    mended = report.apply_edits(text, result.diagnostics, file)
    if mended == text:
        return False
    write(file, mended.encode("utf-8", "surrogateescape"))
    return True
