"""What the trainer is given: a model that can be built, and what its spec says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokenizers import Tokenizer
from torch import nn

from tfdsl import building, declared
from tfdsl.checking import Checked
from tfdsl.codegen.write import write
from tfdsl.diagnostics import Span


def nowhere(path: str) -> Span | None:
    """Know of no place in a text."""
    return None


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to train.

    `spec` and `source` are the texts of the spec and of the emitted module, kept with the run; `build` makes the module
    anew, its weights drawn from torch's generator; `vocab` is the number of tokens that it takes, `context` the most
    positions (None: any number), `decays` the names of the weights that decay (None: matrices); `where` finds the place
    in the spec of a setting such as `train.tokenizer.vocab_size`. `reads_text` says that the model turns one sequence
    of tokens into logits for each. A model that was trained before brings its `tokenizer`, the tokens that `end` a text
    with it, and the files (`keeps`, their texts by name) that its run folder has besides.
    """

    name: str
    spec: str
    source: str
    build: Callable[[], nn.Module]
    vocab: int
    context: int | None = None
    decays: frozenset[str] | None = None
    where: Callable[[str], Span | None] = nowhere
    reads_text: bool = True
    tokenizer: Tokenizer | None = None
    end: tuple[int, ...] = ()
    keeps: Mapping[str, str] = field(default_factory=dict[str, str])


def of(checked: Checked) -> Subject:
    """Return the subject that a sound spec describes."""
    assert checked.ok and checked.spec is not None, "only a sound spec is trained"
    spec = checked.spec
    tokens = [value.tensor for value in checked.inputs.values() if value.tensor.vocab is not None]
    outputs = [value.tensor for value in checked.outputs.values()]
    places = {"vocab": ("inputs", next(iter(checked.inputs), ""), "vocab")}

    def where(path: str) -> Span | None:
        return checked.document.span(places.get(path, tuple(path.split("."))))

    vocab = tokens[0].vocab.size if tokens and tokens[0].vocab is not None else 0
    return Subject(
        name=spec.name,
        spec=spec.to_yaml(),
        source=write(checked).text,
        build=lambda: building.build(checked),
        vocab=vocab if isinstance(vocab, int) else 0,
        context=min(checked.limits.values(), default=None),
        decays=frozenset(
            name for name, weight in declared.weights(checked).items() if weight.decays and not weight.tied
        ),
        where=where,
        reads_text=len(tokens) == len(checked.inputs) == len(outputs) == 1
        and [axis.size for axis in outputs[0].axes] == [*(axis.size for axis in tokens[0].axes), vocab],
    )
