"""What a model takes and gives, and what each of it is for: the question that training and sampling ask of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tfdsl.checking import Checked
from tfdsl.remembering import remembered, steps
from tfdsl.shapes import Tensor

Extent = int | str  # a size, or the name of a symbolic axis
Kind = Literal["tokens", "whole", "numbers", "mask", "documents"]
WORDS = ("text", "source", "target")  # feeds that are texts, in the order in which they are bound


@dataclass(frozen=True, slots=True)
class Input:
    """An input: ids below `vocab` (`tokens`), other whole numbers, numbers, the mask that `keeps` other inputs, or the
    numbers of documents that `parts` their rows.

    `pad` is the token that stands for nothing. Documents may be left out when the model runs. `feed` is what the
    settings say that the input is for, where they do. `shown` is the token whose position a pool takes: its number, or
    `highest`.
    """

    name: str
    shape: tuple[Extent, ...]
    kind: Kind
    vocab: int = 0
    pad: int | None = None
    keeps: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    feed: str = ""
    shown: int | str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a model, in the order of its `forward`; `limits` are the longest axes that have one.

    `cached` says that it can be called on a sequence piece by piece, with a cache.
    """

    inputs: Mapping[str, Input]
    outputs: Mapping[str, tuple[Extent, ...]]
    limits: Mapping[str, int]
    cached: bool = False

    def texts(self) -> tuple[Input, ...]:
        """Return the inputs of words: those that are said to be, else those of tokens with the largest vocabulary."""
        said = tuple(each for feed in WORDS for each in self.inputs.values() if each.feed == feed)
        if said:
            return said
        open_ = [each for each in self.inputs.values() if each.kind == "tokens" and not each.feed]
        most = max((each.vocab for each in open_), default=0)
        return tuple(each for each in open_ if each.vocab == most)

    @property
    def goes_on(self) -> bool:
        """Return whether it goes on from a text: tokens [B, T] to scores [B, T, V] of the next, with a cache."""
        words = self.texts()
        needed = [each for each in self.inputs.values() if each.kind != "documents"]
        shapes = list(self.outputs.values())
        return self.cached and len(words) == len(needed) == 1 and shapes == [(*words[0].shape, words[0].vocab)]

    def masks(self, name: str) -> tuple[Input, ...]:
        """Return the masks that tell which positions of the input `name` are real."""
        shape = self.inputs[name].shape
        return tuple(
            each for each in self.inputs.values() if name in each.keeps or (each.feed == "keep" and each.shape == shape)
        )

    def documents(self, name: str) -> Input | None:
        """Return the input that says which document each position of the input `name` belongs to, if there is one."""
        return next((each for each in self.inputs.values() if name in each.parts), None)


def of(checked: Checked) -> Signature:
    """Return the signature of a sound spec."""
    assert checked.spec is not None, "only a sound spec has a signature"
    inputs: dict[str, Input] = {}
    shown = _shown(checked)
    for name, value in checked.inputs.items():
        written, tensor = checked.spec.inputs[name], value.tensor
        vocab = tensor.vocab.known if tensor.vocab is not None else 0
        kind: Kind = "tokens" if vocab else "numbers" if tensor.dtype == "float" else "whole"
        kind = "mask" if written.keeps else "documents" if written.parts else kind
        pad = checked.pads.get(name)
        inputs[name] = Input(
            name, _shape(tensor), kind, vocab, pad, written.keeps, written.parts, shown=shown.get(name)
        )
    outputs = {name: _shape(value.tensor) for name, value in checked.outputs.items()}
    return Signature(inputs, outputs, dict(checked.limits), bool(remembered(checked).streams))


def _shown(checked: Checked) -> dict[str, int | str]:
    """Return, of each input whose tokens show a pool the position that it takes, the token."""
    nodes = [step.node for stream in checked.streams.values() for step in steps(stream.flow)]
    pools = [node.given() for node in nodes if (node.kind, node.type_name) == ("pool", "at")]
    return {each["of"]: each["token"] for each in pools if each.get("token") is not None}


def _shape(tensor: Tensor) -> tuple[Extent, ...]:
    return tuple(size if isinstance(size, int) else str(size) for size in tensor.sizes)
