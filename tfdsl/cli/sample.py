"""tfdsl sample: write text with a trained model."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfdsl import report
from tfdsl.cli.output import Stop, coloured, refuse, remark
from tfdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from tfdsl.run import Run


@click.command()
@click.argument("folder", metavar="RUN")
@click.option("--prompt", help="The text to go on from; `-` reads it from standard input.")
@click.option("--length", type=click.IntRange(min=1), help="How many tokens to write.")
@click.option("--temperature", type=click.FloatRange(min=0), help="Below 1 surer, above 1 wilder; 0 is greedy.")
@click.option("--top-k", type=click.IntRange(min=1), help="Draw among the k likeliest tokens.")
@click.option(
    "--top-p", type=click.FloatRange(0, 1, min_open=True), help="Draw among the fewest that hold this probability."
)
@click.option("--greedy", is_flag=True, default=None, help="Take the likeliest token each time.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Another seed, another text; the same seed, the same.")
@click.option("--last", is_flag=True, help="Use the last weights in place of the best.")
def command(
    folder: str,
    prompt: str | None,
    length: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    greedy: bool | None,
    seed: int | None,
    last: bool,
) -> int:
    """Write text with the model in a RUN's folder, as `tfdsl train` leaves it.

    What is not said here is as the spec's `sample` section says.
    """
    path = Path(folder)
    if path.is_file():
        refuse(
            f"`{folder}` is a file, and models are sampled from a run's folder: tfdsl train {folder}, then sample that"
        )
    if not path.is_dir():
        refuse(f"there is no folder `{folder}`. `tfdsl train` makes one, such as runs/gpt")
    if prompt == "-":
        prompt = sys.stdin.read()
    given: dict[str, Any] = {
        "prompt": prompt,
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "greedy": greedy,
        "seed": seed,
    }
    from tfdsl.run import open_run

    gc.set_threshold(700, 10, 10)  # as Python has it: text may be long
    run, found = open_run(path, best=not last)
    _show(found)
    if run is None:
        raise Stop(code=1)
    return _write(run, {name: value for name, value in given.items() if value is not None})


def _write(run: Run, given: dict[str, Any]) -> int:
    from tfdsl import sampling, settings
    from tfdsl.faults import RunError

    chosen = settings.Sample.read({**run.sample.given(), **given})
    try:
        open_ = run.decoder()
    except RunError as error:
        _show(list(error.diagnostics))
        raise Stop(code=1) from None
    texts, found = sampling.begin(open_, run.tokenizer, chosen, [chosen.prompt], (), run.context, run.end)
    _show(found)
    if texts is None:
        raise Stop(code=1)
    click.echo(chosen.prompt, nl=False)
    for piece in texts:
        click.echo(piece.text, nl=False)
        sys.stdout.flush()
    click.echo()
    return 0


def _show(found: list[Diagnostic]) -> None:
    if found:
        remark(report.render(found, {}, coloured(sys.stderr)).rstrip("\n"))
