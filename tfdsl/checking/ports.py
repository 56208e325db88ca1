"""The place where a node stands: what its shape rule may ask, and how its answer becomes a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from tfdsl.checking.frames import Frame
from tfdsl.checking.report import Key
from tfdsl.diagnostics import Edit, Note, suggest, sure
from tfdsl.expressions import Expression
from tfdsl.identifiers import attribute
from tfdsl.node import Flow, Instance, Node, Path, Shared, Size, Step, Value, Weight
from tfdsl.parts import Parameter
from tfdsl.shapes import Axis, Tensor, symbols

if TYPE_CHECKING:
    from tfdsl.checking.walk import Walk


class Absent(Enum):
    """Why there is no value: a pipe begins, or something before was wrong and has been told."""

    NOTHING = "nothing"
    UNKNOWN = "unknown"


NOTHING, UNKNOWN = Absent.NOTHING, Absent.UNKNOWN
Flowing = Tensor | Absent


class Unknown(Exception):
    """Ends a rule: what it needs is unknown, and the cause has been told."""


class Place:
    """The ports of one node (see `tfdsl.node.Ports`)."""

    def __init__(self, walk: Walk, frame: Frame, written: Node, path: Path, value: Flowing) -> None:
        self.walk = walk
        self.frame = frame
        self.written = written
        self.node = written
        self.path = path
        self.before = value
        self.name = frame.names[path]
        self.reads: dict[str, Value] = {}
        self.flows: list[Flow] = []
        self.instances: list[Instance] = []
        self.order: list[int] = []
        self.shares: list[Shared] = []
        self.given: dict[str, Tensor] = {}
        self.inputs: tuple[Tensor, ...] | None = None
        self.mistakes: dict[int, frozenset[Key]] = {}  # those of each copy, by its identity

    # -- what comes in ------------------------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """Return every value that `from` names, else the value before; nothing at the start of a pipe."""
        if self.inputs is None:
            self.inputs = self._sources()
        return self.inputs

    def _sources(self) -> tuple[Tensor, ...]:
        if self.node.source is not None:
            return tuple(self.named("from", name, index) for index, name in enumerate(self.node.source))
        if self.before is UNKNOWN:
            raise Unknown
        return (self.before,) if isinstance(self.before, Tensor) else ()

    @property
    def x(self) -> Tensor:
        """Return the value before."""
        sources = self.sources
        if len(sources) == 1:
            return sources[0]
        if sources:
            self.fail("N307", f"`{self.name}` takes one value, and `from` names {len(sources)}", "from")
        inputs = tuple(self.walk.inputs)
        help = f"begin with `from: {inputs[0]}`" if len(inputs) == 1 else "say with `from` what it reads"
        self.fail("N306", f"nothing comes before `{self.name}`", help=help)

    def floats(self) -> Tensor:
        """Return the value before, which must hold numbers."""
        if self.x.dtype != "float":
            what, help = ("whole numbers", "") if self.x.vocab is None else ("ids", "embed the ids first: `embed`")
            self.fail("T205", f"`{self.name}` works on numbers, and {self.x} holds {what}", help=help)
        return self.x

    def width(self) -> int:
        """Return the size of the last axis of the value before."""
        x = self.floats()
        size = x.axes[-1].size if x.axes else None
        if not isinstance(size, int):
            self.fail("T217", f"the last axis of {x} must be known before the model runs")
        return size

    def sequence(self) -> Tensor:
        """Return the value before, which must have a batch, positions and a known width."""
        self.width()
        if len(self.x.axes) != 3:
            more = "make the axes before the positions one: `rearrange: a b t d -> (a b) t d`"
            message = f"`{self.name}` works on sequences [B, T, D], and this is {self.x}"
            self.fail("T202", message, help=more if len(self.x.axes) > 3 else "")
        return self.x

    def named(self, field: str, name: str, index: int | None = None) -> Tensor:
        """Return the tensor that `name` stands for, and note that it is read."""
        value = self.walk.value(name, self.frame)
        if value is None:
            self._unknown(field, name)
        takes = field in self.node.takes
        if takes != (value.kind == "part"):
            what = "is what attention keeps" if value.kind == "part" else "is a value, not what attention keeps"
            help = "`keep` gives keys and values a name" if takes else "`reuse` and `value_residual` read it"
            self.fail("T225", f"`{name}` {what}", field, help=help)
        if name not in self.frame.values:
            self._outside(value)
        self.reads[field if not index else f"{field}.{index}"] = value
        return value.tensor

    def _outside(self, value: Value) -> None:
        """Note that this scope, and those around it up to where the value is made, read it."""
        frame: Frame | None = self.frame
        while frame is not None and value.name not in frame.values:
            frame.reads[value.name] = value
            frame = frame.parent

    def _unknown(self, field: str, name: str) -> NoReturn:
        walk = self.walk
        home = walk.ids.get(name, name)
        if name in walk.spec.inputs or any(name in frame.failed for frame in (self.frame, *walk.frames.values())):
            raise Unknown  # what is wrong with it has been told
        if not walk.exists(name):
            self._lost("N308", f"there is no value `{name}`", field, name, {*self.frame.values, *walk.names()})
        if home in walk.streams:
            raise Unknown  # what is wrong in that stream has been told
        if home != walk.open[-1]:
            chain = " → ".join((*walk.open[walk.open.index(home) :], home))
            self.fail(
                "N309", f"streams need each other: {chain}", field, help="one of them must begin without the other"
            )
        self.fail(
            "N310",
            f"`{name}` is made later than `{self.name}`",
            field,
            help="move this node behind the one that it reads",
        )

    def value(self, field: str) -> Tensor:
        """Return the tensor that `field` names."""
        return self.named(field, str(self._field(field)))

    def values(self, field: str) -> tuple[Tensor, ...]:
        """Return the tensors that `field`, a list of names, names."""
        return tuple(self.named(field, name, index) for index, name in enumerate(self._field(field)))

    def give(self, field: str, tensor: Tensor) -> None:
        """Say that the node gives something besides its value, under the name that `field` holds."""
        self.given[str(self._field(field))] = tensor

    # -- sizes --------------------------------------------------------------------------------------------------------

    def axis(self, field: str) -> Axis:
        """Return the size in `field` as an axis."""
        path = self.walk.fields.field_path(self.written, self.path, (field,))
        return Axis(self._field(field), name=self._said(field), origin=path)

    def _field(self, field: str) -> Any:
        name = next((name for name, info in type(self.node).model_fields.items() if info.alias == field), field)
        return getattr(self.node, name)

    def _said(self, field: str) -> str:
        """Return the name that stands in `field`, or nothing where a number or a longer expression does."""
        text = self._text(field)
        return text if text.isidentifier() else ""

    def _text(self, field: str) -> str:
        """Return the expression that was written in `field`, or nothing where it was a number or a word."""
        default = self.walk.spec.defaults.get(self.written.kind)
        owners = [owner for owner in (self.written, default) if owner is not None and field in owner.model_fields_set]
        said: Any = getattr(owners[0], field, None) if owners else None
        if isinstance(said, Parameter):
            bound = self.frame.scope.parameters.get(said.name)
            said = bound.value if bound is not None else None
        return said.text if isinstance(said, Expression) else said if isinstance(said, str) else ""

    def limit(self, axis: Axis, field: str, most: int | None = None) -> None:
        """Say that `axis` may be no longer than what `field` holds, or than `most`, which stands in it."""
        most = self._field(field) if most is None else most
        assert most is not None, "a limit is a number"
        path = self.walk.fields.field_path(self.written, self.path, (field,))
        if isinstance(axis.size, int):
            if axis.size > most:
                self.fail(
                    "T216",
                    f"there are {axis.size} positions, and the table holds {most}",
                    field,
                    notes=self.origin(axis, "they come from here"),
                )
            return
        names = symbols(axis.size)
        rest: Any = axis.size - (self.walk.scope.symbols[next(iter(names))] if len(names) == 1 else 0)
        if isinstance(rest, int):
            name = next(iter(names))
            known = self.walk.limits.get(name)
            if known is None or most - rest < known[0]:
                self.walk.limits[name] = (most - rest, path)

    # -- what is inside -----------------------------------------------------------------------------------------------

    def flow(self, field: str, start: Tensor | None, index: int | None = None) -> Flow:
        """Check the pipe in `field`."""
        content = getattr(self.written, field)
        loc: Path = (field,) if index is None else (field, index)
        pipe = content if index is None else content[index]
        path = (*self.walk.fields.field_path(self.written, self.path, (field,)), *loc[1:])
        flow = self.walk.pipe(pipe, path, start if start is not None else NOTHING, self.frame)
        self.flows.append(flow)
        return flow

    def instance(
        self, block: str | None, parameters: Mapping[str, Any], start: Tensor | None, layer: int | None = None
    ) -> Instance:
        """Check one copy of a block."""
        instance = self.walk.instance(block, parameters, start if start is not None else NOTHING, layer, self)
        if all(instance is not each for each in self.instances):
            self.instances.append(instance)
        self.order.append(next(index for index, each in enumerate(self.instances) if each is instance))
        return instance

    def again(self, instance: Instance, count: int = 1) -> None:
        """Say that a copy that was checked stands `count` times more."""
        self.order += [next(index for index, each in enumerate(self.instances) if each is instance)] * count
        if not self.walk.blocks and (mistakes := self.mistakes.get(id(instance))):
            self.walk.report.counted(mistakes, instance.name, count)

    def inherit(self, instance: Instance) -> None:
        """Note that this scope needs from outside what a block in it needs."""
        for value in instance.reads:
            if value.name not in self.frame.values:
                self._outside(value)
        for shared in instance.shares:
            self.frame.shares[shared.name] = shared

    def parameter_field(self, name: str) -> str:
        """Return the field in which the block's parameter `name` is set."""
        return name if name in (self.written.model_extra or {}) else f"vary.{name}"

    # -- what belongs to the whole model ------------------------------------------------------------------------------

    def share(self, shared: Shared, named: bool = False) -> None:
        """Say that the node reads a module of the whole model."""
        registry, name = self.walk.shared, shared.name
        if named and registry.get(name, shared) != shared:
            self.fail(
                "N311",
                f"the table `{name}` is shared by attention that needs another",
                "position",
                help="give it another name",
            )
        count = 1
        while registry.get(shared.name, shared) != shared:
            count += 1
            shared = replace(shared, name=f"{name}_{count}")
        registry[shared.name] = shared
        self.frame.shares[shared.name] = shared
        if self.frame.parent is not None:
            self.frame.parent.shares[shared.name] = shared
        self.shares.append(shared)

    def owner(self, field: str) -> Step:
        """Return the step whose weight `field` shares."""
        name: str = self._field(field)
        frames = [self.frame, *self.walk.frames.values()]
        owner = next((frame.owners[name] for frame in frames if name in frame.owners), None)
        if owner is not None:
            return owner
        if any(name in frame.failed for frame in frames):
            raise Unknown
        if name in self.walk.ids:
            self.fail(
                "N310",
                f"`{name}` is made later than `{self.name}`",
                field,
                help="tie the later of the two to the earlier",
            )
        self._lost("N312", f"there is no node with the id `{name}`", field, name, set(self.walk.ids))

    def table(self, field: str) -> Weight:
        """Return the matrix that `field` shares."""
        owner = self.owner(field)
        weight = owner.weights.get("weight")
        if weight is None or len(weight.shape) != 2:
            self.fail("T218", f"`{self.name}` needs a matrix to share, and `{owner.name}` has none", field)
        return weight

    def tie(self, field: str, shape: tuple[Size, Size]) -> None:
        """Check that the weight that `field` shares has this shape."""
        weight, owner = self.table(field), self.owner(field)
        if weight.shape != shape:
            notes = (self.walk.report.note(owner.path, f"`{owner.name}` is made here"),)
            found = f"that of `{owner.name}` is {list(weight.shape)}"
            self.fail("T218", f"`{self.name}` needs a matrix {list(shape)}, and {found}", field, notes=notes)

    # -- what is said -------------------------------------------------------------------------------------------------

    def fail(
        self, code: str, message: str, field: str = "", label: str = "", notes: tuple[Note, ...] = (), help: str = ""
    ) -> NoReturn:
        """Report an error at `field` and end the rule."""
        self._say(code, message, field, label, notes, help)
        raise Unknown

    def _lost(self, code: str, message: str, field: str, name: str, known: set[str]) -> NoReturn:
        """Report a name that nothing has, with the one of `known` that was likely meant."""
        near = suggest(name, sorted(known))
        certain = near if near is not None and sure(name, known) else ""
        self._say(code, message, field, "", (), f"did you mean `{near}`?" if near else "", certain)
        raise Unknown

    def warn(self, code: str, message: str, field: str = "", label: str = "", help: str = "") -> None:
        """Report a warning or a note."""
        self._say(code, message, field, label, (), help)

    def _say(
        self, code: str, message: str, field: str, label: str, notes: tuple[Note, ...], help: str, instead: str = ""
    ) -> None:
        loc: Path = tuple(int(step) if step.isdigit() else step for step in field.split(".")) if field else ()
        path, extra = self.walk.fields.source(self.written, self.path, loc, self.frame.scope)
        span = self.walk.report.document.span(path)
        edits = (Edit(span, instead),) if instead and span is not None else ()
        self.walk.report.add(code, message, path, label=label, notes=(*extra, *notes), help=help, edits=edits)

    def known(self, value: Tensor | None) -> Tensor:
        """Return the value, or end the rule where it is unknown."""
        if value is None:
            raise Unknown
        return value

    def origin(self, axis: Axis, message: str) -> tuple[Note, ...]:
        """Return notes that show where an axis got its size: the field, and the dim that stands in it."""
        if axis.origin is None:
            return ()
        report, dims = self.walk.report, self.walk.spec.dims
        note = report.note(axis.origin, message)
        return (
            (note, report.note(("dims", axis.name), f"`{axis.name}` is {axis.size}")) if axis.name in dims else (note,)
        )

    def step(self, output: Tensor) -> Step:
        """Return the step that the node became."""
        step = Step(
            self.node,
            self.name,
            self.path,
            self.inputs or (),
            output,
            self.reads,
            tuple(self.flows),
            tuple(self.instances),
            tuple(self.order),
            self.node.repeats,
            bool(getattr(self.node, "share", False)),
            tuple(self.shares),
            texts={name: text for name in type(self.node).model_fields if (text := self._text(name))},
        )
        return replace(step, weights=self._whole(self.node.weights(step)))

    def _whole(self, weights: Mapping[str, Weight]) -> dict[str, Weight]:
        """Return the weights with the whole name of what each is tied to."""
        return {
            name: replace(each, tied=self._tied(each.tied)) if each.tied else each for name, each in weights.items()
        }

    def _tied(self, id: str) -> str:
        name = f"{attribute(id)}.weight"
        if id in self.frame.owners and self.frame is not self.walk.frames[self.frame.home]:
            return f".{name}"
        several = isinstance(self.walk.spec.model, dict)
        return f"{attribute(self.walk.ids[id])}.{name}" if several else name
