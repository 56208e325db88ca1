"""The contract of a node: what a kind must answer, and what it is answered with."""

from __future__ import annotations

import importlib
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol

from pydantic import Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from tfdsl.diagnostics import Note
from tfdsl.parts import Name, Names, Part, Shape, again, choose_type, located, problem, said
from tfdsl.shapes import Axis, Poly, Tensor

if TYPE_CHECKING:
    from tfdsl import look

Path = tuple[str | int, ...]
Size = int | Poly

default_types: ContextVar[Mapping[str, str]] = ContextVar("default_types", default={})
"""The types that `defaults` of the spec that is being read gives to kinds."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter that a node declares. `init` says how it starts: `output` is a branch's last projection."""

    shape: tuple[int, ...]
    init: Literal["normal", "output", "zeros", "ones"] = "normal"
    decays: bool = True
    tied: str = ""  # the full name of the weight that it is, where it is not its own

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

    `flops` counts two for a multiply and add, as `torch.utils.flop_counter` does; `entering` those of them that multiply
    the value which the node takes by a weight. `needs` names the values that the backward pass needs: `x`, what the node
    takes; `y`, what it gives; or the field that names one (`kv`). `kept` counts the elements that it needs besides, as
    PyTorch keeps them on a CPU; an id counts as two. `cache` counts those that cached decoding holds once it has seen
    the whole sequence.
    """

    flops: Size = 0
    kept: Size = 0
    cache: Size = 0
    entering: Size = 0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """The layer that a node compiles to: a class of `torch.nn` (`nn.Linear`) or of `tfdsl.layers`, and its arguments."""

    layer: str
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """A module of the whole model that is run once a forward and whose result many nodes read.

    Rotary tables, masks and tables of relative biases are such. Two with one `name` are the same, and must be equal.
    `queries` and `keys` are the axes that it spans.
    """

    name: str
    call: Call
    queries: Axis
    keys: Axis
    weights: Mapping[str, Weight] = field(default_factory=dict)
    work: Work = Work()

    @property
    def held(self) -> str:
        """Return the attribute that holds it; a table of weights never has the bare name, which may be a stream's."""
        return f"{self.name}_bias" if self.weights else self.name


@dataclass(frozen=True, slots=True)
class Value:
    """A named value: an input, a stream's end, or what the node with that `id` gives. `home` is the stream that makes it."""

    name: str
    tensor: Tensor
    home: str
    kind: Literal["input", "stream", "node"]


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

    `flows` are nested pipes in the node's own scope (a residual's branch); `instances` the distinct blocks that it runs, and
    `order` says, a copy at a time, which of them; `repeats` is true where there may be several copies, `shared` where all of
    them have one set of weights. `texts` holds the fields that were written as expressions.
    """

    node: Node
    name: str
    path: Path
    inputs: tuple[Tensor, ...]
    output: Tensor
    reads: Mapping[str, Value] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    instances: tuple[Instance, ...] = ()
    order: tuple[int, ...] = ()
    repeats: bool = False
    shared: bool = False
    shares: tuple[Shared, ...] = ()
    weights: Mapping[str, Weight] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

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


class Writer(Protocol):
    """The place in the emitted text where a node writes its lines. Variables and layers are expressions, as text."""

    @property
    def x(self) -> str:
        """Return the variable of the value that the node takes."""
        ...

    def layer(self, call: Call, name: str = "") -> str:
        """Declare a layer under the node's name (or `name`) and return the expression that holds it."""
        ...

    def let(self, expression: str) -> None:
        """Give the node's value."""
        ...

    def run(self, flow: Flow) -> str:
        """Write a pipe beside the trunk and return the variable that it ends in."""
        ...

    def copies(self) -> None:
        """Write the copies of a block that the node runs."""
        ...

    def value(self, field: str) -> str:
        """Return the variable of the value that a field of the node names."""
        ...

    def start(self, tensor: Tensor) -> str:
        """Return how many positions came before those of `tensor`, where a cache may hold some; else nothing."""
        ...

    def cache(self) -> str:
        """Return the cache, where the model has one; else nothing."""
        ...

    def shared(self, shared: Shared, mask: Shared | None = None) -> str:
        """Return the variable of what a module of the whole model gives; `mask` is put into it."""
        ...

    def keep(self, axis: Axis) -> str:
        """Return which positions of an axis are real, where some may be padding; else nothing."""
        ...


class Ports(Protocol):
    """What a shape rule sees of the place where its node stands. Asking for what is not known ends the rule in silence."""

    @property
    def x(self) -> Tensor:
        """Return the value before (or the one that `from` names)."""
        ...

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """Return every value that `from` names; the value before where it names none; nothing at the start of a pipe."""
        ...

    def sequence(self) -> Tensor:
        """Return the value before, which must be numbers with a batch, one or more positions and a known width."""
        ...

    @property
    def name(self) -> str:
        """Return the node's name."""
        ...

    def floats(self) -> Tensor:
        """Return the value before, which must hold numbers."""
        ...

    def width(self) -> int:
        """Return the size of the last axis of the value before, which must hold numbers and be known."""
        ...

    def axis(self, field: str) -> Axis:
        """Return the size that `field` holds, as an axis that knows its name and where it was written."""
        ...

    def value(self, field: str) -> Tensor:
        """Return the tensor that `field` names."""
        ...

    def owner(self, field: str) -> Step:
        """Return the step whose weight `field` shares (`tie`)."""
        ...

    def table(self, field: str) -> Weight:
        """Return the matrix that `field` shares; a node that has none is an error."""
        ...

    def flow(self, field: str, start: Tensor | None, index: int | None = None) -> Flow:
        """Check the pipe in `field` (the one at `index`, where it holds several), which begins with `start`."""
        ...

    def instance(
        self, block: str | None, parameters: Mapping[str, Any], start: Tensor | None, layer: int | None = None
    ) -> Instance:
        """Check one copy of a block (None: the pipe in `body`) with `parameters`; the same copy is checked once."""
        ...

    def again(self, count: int) -> None:
        """Say that the copy that was checked last stands `count` times more."""
        ...

    def share(self, shared: Shared, named: bool = False) -> None:
        """Say that the node reads a module of the whole model; where the spec named it, one that differs is an error."""
        ...

    def tie(self, field: str, shape: tuple[int, int]) -> None:
        """Check that the weight that `field` shares has this shape."""
        ...

    def limit(self, axis: Axis, field: str) -> None:
        """Say that the axis may be no longer than `field` holds."""
        ...

    def known(self, value: Tensor | None) -> Tensor:
        """Return the value, or end the rule where it is unknown."""
        ...

    def fail(
        self, code: str, message: str, field: str = "", label: str = "", notes: tuple[Note, ...] = (), help: str = ""
    ) -> NoReturn:
        """Report an error at `field` (the node itself where it is empty) and end the rule."""
        ...

    def warn(self, code: str, message: str, field: str = "", label: str = "", help: str = "") -> None:
        """Report a warning or a note."""
        ...

    def origin(self, axis: Axis, message: str) -> tuple[Note, ...]:
        """Return a note that shows where an axis got its size; nothing where that is unknown."""
        ...


class Node(Part, ABC):
    """A node of a pipe. A kind is a subclass alone in its file, and the file's name is the kind.

    A kind with types (`norm: rms`) is a base class, and a class for each type: `class RMSNorm(Norm, type="rms")`.
    """

    kind: ClassVar[str] = ""
    types: ClassVar[dict[str, type[Node]]] = {}
    type_name: ClassVar[str] = ""
    default_type: ClassVar[str | None] = None
    family: ClassVar[look.Family] = "plain"
    form: ClassVar[look.Form] = "box"
    symbol: ClassVar[str] = "+"  # of the joint where it is drawn as a branch or a fork
    title: ClassVar[str] = ""
    repeats: ClassVar[bool] = False  # whether the blocks that it runs are copies, numbered from 0
    branches: ClassVar[bool] = False  # whether its pipe is added to the value that it began with
    own_scope: ClassVar[frozenset[str]] = frozenset()  # the fields whose pipes are blocks of their own

    holds = True
    reads: ClassVar[tuple[str, ...]] = ("from",)  # the fields that name values

    id: Name | None = Field(None, description="Its name: for reference, for its weights, for the diagram.")
    source: Names | None = Field(
        None, alias="from", description="Read this value, or these, in place of the one before."
    )
    expect: Shape | None = Field(None, description="The shape that must leave it; an error where it differs.")
    about: str | None = Field(None, description="A remark for people.")

    def __init_subclass__(cls, type: str | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if Node in cls.__bases__:
            cls.kind, cls.types = cls.__module__.rpartition(".")[2], {}
        if type is not None:
            cls.type_name = type
            cls.types[type] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        if cls.kind:
            return handler(source)
        return core_schema.no_info_plain_validator_function(lambda value: read(value))

    @property
    def label(self) -> str:
        """Return the name that it gets where it has no `id`."""
        return self.kind

    @abstractmethod
    def shape(self, io: Ports) -> Tensor:
        """Return what the node gives for what `io` holds, or report why it cannot."""

    def weights(self, step: Step) -> Mapping[str, Weight]:
        """Return the parameters that the node declares, by their names in its layer; most kinds have none."""
        return {}

    @abstractmethod
    def work(self, step: Step) -> Work:
        """Return what one forward pass costs."""

    @abstractmethod
    def call(self, step: Step) -> Call | None:
        """Return the layer that the node compiles to; None where `write` writes an expression of its own."""

    def write(self, w: Writer, step: Step) -> None:
        """Write the node's lines: its layer, called with the value before."""
        call = self.call(step)
        assert call is not None, f"`{self.kind}` has no layer and writes nothing of its own"
        w.let(f"{w.layer(call)}({w.x})")

    def sight(self, step: Step) -> Literal["here", "behind", "everywhere"]:
        """Return which positions decide what the node gives at one: itself, those behind it too, or all."""
        return "here"

    def facts(self, step: Step) -> str:
        """Return the muted line of the figure: `12 heads × 64 · causal`."""
        return ""

    def heading(self, step: Step) -> str:
        """Return the bold line of the figure: `Causal self-attention`."""
        return self.title


@cache
def kinds() -> tuple[str, ...]:
    """Return the kinds that there are: a file of `tfdsl.nodes` each, then those of installed packages."""
    ours = [module.name for module in pkgutil.iter_modules(importlib.import_module("tfdsl.nodes").__path__)]
    theirs = [point.name for point in entry_points(group="tfdsl.nodes")]
    return tuple(sorted(ours)) + tuple(sorted(set(theirs) - set(ours)))


@cache
def lookup(kind: str) -> type[Node] | None:
    """Return the class of a kind, or None. A file is imported when a spec first uses its kind."""
    folder = importlib.import_module("tfdsl.nodes").__path__
    if kind in {module.name for module in pkgutil.iter_modules(folder)}:
        module = importlib.import_module(f"tfdsl.nodes.{kind}")
    else:
        point = next((point for point in entry_points(group="tfdsl.nodes") if point.name == kind), None)
        if point is None:
            return None
        module = point.load()
    return next(each for each in vars(module).values() if _is_kind(each) and each.__module__ == module.__name__)


def _is_kind(value: Any) -> bool:
    return isinstance(value, type) and Node in value.__bases__


def read(value: Any) -> Node:
    """Read a node: a bare word, or a one-key mapping of its kind to its fields or its headline field alone."""
    if isinstance(value, Node):
        return value
    if isinstance(value, str):
        kind, body = value, None
    elif isinstance(value, dict) and len(value) == 1:
        ((kind, body),) = value.items()
    elif isinstance(value, dict):
        keys = ", ".join(f"`{key}`" for key in value)
        raise problem(
            "D110",
            f"a node has one key, its kind; this has {len(value)}: {keys}",
            help="write the fields inside braces: `- kind: {field: value}`",
        )
    else:
        raise problem("D103", f"{said(value)} is not a node", expected="a kind, or a mapping with a kind as its key")
    base = lookup(kind) if isinstance(kind, str) else None
    if base is None:
        raise located(
            problem("D101", f"unknown kind `{kind}`", word=str(kind), candidates=kinds(), at="key"), (kind,), value
        )
    try:
        cls, fields = _fields(base, body)
        return cls.read(fields)
    except (ValidationError, PydanticCustomError) as error:
        raise _under(kind, error, body) from None


def _fields(base: type[Node], body: Any) -> tuple[type[Node], dict[str, Any]]:
    headline = "type" if base.types and not base.headline else base.headline
    if body is None:
        fields: dict[str, Any] = {}
    elif isinstance(body, dict):
        fields = body
    elif headline is None:
        raise problem(
            "D103",
            f"{said(body)} is not a mapping of fields",
            expected=f"a mapping: `{base.kind}` has no field that can stand alone",
        )
    else:
        fields = {headline: body}
    if not base.types:
        return base, fields
    chosen = choose_type(base, fields, default_types.get().get(base.kind))
    return chosen, {key: entry for key, entry in fields.items() if key != "type"}


def _under(kind: str, error: ValidationError | PydanticCustomError, value: Any) -> ValidationError:
    """Place an error below the key that holds the node's kind."""
    if isinstance(error, PydanticCustomError):
        return located(error, (kind,), value)
    return again(error, (kind,))


def pipes(node: Node) -> Iterator[tuple[Path, tuple[Node, ...]]]:
    """Yield the pipes that stand in a node's fields, each with the place of it below the node."""
    for name in type(node).model_fields:
        content = getattr(node, name)
        if isinstance(content, tuple) and content:
            if all(isinstance(item, Node) for item in content):
                yield (name,), content
            elif all(isinstance(item, tuple) for item in content):
                yield from (((name, index), item) for index, item in enumerate(content))


Pipe = tuple[Node, ...]
