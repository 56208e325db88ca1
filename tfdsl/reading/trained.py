"""A trained model that is asked: the module, what its spec and its run say of it, and how texts are read for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from tfdsl import heads, roles, settings, tokens
from tfdsl.checking import Checked
from tfdsl.data.encode import Encoder
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding

Row = NDArray[np.int64]


def labels(config: Mapping[str, Any] | None) -> list[str]:
    """Return the names of the classes by number, where the config of a checkpoint tells them."""
    told: Any = (config or {}).get("id2label")
    if not isinstance(told, dict):
        return []
    names: list[Any] = [told.get(str(number)) for number in range(len(told))]  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return names if all(isinstance(each, str) for each in names) else []


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with its weights, and what is known of it.

    `about` is what its run says of the data (`labels`, `image`); `made` that the tokenizer was made for the run, so
    that a text never holds a mark; `train` its settings, in which the context is known; `imported` that these are not
    what it was trained with.
    """

    checked: Checked
    model: nn.Module
    train: settings.Train
    tokenizer: Tokenizer | None = None
    made: bool = True
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    imported: bool = False

    @property
    def context(self) -> int:
        """Return the most positions that a text may take: those that the run was made for, and that the model has."""
        assert self.train.context is not None, "a run knows its context"
        return self.train.context if self.most is None else min(self.train.context, self.most)

    @property
    def most(self) -> int | None:
        """Return the most positions that the model has for a text; None: any number."""
        axes = [each.shape[1] for each in self.signature.texts() if len(each.shape) == 2]
        held = [axis if isinstance(axis, int) else self.signature.limits.get(axis) for axis in axes]
        return min((most for most in held if most is not None), default=None)

    @cached_property
    def signature(self) -> Signature:
        """Return what the model takes and gives, its inputs fed as the settings say."""
        plain = roles.of(self.checked)
        known = {name: feed for name, feed in self.train.inputs.items() if name in plain.inputs}
        return replace(
            plain, inputs={name: replace(each, feed=known.get(name, "")) for name, each in plain.inputs.items()}
        )

    def pictured(self, mean: Sequence[float], deviation: Sequence[float], size: int | None) -> Trained:
        """Return the same with images read in a way that is said here, where it is: brightness is from 0 to 255."""
        known = dict(self.about.get("image") or {})
        known |= {name: list(each) for name, each in (("mean", mean), ("deviation", deviation)) if each}
        image = {"image": known} if {"mean", "deviation"} <= known.keys() else {}
        data = self.train.data or settings.Data(source=".")
        if size is not None:
            shapes = [each.shape for each in self.signature.inputs.values() if len(each.shape) == 4]
            channels = next((shape[1] for shape in shapes if shape[1] in (1, 3)), None)
            data = data.model_copy(
                update={"image": settings.Image.model_validate({"size": size, "channels": channels})}
            )
        return replace(self, about={**self.about, **image}, train=self.train.model_copy(update={"data": data}))

    def one_output(self, name: str | None) -> tuple[Signature, list[Diagnostic]]:
        """Return the signature with one output left where one is named, here or in the settings."""
        settled = self.train.model_copy(update={"output": name or self.train.output, "inputs": {}})
        found, problems = binding.chosen(self.signature, settled)
        return replace(found, inputs=self.signature.inputs), [each for _, each in problems]

    @cached_property
    def scored(self) -> Any:
        """Return the model as a call whose head can be left to who reads its scores."""
        return heads.leave(self.model, heads.of(self.checked), self.model)

    def mark(self, name: str) -> int | None:
        """Return a mark of the tokenizer."""
        found: int | None = None if self.tokenizer is None else getattr(tokens.marks(self.tokenizer), name)
        return found

    def tokens(self, texts: Sequence[str], special: bool = False) -> list[Row]:
        """Return the tokens of texts that can be read, as the trainer makes them.

        `special` lets a tokenizer that was loaded put its own marks around a text.
        """
        assert self.tokenizer is not None, "`wordless` was asked"
        return [each.astype(np.int64) for each in Encoder(self.tokenizer, self.made, special)(texts)] if texts else []

    def wordless(self) -> list[Diagnostic]:
        """Say where no text can be read, for there is no tokenizer."""
        if self.tokenizer is not None:
            return []
        help_ = "put the `tokenizer.json` of the model into the run's folder"
        return [Diagnostic("R732", "the run has no tokenizer, so it reads and writes no text", help=help_)]

    def unread(self, texts: Sequence[str], names: Sequence[str]) -> dict[int, Diagnostic]:
        """Say which texts cannot be read: those with a character that the tokenizer does not know, or half of one."""
        assert self.tokenizer is not None, "`wordless` was asked"
        found: dict[int, Diagnostic] = {}
        strange = {
            *tokens.unknown(self.tokenizer, "".join({*"".join(texts)}))
        }  # of all at once: it asks the vocabulary
        for place, (text, name) in enumerate(zip(texts, names, strict=True)):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                message = f"{name} holds half of a character, or bytes that are no UTF-8"
                found[place] = Diagnostic("R831", message, label="not text", help="give it as UTF-8")
            elif unknown := strange & {*text}:
                letters = ", ".join(repr(letter) for letter in sorted(unknown)[:5])
                message = f"{name} holds characters that the model never saw: {letters}"
                found[place] = Diagnostic("R711", message, help="write the text in characters of the training text")
        return found
