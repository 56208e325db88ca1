"""What the trainer is given: a model that can be built, and what its spec says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer
from torch import nn

from tfdsl import building, costing, heads, roles, settings
from tfdsl.checking import Checked
from tfdsl.codegen.write import write
from tfdsl.costing import Cost
from tfdsl.diagnostics import Span
from tfdsl.heads import Head
from tfdsl.roles import Signature
from tfdsl.training import groups
from tfdsl.training.groups import Known


def nowhere(path: str) -> Span | None:
    """Know of no place in a text."""
    return None


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to train.

    `spec` and `source` are the texts of the spec and of the emitted module, kept with the run; `build` makes the module
    anew, its weights drawn from torch's generator; `signature` says what it takes and gives, `weights` which it trains
    (None: those of the module), `head` the module that the loss may do the work of; `where` finds the place in the spec
    of a setting such as `train.tokenizer.vocab_size`. A model that was trained before brings its `tokenizer` (and the
    `setting` that it was made by), the tokens that `end` a text with it, and the files (`keeps`, their texts by name)
    that its run folder has besides. `trained` says that `build` gives weights that were trained before, `costs` what it
    costs at lengths of its axes.
    """

    name: str
    spec: str
    source: str
    build: Callable[[], nn.Module]
    signature: Signature
    weights: tuple[Known, ...] | None = None
    head: Head | None = None
    where: Callable[[str], Span | None] = nowhere
    trained: bool = False
    tokenizer: Tokenizer | None = None
    setting: settings.Tokenizer | None = None
    end: tuple[int, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict[str, str])
    costs: Callable[[Mapping[str, int]], Cost] | None = None

    def known(self) -> tuple[Known, ...]:
        """Return the weights that it trains."""
        if self.weights is not None:
            return self.weights
        with torch.device("meta"):
            return groups.of_model(self.build())

    @property
    def vocab(self) -> int:
        """Return the number of words of the model's texts; 0 where it reads none."""
        return max((each.vocab for each in self.signature.texts()), default=0)

    @property
    def pad(self) -> int | None:
        """Return the word that stands for nothing, where there is one."""
        return next((each.pad for each in self.signature.texts() if each.pad is not None), None)

    @property
    def context(self) -> int | None:
        """Return the most positions that every axis can have; None: any number."""
        return min(self.signature.limits.values(), default=None)


def of(checked: Checked) -> Subject:
    """Return the subject that a sound spec describes."""
    assert checked.ok and checked.spec is not None, "only a sound spec is trained"
    spec = checked.spec
    signature = roles.of(checked)
    words = next((each.name for each in signature.texts()), "")
    places = {"vocab": ("inputs", words, "vocab")}

    def where(path: str) -> Span | None:
        keys = tuple(int(key) if key.isdigit() else key for key in path.split("."))
        return checked.document.span(places.get(path, keys))

    return Subject(
        name=spec.name,
        spec=spec.to_yaml(),
        source=write(checked).text,
        build=lambda: building.build(checked),
        signature=signature,
        weights=groups.known(checked),
        head=heads.of(checked),
        where=where,
        costs=lambda axes: costing.count(checked, axes),
    )
