"""Foreign checkpoints to run folders and back: the spec that they are, their weights, their tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from tfdsl import building, checking, declared, disk, document
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.run import FOREIGN, Run
from tfdsl.training import subject
from tfdsl.training.fill import fill
from tfdsl.training.prepare import TOKENIZER
from tfdsl.weights import files, recognise
from tfdsl.weights.files import CONFIG, Tensors
from tfdsl.weights.pack import pack
from tfdsl.weights.read import read
from tfdsl.weights.write import write
from tfdsl.writing import plain

GENERATION = "generation_config.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SPARE = 10_000_000  # parameters that a checkpoint need not have: new heads


@dataclass(frozen=True, slots=True)
class Brought:
    """A checkpoint that was imported: its spec, of how many tensors it was made, of what, and its parameters."""

    folder: Path
    checked: Checked
    tensors: int
    parameters: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A checkpoint that was exported: how many tensors it has, and those of the imported one that it has not."""

    tensors: int
    left: tuple[str, ...]
    dtype: str


def load(checked: Checked, path: Path, model: nn.Module | None = None) -> tuple[nn.Module | None, list[Diagnostic]]:
    """Return the model of a sound spec (or `model`, which is one) with a checkpoint's weights, as `weights` maps them.

    The weights take the model's own dtype. Where something does not fit, the model is None, and none was changed.
    """
    tensors, problems = files.tensors(path)
    if tensors is None:
        return None, problems
    return _filled(checked, tensors, model)


def _filled(checked: Checked, tensors: Tensors, model: nn.Module | None) -> tuple[nn.Module | None, list[Diagnostic]]:
    assert checked.spec is not None, "only a sound spec is filled"
    if checked.spec.weights is None or not checked.spec.weights.map:
        message = f"the spec `{checked.spec.name}` does not say how a checkpoint's tensors map on to its weights"
        return None, [Diagnostic("R731", message, help="give it a `weights` section: docs/weights.md")]
    numbers = sum(tensors.count(name) for name in tensors)
    if declared.count(checked) > 2 * numbers + SPARE:  # before memory is asked for
        message = f"the spec has {declared.count(checked):,} parameters, and the checkpoint {numbers:,} numbers"
        return None, [Diagnostic("R725", message, help="the sizes of the spec are not the checkpoint's")]
    built = building.build(checked) if model is None else model

    def where(key: str) -> Span | None:
        return checked.document.span(("weights", "map", key))

    problems = read(built, checked.planned, checked.spec.weights, tensors, where)
    return (None, problems) if problems else (built, [])


def bring(
    folder: Path, output: Path | None = None, own: Checked | None = None
) -> tuple[Brought | None, list[Diagnostic]]:
    """Make a run folder of a Hugging Face checkpoint: its spec, its weights, its tokenizer where it has one.

    `own` is a sound spec with a `weights` section, in place of the one that `config.json` is. Nothing is written before
    all is well, and the folder is there whole or not at all. What is wrong, and what is left out, are diagnostics.
    """
    tensors, problems = files.tensors(folder)
    if tensors is None:
        return None, problems
    config, problems = files.read(folder / CONFIG)
    if config is None and (own is None or (folder / CONFIG).is_file()):
        return None, problems
    checked, problems = (own, []) if own is not None else _recognised(config or {}, tensors)
    if checked is None:
        return None, problems
    assert checked.spec is not None, "the spec is sound"
    output = output or Path("runs") / checked.spec.name
    problems = _free(output)
    model, found = (None, problems) if problems else _filled(checked, tensors, None)
    if model is None:
        return None, found
    tokenizer, said = _tokenizer(folder / TOKENIZER, checked)
    _write(output, checked, model, tokenizer, _kept(folder, config, tensors))
    count = sum(weight.numel() for weight in model.parameters())
    return Brought(output, checked, len(tensors), count, tensors.dtype), [*said, *_rounded(tensors)]


def _rounded(tensors: Tensors) -> list[Diagnostic]:
    """Warn where numbers are rounded: a run's weights are float32, which holds all of bfloat16 and float16."""
    wide = [name for name, dtype in tensors.dtypes.items() if dtype == "F64"]
    if not wide:
        return []
    which = f"`{wide[0]}`" + (f" and {len(wide) - 1:,} more" if len(wide) > 1 else "")
    help_ = "`tfdsl.load_weights` fills a model of your own dtype: `tfdsl.build(spec).double()`"
    return [Diagnostic("W623", f"{which} of float64 became float32, as a run's weights are", help=help_)]


def _recognised(config: Mapping[str, Any], tensors: Tensors) -> tuple[Checked | None, list[Diagnostic]]:
    spec, problems = recognise(config, tensors.files)
    if spec is None:
        return None, problems
    checked = checking.run(document.gather_text(spec.to_yaml(), f"<{spec.name}>", Path()))
    if checked.ok:
        return checked, []
    return None, [Diagnostic("R728", f"config.json makes no model: {each.message}") for each in checked.diagnostics]


def _free(output: Path) -> list[Diagnostic]:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return []
    help = "choose another folder with `-o`, or remove that one first"
    return [Diagnostic("R730", f"`{output}` is already there", label="not overwritten", help=help)]


def _tokenizer(path: Path, checked: Checked) -> tuple[Tokenizer | None, list[Diagnostic]]:
    """Return the checkpoint's tokenizer, where it has one that this model can read with."""
    vocab = subject.of(checked).vocab
    if not path.is_file():
        message = f"`{path}` is missing" if vocab else ""
        help = "the run has no tokenizer, so `tfdsl sample` cannot write text with it"
        return None, [Diagnostic("W529", message, help=help)] if message else []
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises the bare class
        return None, [
            Diagnostic("W529", f"`{path}` cannot be read: {str(error)[:200]}", help="the run has no tokenizer")
        ]
    most = max(tokenizer.get_vocab().values(), default=-1)
    if most >= vocab:
        message = f"`{path}` makes tokens to {most:,}, and the model takes {vocab:,} from 0"
        return None, [Diagnostic("W529", message, help="the run has no tokenizer")]
    return tokenizer, []


def _kept(folder: Path, config: Mapping[str, Any] | None, tensors: Tensors) -> dict[str, Any]:
    """Return what an export needs to know of the checkpoint, and which tokens end a text."""
    generation, _ = files.read(folder / GENERATION)
    end = {**(config or {}), **(generation or {})}.get("eos_token_id")
    ends = [each for each in (end if isinstance(end, list) else [end]) if isinstance(each, int)]
    positions = (config or {}).get("max_position_embeddings")
    shapes = {name: list(shape) for name, shape in tensors.shapes.items()}
    return {"config": config, "tensors": shapes, "end": ends, "positions": positions, "dtype": tensors.dtype}


def _write(
    output: Path, checked: Checked, model: nn.Module, tokenizer: Tokenizer | None, kept: Mapping[str, Any]
) -> None:
    """Write the run folder."""
    with disk.folder(output) as folder:
        disk.put(folder / FOREIGN, json.dumps(kept, indent=1) + "\n")
        fill(folder, subject.of(checked), checked.train, checked.sample, tokenizer, model, kept.get("positions"))


def send(
    run: Run, output: Path, config: Path | None = None, dtype: str = "float32"
) -> tuple[Sent | None, list[Diagnostic]]:
    """Write a run as a Hugging Face checkpoint of one `dtype`, in a new folder, and say what it holds.

    `config` is its `config.json`; a run that was imported has one. What has no place in a checkpoint is a diagnostic,
    and then nothing is written.
    """
    checked = checking.run(document.gather_text(run.spec, f"<{run.name}>", Path()))
    values, problems = _config(run, config)
    if values is None or checked.spec is None:
        return None, problems or list(checked.diagnostics)
    if checked.spec.weights is None or not checked.spec.weights.map:
        message = f"the spec `{checked.spec.name}` does not say how its weights are called in a checkpoint"
        return None, [Diagnostic("R731", message, help="give it a `weights` section: docs/weights.md")]
    foreign = run.foreign or {}
    shapes = {name: tuple(shape) for name, shape in foreign.get("tensors", {}).items()}
    tensors, problems = write(run.checkpoint.weights(), checked.planned, checked.spec.weights, shapes)
    problems = problems or _free(output)
    tensors, problems = (tensors, problems) if problems else _narrowed(tensors, dtype)
    if problems:
        return None, problems
    said = _doubts(checked, values, tensors)
    with disk.folder(output) as folder:
        disk.put(folder / files.ALONE, pack(tensors, {"format": "pt"}))
        kept = {key: value for key, value in values.items() if key != "torch_dtype"}
        disk.put(folder / CONFIG, json.dumps({**kept, "dtype": dtype}, indent=2) + "\n")
        if run.tokenizer is not None:
            disk.put(folder / TOKENIZER, run.tokenizer.to_str(pretty=True))
    return Sent(len(tensors), tuple(name for name in shapes if name not in tensors), dtype), said


def _narrowed(tensors: dict[str, Tensor], dtype: str) -> tuple[dict[str, Tensor], list[Diagnostic]]:
    """Return the tensors in a dtype, or say which of their numbers it cannot hold."""
    found = {name: each.to(DTYPES[dtype]) if each.is_floating_point() else each for name, each in tensors.items()}
    lost = [name for name, each in found.items() if not bool(each.isfinite().all())]
    if not lost:
        return found, []
    message = f"`{lost[0]}` holds numbers that are too large for {dtype}"
    return found, [Diagnostic("R873", message, help="bfloat16 has the range of float32")]


def _config(run: Run, path: Path | None) -> tuple[Mapping[str, Any] | None, list[Diagnostic]]:
    if path is not None:
        return files.read(path)
    kept = (run.foreign or {}).get("config")
    if isinstance(kept, dict):
        return kept, []
    help = "a run that was imported has one; give another's with `--config`"
    return None, [Diagnostic("R734", f"`{run.folder}` has no `config.json` to write", help=help)]


def _doubts(checked: Checked, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> list[Diagnostic]:
    """Return a warning where the config is not known to say what the spec says."""
    spec, _ = recognise(config, tensors)
    same = ("dims", "inputs", "outputs", "defaults", "blocks", "model")
    if spec is not None and all(plain(getattr(spec, each)) == plain(getattr(checked.spec, each)) for each in same):
        return []
    message = "`config.json` is as it was, and is not known to say what this spec says"
    return [Diagnostic("W530", message, help="compare the two before you rely on what was exported")]
