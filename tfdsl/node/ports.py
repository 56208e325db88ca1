"""What a node may ask: of the checker about the place where it stands, of the compiler about the text it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from tfdsl.diagnostics import Note
from tfdsl.node.steps import Call, Flow, Instance, Shared, Size, Step, Weight
from tfdsl.shapes import Axis, Tensor


class Writer(Protocol):
    """The place in the emitted text where a node writes its lines. Variables and layers are expressions, as text."""

    @property
    def x(self) -> str:
        """Return the variable of the value that the node takes."""
        ...

    def layer(self, call: Call, name: str = "") -> str:
        """Declare a layer under the node's name (or `name`) and return the expression that holds it."""
        ...

    def let(self, expression: str, also: str = "") -> None:
        """Give the node's value; where `also` is a name, what the node gives besides under it, as a second value."""
        ...

    def put(self, text: str) -> None:
        """Write a line that gives no value of the trunk."""
        ...

    def run(self, flow: Flow, start: str = "") -> str:
        """Write a pipe beside the trunk, from `start` or the value that the node takes; return where it ends."""
        ...

    def copies(self) -> None:
        """Write the copies of a block that the node runs."""
        ...

    def some(self, first: int, count: int, takes: str = "{x}", after: str = "") -> None:
        """Write `count` of the copies, from `first` on; each takes `takes`, and the line `after` follows each."""
        ...

    def through(self, flow: Flow) -> None:
        """Write a pipe on the trunk itself."""
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

    def seen(self, axis: Axis) -> str:
        """Return the same of all positions up to the last, those that a cache holds among them."""
        ...

    def place(self, axis: Axis, fresh: bool = False) -> str:
        """Return the place of each position in its document, or None, where an input parts the axis; else nothing.

        `fresh`: None too where a cache goes on with documents of which nothing new is told: enough for what carries
        along a row what it keeps.
        """
        ...


class Ports(Protocol):
    """What a shape rule sees of the place where its node stands. Asking for the unknown ends the rule in silence."""

    @property
    def x(self) -> Tensor:
        """Return the value before (or the one that `from` names)."""
        ...

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """Return every value that `from` names, else the value before; nothing at the start of a pipe."""
        ...

    def sequence(self) -> Tensor:
        """Return the value before, which must be numbers with a batch, positions and a known width."""
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

    def values(self, field: str) -> tuple[Tensor, ...]:
        """Return the tensors that `field`, a list of names, names; the writer knows them as `field`, `field.1`, ..."""
        ...

    def give(self, field: str, tensor: Tensor) -> None:
        """Say that the node gives something besides its value, under the name that `field` holds.

        `tensor` describes it. Only the fields that a kind names in `takes` may read it.
        """
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

    def again(self, instance: Instance, count: int = 1) -> None:
        """Say that a copy that was checked stands `count` times more."""
        ...

    def share(self, shared: Shared, named: bool = False) -> None:
        """Say that the node reads a module of the whole model; two that the spec gives one name must be equal."""
        ...

    def tie(self, field: str, shape: tuple[Size, Size]) -> None:
        """Check that the weight that `field` shares has this shape."""
        ...

    def limit(self, axis: Axis, field: str, most: int | None = None) -> None:
        """Say that the axis may be no longer than `field` holds, or than `most`, which stands in it."""
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
