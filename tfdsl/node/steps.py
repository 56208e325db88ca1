"""What a checked spec is made of: steps, the pipes that they form, and what each declares, costs and shares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tfdsl.shapes import Axis, Poly, Tensor

if TYPE_CHECKING:
    from tfdsl.node.contract import Node

Path = tuple[str | int, ...]
Size = int | Poly
Sight = Literal["here", "place", "count", "behind", "everywhere", "unknown"]


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter that a node declares.

    `init` says how it starts: `output` is a branch's last projection, a number fills all of it, and any other text is
    the statement that the emitted model starts it with, over `weight` (`nn.init.eye_(weight)`). One that is not
    `trained` is a buffer of the module: saved with the weights, moved by no gradient, and counted as no parameter.
    """

    shape: tuple[int, ...]
    init: Literal["normal", "output", "zeros", "ones"] | float | str = "normal"
    decays: bool = True
    tied: str = ""  # the full name of the weight that it is, where it is not its own
    trained: bool = True

    @property
    def count(self) -> int:
        """Return the number of elements."""
        total = 1
        for size in self.shape:
            total *= size
        return total


@dataclass(frozen=True, slots=True)
class Work:
    """What one forward pass of a node costs, its children left out.

    `flops` counts two for a multiply and add, as `torch.utils.flop_counter` does; `entering` those of them that
    multiply the value which the node takes by a weight, `reading` those that so multiply the one of `kv`, `fixed` those
    that multiply what nothing learns by one; `backward` those that the backward pass takes beyond twice `flops`.
    `needs` names the values that the backward pass needs: `x`, what the node takes; `y`, what it gives; or the field
    that names one (`kv`). `kept` counts the elements that it needs besides, as PyTorch keeps them on a CPU; an id
    counts as two. `cache` counts those that cached decoding holds once it has seen the whole sequence, `states`
    those that it holds in float32 even where the model is less exact. `view` says that what the node gives lies in the
    memory of what it takes.
    """

    flops: Size = 0
    kept: Size = 0
    cache: Size = 0
    states: Size = 0
    entering: Size = 0
    reading: Size = 0
    fixed: Size = 0
    backward: Size = 0
    needs: tuple[str, ...] = ()
    view: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """The layer that a node compiles to: a class of `torch.nn` or of `tfdsl.layers`, and its arguments."""

    layer: str
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Shared:
    """A module of the whole model that is run once a forward and whose result many nodes read.

    `role` says what attention makes of it: `rope` turns queries and keys, `bias` is added to the scores (its call takes
    the mask too), `table` holds rows for distances, `rank` makes a few keys of all, `mask` says what may be read: a
    function's call, or None where padding alone is hidden. Two with one `name` are the same, and must be equal.
    `queries` and `keys` are the axes that it spans. An `optional` mask is None where a row is one document, a `single`
    one for one query. It is made as if so many positions had come before as `behind` says, Python of how many have;
    of these it `spans` so many, the `first` ones among them and else the newest.
    """

    role: Literal["rope", "bias", "mask", "table", "rank"]
    name: str
    call: Call | None
    queries: Axis
    keys: Axis
    weights: Mapping[str, Weight] = field(default_factory=dict[str, Weight])
    work: Work = Work()
    optional: bool = False
    single: bool = False
    behind: str = "{start}"
    spans: str = "{start}"
    first: int = 0

    @property
    def held(self) -> str:
        """Return the attribute that holds it; a table of weights never has the bare name, which may be a stream's."""
        return f"{self.name}_{'table' if self.role == 'table' else 'bias'}" if self.weights else self.name


@dataclass(frozen=True, slots=True)
class Value:
    """A named value: an input, a stream's end, what a node with an `id` gives, or a part that it gives besides.

    `home` is the stream that has it.
    """

    name: str
    tensor: Tensor
    home: str
    kind: Literal["input", "stream", "node", "part"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A checked pipe."""

    steps: tuple[Step, ...]
    start: Tensor | None
    end: Tensor | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A block (or a repeat's own body) with its parameters bound and its shapes known. Equal ones are one object.

    `reads` are the values from outside that something in it needs; `shares` the shared modules.
    """

    name: str
    bindings: tuple[tuple[str, Any], ...]
    flow: Flow
    reads: tuple[Value, ...] = ()
    shares: tuple[Shared, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One node where it stands: its fields resolved to numbers, what it reads and what it gives.

    `flows` are nested pipes in the node's own scope (a residual's branch); `instances` the distinct blocks that it
    runs, and `order` says, a copy at a time, which of them; `repeats` is true where there may be several copies,
    `shared` where all of them have one set of weights. `texts` holds the fields that were written as expressions.
    """

    node: Node
    name: str
    path: Path
    inputs: tuple[Tensor, ...]
    output: Tensor
    reads: Mapping[str, Value] = field(default_factory=dict[str, Value])
    flows: tuple[Flow, ...] = ()
    instances: tuple[Instance, ...] = ()
    order: tuple[int, ...] = ()
    repeats: bool = False
    shared: bool = False
    shares: tuple[Shared, ...] = ()
    weights: Mapping[str, Weight] = field(default_factory=dict[str, Weight])
    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    def said(self, field: str, number: float) -> str:
        """Return a field as the spec says it (`√d_model`), or `number` where it says a number."""
        return re.sub(r"sqrt\((\w+)\)", r"√\1", self.texts.get(field, f"{number:.6g}"))

    @property
    def x(self) -> Tensor:
        """Return the value that the node takes."""
        return self.inputs[0]

    @property
    def width(self) -> int:
        """Return the number of features of the value that it takes."""
        return self.x.width

    @property
    def output_width(self) -> int:
        """Return the number of features of the value that it gives."""
        return self.output.width

    @property
    def vocab_name(self) -> str:
        """Return the name of the number of words of the ids that it takes."""
        return self.x.vocab.name if self.x.vocab is not None else ""
