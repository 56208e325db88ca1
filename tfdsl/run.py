"""A run folder, opened: a model with its weights and tokenizer, ready to be asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer
from torch import nn

from tfdsl import building, checking, declared, document, roles, sampling, settings
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.faults import RunError
from tfdsl.reading import answers, questions
from tfdsl.reading import classify as classifying
from tfdsl.reading import embed as embedding
from tfdsl.reading import fill as filling
from tfdsl.reading import held_out as measuring
from tfdsl.reading import score as scoring
from tfdsl.reading.classify import Classified
from tfdsl.reading.embed import Embedded
from tfdsl.reading.examples import Example, Given
from tfdsl.reading.fill import Filled
from tfdsl.reading.score import Pair, Scored
from tfdsl.reading.trained import Trained, labels
from tfdsl.sampling import Author, Generation, ready
from tfdsl.sampling.answering import Answering
from tfdsl.sampling.chain import TAKES, Processor
from tfdsl.sampling.models import Hastened, Models
from tfdsl.sampling.prompts import explain, unreadable
from tfdsl.sampling.quick import Tell, silent
from tfdsl.sampling.small import Weights
from tfdsl.training import checkpoint, sums
from tfdsl.training.checkpoint import Checkpoint
from tfdsl.training.folder import FOREIGN, Unfit, kept_in
from tfdsl.training.prepare import SPEC
from tfdsl.training.subject import Subject
from tfdsl.training.task import Measured

Result = TypeVar("Result")
_USUAL: Any = object()  # in place of prompts: what the settings say


@dataclass(frozen=True, slots=True)
class Run:
    """A trained model on disk. `context` is the number of positions that it was trained on.

    An imported one may have no `tokenizer`; `foreign` is what it knows of its checkpoint, `end` the tokens that end a
    text; `about` what it knows of its data, such as the names of classes. The model that answers is `kept`.
    """

    folder: Path
    name: str
    spec: str
    source: str
    train: settings.Train
    sample: settings.Sample
    tokenizer: Tokenizer | None
    checkpoint: Checkpoint
    context: int
    foreign: dict[str, Any] | None = None
    about: dict[str, Any] = field(default_factory=dict[str, Any])
    _made: dict[Any, Any] = field(default_factory=dict[Any, Any], init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return what a person wants to know of it, on a line."""
        told = [f"step {self.checkpoint.step:,}"]
        with suppress(RunError):  # a spec that was changed is told by what asks for it
            told.insert(0, f"{self.parameters:,} parameters")
        if self.loss is not None:
            told.append(f"held out {self.loss:.3f} nats")
        told.append(f"context {self.context:,}")
        if self.about.get("vocab"):
            told.append(f"vocabulary {self.about['vocab']:,}")
        return f"Run({str(self.folder)!r}, {self.name}: {', '.join(told)})"

    @property
    def parameters(self) -> int:
        """Return the number of parameters, tied ones counted once; raises RunError where the spec has errors."""
        return declared.count(self.checked())

    @property
    def step(self) -> int:
        """Return the step that the weights are of."""
        return self.checkpoint.step

    @property
    def loss(self) -> float | None:
        """Return the loss on held-out examples that was measured last at that step, in nats; None where none was."""
        return self.checkpoint.state.get("held_out")

    @property
    def end(self) -> tuple[int, ...]:
        """Return the tokens that end a text, where a checkpoint said so."""
        return tuple(self.foreign["end"]) if self.foreign else ()

    def model(self, build: Callable[[], nn.Module]) -> nn.Module:
        """Return the module that `build` makes, with the run's weights, ready for inference.

        Raises ValueError where the weights are not that module's.
        """
        module = build()
        checkpoint.fill(module, self.checkpoint.weights())
        return ready(module)

    def checked(self) -> Checked:
        """Return the run's spec, checked; raises RunError where it has errors."""
        if "checked" not in self._made:
            found = checking.run(document.gather_text(self.spec, "<text>", Path()))
            if not found.ok:
                message = f"`{self.folder / SPEC}` is no sound spec: it was changed, or is of another version of tfdsl"
                help_ = f"make it sound: tfdsl check {self.folder / SPEC}"
                raise RunError([Diagnostic("R706", message, help=help_)])
            self._made["checked"] = found
        return self._made["checked"]

    def built(self) -> nn.Module:
        """Return the run's model with its weights, ready for inference: built when it is first asked for.

        It is built from the spec, never from the folder's model.py: a run may come from elsewhere, and a spec cannot
        carry code.
        """
        if "module" not in self._made:
            checked = self.checked()
            try:
                self._made["module"] = self.model(lambda: building.build(checked))
            except ValueError as error:
                what = str(error).partition(": ")[2]
                message = f"the weights in `{self.folder}` are not those of its `{SPEC}`: {what}"
                help_ = "the spec was changed, or files of two runs are mixed: train it anew, or put its own back"
                raise RunError([Diagnostic("R706", message, help=help_)]) from None
        return self._made["module"]

    def models(self) -> Models:
        """Return the run's model in all forms in which it writes: each is made when it is first asked for."""
        if "models" not in self._made:
            checked = self.checked()
            fresh = partial(self.model, partial(building.build, checked))
            self._made["models"] = Models(self.folder, checked, self.built, fresh)
        return self._made["models"]

    def author(
        self,
        chosen: settings.Sample | None = None,
        draft: Run | Path | str | None = None,
        tell: Tell = silent,
    ) -> Author:
        """Return the run's model as one that writes; raises RunError where it does not go on from a text.

        `draft` guesses ahead: a smaller run, or its folder, which the settings may name too. What takes long is told
        at once.
        """
        chosen = chosen or settings.Sample()
        signature = roles.of(self.checked())
        if answers.writes(signature):
            return self._answering(self._drafting(draft or chosen.draft, chosen, tell), tell)
        if unfit := sampling.against(signature):
            raise RunError(questions.instead(self.trained(), unfit))
        models = self.models()
        (words,), limit = signature.texts(), min(signature.limits.values(), default=None)
        known = (words.vocab, self.context, limit, self.end, models.ragged)
        hasten = partial(models.hasten, tell=tell)
        small = self._drafting(draft or chosen.draft, chosen, tell)
        return Author(models, self.tokenizer, *known, hasten, small, made=self.trained().made)

    def _answering(self, small: Author | None, tell: Tell) -> Author:
        """Return the run's model as one that writes a text for a source."""
        config = (self.foreign or {}).get("config")
        author = _sound(answers.author(self.trained(), self.end, config))
        opener, models = author.open, self.models()
        assert isinstance(opener, Answering), "it was made so"

        def hasten(chosen: settings.Sample, rows: int, several: bool) -> Hastened:
            _, quick = models.quickened(chosen, rows, False, opener.call, tell)
            return Hastened(replace(opener, model=quick.model), quick.notes, quick.said)

        return replace(author, hasten=hasten, draft=small)

    def _drafting(self, draft: Run | Path | str | None, chosen: settings.Sample, tell: Tell) -> Author | None:
        """Return what guesses for this run; raises RunError where it cannot be opened."""
        if draft is None:
            return None
        given: Any = draft
        if not isinstance(given, Run | Path | str):
            message = f"`draft` is a run or its folder, and is {given!r:.40}"
            raise RunError([Diagnostic("R851", message, label="no run", help="`tfdsl.open_run` opens one")])
        if isinstance(draft, Run):
            small = draft
        else:
            if ("draft", str(draft)) not in self._made:
                found, said = open_run(Path(draft))
                if found is None:
                    raise RunError(said)
                self._made["draft", str(draft)] = found
            small: Run = self._made["draft", str(draft)]
        return small.author(chosen.model_copy(update={"draft": None}), tell=tell)

    def generate(
        self,
        prompts: str | Iterable[str] = _USUAL,
        *,
        processors: Sequence[Processor] = (),
        draft: Run | Path | str | None = None,
        **chosen: Any,
    ) -> Generation:
        """Return the texts that the model writes behind prompts, drawn while they are iterated over.

        `chosen` are settings of the `sample` section; what is not given is as the run's spec says. `processors` are
        functions of the tokens [B, T] so far (-1 stands before the shorter rows) and of logits [B, V], which return
        such logits; they come before temperature and filters. `draft` is a smaller run, or its folder, which guesses
        ahead. Without prompts, the settings' own `prompt` is gone on from. Raises RunError for what is no setting or
        out of its range, for a prompt that the tokenizer cannot read, and for a model that does not go on from a text.
        """
        if draft is not None:
            chosen["draft"] = str(draft.folder if isinstance(draft, Run) else draft)  # what is neither is told below
        if "prompt" in chosen and prompts is not _USUAL:
            raise _wrong("`prompt` is given beside prompts", "leave one of them out")
        try:
            settled = settings.Sample.read(settings.anew(self.sample, chosen))
        except ValidationError as error:
            raise _wrong(explain(error), "the settings are those of the `sample` section") from None
        asked = [settled.prompt] if prompts is _USUAL else _prompts(prompts)
        return _sound(self.write(settled, asked, _each(processors), draft))

    def write(
        self,
        chosen: settings.Sample,
        prompts: Sequence[str],
        processors: Sequence[Processor] = (),
        draft: Run | Path | str | None = None,
        numbers: Sequence[int] | None = None,
        tell: Tell = silent,
    ) -> tuple[Generation | None, list[Diagnostic]]:
        """Return the texts that follow prompts, to be drawn as they are asked for, with notes and what is wrong.

        What is wrong with a prompt, which is called by its number, leaves it out and the others there. What takes long
        is told at once.
        """
        return sampling.begin(self.author(chosen, draft, tell), chosen, prompts, processors, numbers)

    def trained(self, weights: Weights = "float32") -> Trained:
        """Return the run's model and what is known of it, ready to be asked, its linear maps in such weights.

        Raises RunError where the folder holds what does not belong together.
        """
        if weights not in (usual := get_args(Weights)):
            raise _wrong(f"`weights` is {weights!r:.40}", f"it is one of {', '.join(f'`{each}`' for each in usual)}")
        if "trained" not in self._made:
            train = self.train.model_copy(update={"context": self.context})
            made = self.train.tokenizer.file is None and self.foreign is None
            imported = self.foreign is not None
            about = {**self.about, "labels": self.about.get("labels") or labels((self.foreign or {}).get("config"))}
            known = (self.checked(), self.built(), train, self.tokenizer, made, about, imported)
            self._made["trained"] = Trained(*known)
        if weights == "float32":
            return self._made["trained"]
        if ("trained", weights) not in self._made:
            small = self.models().form(weights, False).module
            self._made["trained", weights] = replace(self._made["trained"], model=small)
        return self._made["trained", weights]

    def fill(self, texts: str | Sequence[str], top: int = 5) -> tuple[Filled, ...]:
        """Return the `top` likeliest words of each mask (`[MASK]`) of each text; raises RunError where none can be."""
        several: Any = texts if isinstance(texts, tuple) else _listed(texts)
        return _sound(filling.fill(self.trained(), several, top))

    def classify(
        self, given: Given | Sequence[Given], top: int = 1, output: str | None = None
    ) -> tuple[Classified, ...]:
        """Return the `top` likeliest classes of each text, pair of texts or image (an array, or the path of some).

        Raises RunError where they cannot be read, or the model tells no classes apart.
        """
        return _sound(classifying.classify(self.trained(), _listed(given), top, output))

    def embed(self, given: Given | Sequence[Given], unit: bool = True, output: str | None = None) -> Embedded:
        """Return the vectors of texts, or of images (arrays, or their paths), of length 1 unless `unit` is False.

        Raises RunError where they cannot be read, or the model gives no vectors.
        """
        return _sound(embedding.embed(self.trained(), _listed(given), unit=unit, output=output))

    def score(
        self,
        given: str | Pair | Sequence[str] | Sequence[Pair],
        window: int | None = None,
        stride: int | None = None,
        weights: Weights = "float32",
    ) -> tuple[Scored, ...]:
        """Return how likely each text is, or each target given its source, in windows of so many tokens.

        A model of masked words judges each token by all others, each masked in turn (`Scored.pseudo`). `weights` are
        what its linear maps are stored in. Raises RunError where texts cannot be read, or the model foretells none.
        """
        several: Any = _listed(given)
        return _sound(scoring.score(self.trained(weights), several, window=window, stride=stride))

    def held_out(self, weights: Weights = "float32") -> Measured:
        """Return what the model comes to on the examples that the run held out; raises RunError where it has none.

        `weights` are what its linear maps are stored in; products are of float32.
        """
        return _sound(measuring.held_out(self.trained(weights), self.folder))


def _wrong(message: str, help_: str) -> RunError:
    return RunError([Diagnostic("R814", message, label="not a setting", help=help_)])


def _prompts(given: Any) -> Sequence[Any]:
    """Return what is asked as a list; raises RunError for what has no order, and for what is one thing and no text."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, bytes | Mapping | Set) or not isinstance(given, Iterable):
        raise RunError(list(unreadable([given], ["the prompt"]).values()))
    return list(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  (`begin` looks at each)


def _each(processors: Any) -> Sequence[Any]:
    """Return processors as a list, of which `begin` looks at each; raises RunError for what is none."""
    if not isinstance(processors, Iterable):
        raise RunError([Diagnostic("R814", "`processors` is a list of functions", label="no list", help=TAKES)])
    return list(processors)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _listed(given: Any) -> list[Any]:
    """Return what was given as a list: one of it where it is one, whatever it is."""
    alone = isinstance(given, str | Path | tuple | np.ndarray | Example)
    several: Iterable[Any] = [given] if alone or not isinstance(given, Iterable) else given
    return list(several)


def _sound(answer: tuple[Result | None, list[Diagnostic]]) -> Result:
    """Return an answer; raises RunError where something is wrong."""
    found, said = answer
    if any(each.severity == "error" for each in said):
        raise RunError(said)
    assert found is not None, "what is not there was said to be wrong"
    return found


def open_run(folder: Path, *, best: bool = True) -> tuple[Run | None, list[Diagnostic]]:
    """Open a run folder at its best checkpoint (by held-out loss), or at its last; a damaged one is named, not used.

    Files that are not as the run left them are named; with another tokenizer it is not opened.
    """
    try:
        kept = kept_in(folder)
    except Unfit as fault:
        return None, [Diagnostic("R706", f"`{folder}` is no run folder: {fault}", help="`tfdsl train` makes one")]
    whole, damaged = checkpoint.found(folder / "checkpoints")
    said = [Diagnostic("W571", fault, label="left aside") for fault in damaged]
    if not whole:
        return None, [*said, Diagnostic("R706", f"`{folder}` holds no whole checkpoint")]
    last = whole[-1]
    wanted = last.state["best_step"] if best and last.state["best"] is not None else last.step
    chosen = next((point for point in whole if point.step == wanted), whole[-1])
    said += sums.opened(folder, chosen.state)
    if any(each.severity == "error" for each in said):
        return None, said
    model = kept.model
    context = kept.train.context or model["context"]
    known = (kept.spec, kept.source, kept.train, kept.sample, kept.tokenizer)
    return Run(folder, model["name"], *known, chosen, context, kept.foreign, model), said


def onward(subject: Subject, run: Run) -> tuple[Subject | None, list[Diagnostic]]:
    """Return the subject with a run's weights as its first ones, and with its tokenizer; or why that cannot be."""
    weights = run.checkpoint.weights()

    def build() -> nn.Module:
        module = subject.build()
        with torch.no_grad():
            checkpoint.fill(module, weights)
        return module

    try:
        build()
    except ValueError as error:
        message = f"the weights of `{run.folder}` are not those of `{subject.name}`: {str(error).partition(': ')[2]}"
        return None, [Diagnostic("R735", message, help=f"its own spec is `{run.folder / SPEC}`")]
    keeps = {FOREIGN: json.dumps(run.foreign, indent=1) + "\n"} if run.foreign else {}
    known = {"tokenizer": run.tokenizer, "setting": run.train.tokenizer, "end": run.end, "keeps": keeps}
    return replace(subject, build=build, trained=True, **known), []
