"""tfdsl import: make a run of a Hugging Face checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tfdsl import report
from tfdsl.cli import options
from tfdsl.cli.output import Stop, coloured, refuse, remark, say
from tfdsl.cli.reading import checked


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", metavar="RUN", help="The run's folder, which must not be there. [default: runs/NAME]")
@click.option("--spec", metavar="SPEC", help="A spec with a `weights` section, in place of the one that DIR is.")
@options.overrides
def command(folder: str, output: str | None, spec: str | None, overrides: tuple[str, ...]) -> int:
    """Make a run of the checkpoint in DIR: `config.json`, `*.safetensors`, and `tokenizer.json` where there is one.

    The run has the spec that the checkpoint is, its weights and its tokenizer: look at it with `tfdsl render` and
    `tfdsl cost`, write text with `tfdsl sample`, train it further with `tfdsl train --from`.
    """
    if overrides and spec is None:
        refuse("--set changes a spec, and DIR has its own: give one with --spec")
    own = checked(spec, overrides) if spec is not None else None
    from tfdsl import porting

    brought, found = porting.bring(Path(folder), Path(output) if output else None, own)
    if found:
        texts = own.document.texts if own is not None else {}
        remark(report.render(found, texts, coloured(sys.stderr)).rstrip("\n"))
    if brought is None:
        raise Stop(code=1)
    held = "" if brought.dtype == "float32" else f" of {brought.dtype}, kept as float32"
    say(f"imported {brought.parameters:,} parameters from {brought.tensors:,} tensors{held}, each used or ignored")
    say(f"next: tfdsl render {brought.folder / 'spec.yaml'} -o model.svg")
    if not found and any(each.tensor.vocab is not None for each in brought.checked.inputs.values()):
        say(f"      tfdsl sample {brought.folder} --prompt ...")
    return 0
