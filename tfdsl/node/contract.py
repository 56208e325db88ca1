"""The contract of a node: what a kind must answer."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from tfdsl.node.ports import Ports, Writer
from tfdsl.node.steps import Call, Path, Sight, Step, Weight, Work
from tfdsl.parts import Name, Names, Part, Shape
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl import look


LEAKS: dict[Sight, str] = {  # what becomes of several documents in one row, where a kind says no more
    "here": "",
    "place": "it counts positions from the start of the row",
    "count": "it counts positions from the start of the row",
    "behind": "what it carries from one position to the next runs on into the next document",
    "everywhere": "it reads positions of all documents",
    "unknown": "it may join positions of different documents",
}


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
    layers: ClassVar[str] = ""  # of another package: the file beside the kind's own whose text holds its layers
    example: ClassVar[str] = ""  # a short spec that shows the kind, from its `dims` on; its numbers name the formulas

    begins: ClassVar[bool] = False  # whether it takes no value: what stands before it is for others

    keeps: ClassVar[bool] = False  # whether it gives the shape that it takes, whatever its fields say

    holds = True
    reads: ClassVar[tuple[str, ...]] = ("from",)  # the fields that name values
    takes: ClassVar[tuple[str, ...]] = ()  # those of them that name what a node gives besides its value
    pairs: ClassVar[tuple[str, ...]] = ()  # those whose n-th document its own n-th may read, and that it need not keep

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
        return core_schema.no_info_plain_validator_function(_read)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the names that other nodes may call it by."""
        return (self.id,) if self.id is not None else ()

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

    def adds_loss(self) -> bool:
        """Return whether its layer has, after a forward in training, an `aux_loss` to add to the trainer's loss."""
        return False

    def sight(self, step: Step) -> Sight:
        """Return what a position's value depends on: what stands there, its place too, what stands behind, or all.

        `count` is a place among those that are not padding. A node that mixes positions in a way that it cannot tell
        says `unknown`: no cache can serve it.
        """
        return "here"

    def leaks(self, step: Step) -> str:
        """Return how documents that share a row would reach each other in it; nothing where they stay apart.

        It is asked where `parts` of an input tells documents apart.
        """
        if step.inputs and step.x.axes and step.x.axes[-1].parts and step.x.dtype == "float":
            return "it takes for features what are the positions of several documents"
        return LEAKS[self.sight(step)]

    def facts(self, step: Step) -> str:
        """Return the muted line of the figure: `12 heads × 64 · causal`."""
        return ""

    def heading(self, step: Step) -> str:
        """Return the bold line of the figure: `Causal self-attention`."""
        return self.title

    def inside(self, step: Step) -> tuple[look.Element, ...]:
        """Return what the node does within, bottom to top, as elements with ids of their own; none: it is one box.

        A `Source` whose `of` is a field of the node stands for the value that the field names.
        """
        return ()


Pipe = tuple[Node, ...]


def _read(value: Any) -> Node:
    from tfdsl.node.registry import read

    return read(value)


def pipes(node: Node) -> Iterator[tuple[Path, tuple[Node, ...]]]:
    """Yield the pipes that stand in a node's fields, each with the place of it below the node."""
    for name in type(node).model_fields:
        content = getattr(node, name)
        if isinstance(content, tuple) and content:
            if all(isinstance(item, Node) for item in content):
                yield (name,), content
            elif all(isinstance(item, tuple) for item in content):
                yield from (((name, index), item) for index, item in enumerate(content))
