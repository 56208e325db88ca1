"""tfdsl export: write a run as a Hugging Face checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tfdsl import report
from tfdsl.cli.output import Stop, coloured, remark, say


@click.command()
@click.argument("folder", metavar="RUN")
@click.option("-o", "--output", metavar="DIR", required=True, help="The checkpoint's folder, which must not be there.")
@click.option("--to", type=click.Choice(["hf"]), default="hf", show_default=True, help="The form: Hugging Face's.")
@click.option("--config", metavar="FILE", help="The `config.json` to write; an imported run has one.")
@click.option("--last", is_flag=True, help="Write the last weights in place of the best.")
def command(folder: str, output: str, to: str, config: str | None, last: bool) -> int:
    """Write the model in a RUN's folder as a checkpoint: `config.json`, `model.safetensors`, `tokenizer.json`.

    The spec's `weights` section says how its weights are called there.
    """
    from tfdsl import porting
    from tfdsl.run import open_run

    run, found = open_run(Path(folder), best=not last)
    count = None
    if run is not None:
        count, problems = porting.send(run, Path(output), Path(config) if config else None)
        found += problems
    if found:
        remark(report.render(found, {}, coloured(sys.stderr)).rstrip("\n"))
    if count is None:
        raise Stop(code=1)
    say(f"wrote {count:,} tensors to {output}")
    return 0
