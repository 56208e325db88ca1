"""tfdsl export: write a run as a Hugging Face checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tfdsl import report
from tfdsl.cli.output import Stop, coloured, remark, say

SHOWN = 4  # names of tensors that are left out


@click.command()
@click.argument("folder", metavar="RUN")
@click.option("-o", "--output", metavar="DIR", required=True, help="The checkpoint's folder, which must not be there.")
@click.option("--to", type=click.Choice(["hf"]), default="hf", show_default=True, help="The form: Hugging Face's.")
@click.option("--config", metavar="FILE", help="The `config.json` to write; an imported run has one.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="What the tensors are of.",
)
@click.option("--last", is_flag=True, help="Write the last weights in place of the best.")
def command(folder: str, output: str, to: str, config: str | None, dtype: str, last: bool) -> int:
    """Write the model in a RUN's folder as a checkpoint: `config.json`, `model.safetensors`, `tokenizer.json`.

    The spec's `weights` section says how its weights are called there.
    """
    from tfdsl import porting
    from tfdsl.run import open_run

    run, found = open_run(Path(folder), best=not last)
    sent = None
    if run is not None:
        sent, problems = porting.send(run, Path(output), Path(config) if config else None, dtype)
        found += problems
    if found:
        remark(report.render(found, {}, coloured(sys.stderr)).rstrip("\n"))
    if run is None or sent is None:
        raise Stop(code=1)
    say(f"wrote {sent.tensors:,} tensors of {sent.dtype} to {output}")
    if sent.left:
        some = ", ".join(f"`{name}`" for name in sent.left[:SHOWN])
        more = f" and {len(sent.left) - SHOWN:,} more" if len(sent.left) > SHOWN else ""
        say(f"left out, as the import did: {some}{more}")
    had = (run.foreign or {}).get("dtype", sent.dtype)
    if had in porting.DTYPES and had != sent.dtype:
        say(f"the checkpoint that was imported had {had}: --dtype {had} writes that")
    return 0
