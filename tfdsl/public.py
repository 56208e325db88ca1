"""The public calls."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdsl import checking, disk, document
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.faults import RunError, RunWarning, SpecError
from tfdsl.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from tfdsl.costing import Cost
    from tfdsl.diagram import Figure
    from tfdsl.run import Run
    from tfdsl.sweeping.run import Sweep
    from tfdsl.training import Outcome

Source = str | Path | Spec | Checked


def check(source: Source, overrides: Sequence[str] = ()) -> Checked:
    """Check a spec and return what it means and what is wrong with it; never raises for what stands in a spec.

    `overrides` are settings from outside: `["dims.d_model=64"]`. Raises TypeError for what is no source.
    """
    if isinstance(overrides, str):
        overrides = (overrides,)
    if isinstance(source, Checked):
        return check(source.spec, overrides) if overrides and source.spec is not None else source
    if not isinstance(source, Spec | str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]  (of who does not check)
        kind = type(source).__name__
        raise TypeError(f"a spec is a path, YAML text, a Spec, or what `check` returned, and not a {kind}")
    if isinstance(source, Spec):
        return checking.run(document.gather_text(source.to_yaml(), f"<{source.name}>", Path(), overrides))
    if isinstance(source, str) and "\n" in source:
        return checking.run(document.gather_text(source, "<text>", Path(), overrides))
    return checking.run(document.gather(Path(source), overrides))


def load(source: Source, overrides: Sequence[str] = ()) -> Spec:
    """Return the spec as a pydantic graph of Python objects; raises SpecError where it has errors."""
    spec = sound(source, overrides).spec
    assert spec is not None, "a spec without errors is there"
    return spec


def sound(source: Source, overrides: Sequence[str] = ()) -> Checked:
    """Return the checked spec; raises SpecError where it has errors."""
    checked = check(source, overrides)
    if not checked.ok:
        raise SpecError(checked)
    return checked


def cost(source: Source, axes: Mapping[str, int] | None = None, batch: int | None = None) -> Cost:
    """Count parameters, FLOPs and memory at the lengths in `axes`; raises SpecError; AxisError for an unknown axis."""
    from tfdsl import costing

    return costing.count(sound(source), axes, batch)


def draw(source: Source, theme: str = "light", level: str = "block") -> Figure:
    """Return a spec's figure: DOT text, which a notebook shows drawn and which `save(path)` writes as a picture.

    At the level `full`, attention and feed-forward layers are shown with what they do within. Raises SpecError for the
    spec, DrawError for a theme other than `light` and `dark` and for a level other than `block` and `full`.
    """
    from tfdsl import diagram

    return diagram.Figure(diagram.draw(sound(source), theme, level))


def compile(source: Source) -> str:
    """Return a spec as the text of one Python file that needs torch alone; raises SpecError."""
    from tfdsl.codegen import write

    return write.write(sound(source)).text


def build(source: Source) -> nn.Module:
    """Return a spec as a torch module, made by the text that `compile` returns; raises SpecError."""
    from tfdsl import building

    return building.build(sound(source))


def train(
    source: Source, folder: str | Path, overrides: Sequence[str] = (), start: Run | str | Path | None = None
) -> Run:
    """Train a spec as its `train` section says, in a new run folder, and return the run.

    `overrides` are settings from outside: `["train.steps=200"]`; `start` is a run whose weights and tokenizer it begins
    with. Ctrl-C (SIGINT) and SIGTERM end the run at the next step, with its weights saved, and are then what they are
    elsewhere: the former raises KeyboardInterrupt; `resume` goes on. Raises SpecError for the spec, RunError where the
    data and the model do not go together, the folder holds a run or cannot be written, or the loss is no number.
    """
    from tfdsl import run as runs
    from tfdsl import training
    from tfdsl.training import subject

    checked, place = sound(source, overrides), Path(folder)
    taken = subject.of(checked)
    if start is not None:
        onward, found = runs.onward(taken, open_run(start) if isinstance(start, str | Path) else start)
        if onward is None:
            raise RunError(found)
        taken = onward
    with _written(place):
        outcome, found = training.train(taken, checked.train, place, sample=checked.sample)
    return _ended(outcome, found, place)


def resume(folder: str | Path) -> Run:
    """Take the run in `folder` up at its last whole checkpoint, and return it; it ends as it would have, to the bit.

    Its settings are those that it began with; a run that has come to its end is returned as it is. Signals are as in
    `train`. Raises RunError where the folder holds no run, or one that cannot go on.
    """
    from tfdsl import training
    from tfdsl.training import subject

    place = Path(folder)
    if not (place / "spec.yaml").is_file():
        raise RunError([Diagnostic("R706", f"`{place}` holds no run to take up", help="`tfdsl.train` makes one")])
    taken = subject.of(sound(place / "spec.yaml"))
    with _written(place):
        outcome, found = training.resume(taken, place)
    return _ended(outcome, found, place)


@contextlib.contextmanager
def _written(folder: Path) -> Generator[None]:
    """Raise RunError where a folder cannot be written."""
    try:
        yield
    except OSError as error:
        message = f"the run cannot be written into `{folder}`: {disk.reason(error)}"
        raise RunError([Diagnostic("R761", message, help="make room there, or choose another folder")]) from error


def _ended(outcome: Outcome | None, found: list[Diagnostic], folder: Path) -> Run:
    """Return the run that ended well; raises RunError where it did not, and what a signal does where one ended it."""
    if outcome is None or outcome.end in ("diverged", "unsaved"):
        raise RunError(found)
    if outcome.end == "signal" or outcome.signal is not None:
        if outcome.signal not in (None, signal.SIGINT):
            signal.raise_signal(outcome.signal)
        message = f"the run is saved after {outcome.step:,} steps: go on with tfdsl.resume({str(folder)!r})"
        raise KeyboardInterrupt(message)
    return open_run(folder)


def sweep(
    source: Source,
    folder: str | Path,
    vary: Mapping[str, Sequence[Any]] | None = None,
    *,
    zipped: Mapping[str, Sequence[Any]] | None = None,
    seeds: int = 1,
    overrides: Sequence[str] = (),
    jobs: int = 1,
    start: str | Path | None = None,
) -> Sweep:
    """Train a spec with every combination of values, each in a folder of its own, and return what they came to.

    `vary` gives the values of sizes and settings: `{"dims.n_layers": [2, 4], "train.optimizer.lr": [1e-3, 3e-4]}`;
    those in `zipped` change in step. `jobs` runs go at a time, each a process of its own. Called again, it goes on
    where it was; a run that fails is a row that says why. Raises SpecError for the spec, RunError where any combination
    is wrong (none is trained then), where `start` is no run, or where the folder cannot be written.
    """
    from tfdsl.sweeping import grid, run, work

    if problems := grid.refused({**(vary or {}), **(zipped or {})}, seeds=seeds, jobs=jobs):
        raise RunError(problems)
    plain = sound(source, overrides).spec
    assert plain is not None, "a spec without errors is there"
    base = plain if isinstance(source, Checked) else source

    def checked(others: Sequence[str]) -> Checked:
        return check(base, (*overrides, *others))

    if start is not None:
        open_run(start)
    place = Path(folder)
    begun = None if start is None else str(start)
    plan = run.planned(checked, grid.written(vary or {}), grid.written(zipped or {}), seeds, place, begun)
    if plan.problems:
        raise RunError(plan.problems)
    with _written(place):
        return run.run(plan, place, jobs, begun, work.Silent())


def open_run(folder: str | Path) -> Run:
    """Open a run folder; raises RunError where there is none, or none that is whole.

    Warns (RunWarning) of a damaged checkpoint, which is left aside, and of files that were changed.
    """
    from tfdsl import run as runs

    opened, found = runs.open_run(Path(folder))
    if opened is None:
        raise RunError(found)
    for each in found:
        warnings.warn(RunWarning(each), stacklevel=2)
    return opened


def load_weights(source: Source, path: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Return a spec's model with the weights of a foreign checkpoint, mapped as the spec's `weights` section says.

    `path` is a folder with `*.safetensors`, or one such file. `model`, where it is given, is the spec's own, and is
    filled in its dtype. Raises SpecError for the spec, RunError where a tensor is missing, left over or of another
    shape; nothing is filled then.
    """
    from tfdsl import porting

    filled, found = porting.load(sound(source), Path(path), model)
    if filled is None:
        raise RunError(found)
    return filled


def import_checkpoint(folder: str | Path, output: str | Path, source: Source | None = None) -> Run:
    """Make a run folder of a Hugging Face checkpoint, and return the run.

    `source` is a spec with a `weights` section, in place of the one that the checkpoint's `config.json` is. Raises
    SpecError for that spec, RunError for a checkpoint that cannot be honoured.
    """
    from tfdsl import porting

    brought, found = porting.bring(Path(folder), Path(output), None if source is None else sound(source))
    if brought is None:
        raise RunError(found)
    return open_run(brought.folder)


def export_checkpoint(
    source: Run | str | Path, output: str | Path, config: str | Path | None = None, dtype: str = "float32"
) -> None:
    """Write a run as a Hugging Face checkpoint: `config.json` and `model.safetensors` under the names of its family.

    `config` is the `config.json` to write; a run that was imported has one. `dtype` is `float32`, `bfloat16` or
    `float16`. Raises RunError where a weight has no place in the checkpoint.
    """
    from tfdsl import porting

    opened = open_run(source) if isinstance(source, str | Path) else source
    if dtype not in porting.DTYPES:
        raise ValueError(f"dtype is one of {', '.join(porting.DTYPES)}, and not {dtype}")
    sent, found = porting.send(opened, Path(output), None if config is None else Path(config), dtype)
    if sent is None:
        raise RunError(found)


def sample(
    source: Run | str | Path,
    prompt: str | None = None,
    *,
    length: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the text that a run's model writes behind `prompt`, piece by piece.

    What is not given is as the run's `settings.json` says. Raises RunError for a prompt that the tokenizer
    cannot read, and for a model that does not go on from a text.
    """
    opened = open_run(source) if isinstance(source, str | Path) else source
    asked = {
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "greedy": greedy,
        "seed": seed,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    generation = opened.generate(**given) if prompt is None else opened.generate(prompt, **given)
    return (piece.text for piece in generation if piece.text)
