"""The walk through a spec: streams, pipes, blocks, each copy that differs once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from tfdsl import source
from tfdsl.checking import extents
from tfdsl.checking.frames import Frame, members, named
from tfdsl.checking.ports import NOTHING, UNKNOWN, Flowing, Place, Unknown
from tfdsl.checking.report import Key, Report, lines
from tfdsl.checking.scope import Bound, Mistake, Scope, frozen, numbers_of, substituted, values_of
from tfdsl.diagnostics import Note, suggest
from tfdsl.expressions import Expression, ExpressionError
from tfdsl.node import Flow, Instance, Node, Path, Pipe, Shared, Step, Value
from tfdsl.parts import MISSING, SILENT, Parameter, Part
from tfdsl.shapes import Tensor
from tfdsl.spec import Block, Spec, advice, say


COPIES, DISTINCT = 50_000, 500  # so that no spec takes long: its blocks may vary within blocks that vary

SomePart = TypeVar("SomePart", bound=Part)


@dataclass(frozen=True)
class Kept:
    """A checked copy of a block, and what was wrong in it."""

    instance: Instance
    mistakes: frozenset[Key]


class Walk:
    """One check of one spec: what was computed, and what was found."""

    def __init__(self, spec: Spec, report: Report, scope: Scope, inputs: Mapping[str, Value]) -> None:
        self.spec = spec
        self.report = report
        self.scope = scope
        self.inputs = inputs
        self.frames: dict[str, Frame] = {}
        self.streams: dict[str, Instance] = {}
        self.open: list[str] = []
        self.kept: dict[Any, Kept] = {}
        self.blocks: list[str] = []
        self.copies = 0
        self.shared: dict[str, Shared] = {}
        self.limits: dict[str, tuple[int, Path]] = {}
        self.read: set[str] = set()
        self.dropped: list[tuple[Path, str, str | None]] = []
        self.seen: set[str] = set()
        self.kinds: set[str] = set()
        self.ids = self._ids()

    def _ids(self) -> dict[str, str]:
        """Return the stream of every `id` outside of blocks; a name that is given twice is reported."""
        ids: dict[str, str] = {}
        places: dict[str, Path] = {name: ("inputs", name) for name in self.inputs}
        several = isinstance(self.spec.model, dict)
        for stream, pipe in self.spec.streams.items():
            if several:
                self._once(stream, ("model", stream), places, key=True)
            for path, node in members(pipe, self.place(stream)):
                if node.id is not None:
                    self._once(node.id, (*path, node.kind, "id"), places)
                    ids.setdefault(node.id, stream)
        for name, block in self.spec.blocks.items():
            inside = dict[str, Path]()
            for path, node in members(block.body, ("blocks", name, "body")):
                if node.id is not None:
                    self._once(node.id, (*path, node.kind, "id"), inside)
        return ids

    def _once(self, name: str, path: Path, places: dict[str, Path], key: bool = False) -> None:
        if name in places:
            note = Note("the other is here", self.report.document.span(places[name], key=len(places[name]) == 2))
            span = self.report.document.span(path, key)
            self.report.add(
                "N302", f"two things are called `{name}`", path, span=span, notes=(note,), help="give one another name"
            )
        places.setdefault(name, path)

    def place(self, stream: str) -> Path:
        """Return where a stream's pipe is written."""
        return ("model", stream) if isinstance(self.spec.model, dict) else ("model",)

    # -- streams and blocks -------------------------------------------------------------------------------------------

    def stream(self, name: str) -> Instance:
        """Check a stream, once; those that it reads are checked on the way."""
        if name not in self.streams:
            pipe, path = self.spec.streams[name], self.place(name)
            frame = Frame(name, self.scope, named(pipe, path))
            self.frames[name] = frame
            self.open.append(name)
            flow = self.pipe(pipe, path, NOTHING, frame)
            self.open.pop()
            self.streams[name] = Instance(name, (), flow, tuple(frame.reads.values()), tuple(frame.shares.values()))
        return self.streams[name]

    def instance(
        self, block: str | None, parameters: Mapping[str, Any], start: Flowing, layer: int | None, place: Place
    ) -> Instance:
        """Check one copy of a block; a copy that was checked before is taken from there."""
        if block is None:
            return self._body(start, place)
        if block not in self.spec.blocks:
            path, notes = self.source(place.written, place.path, ("block",), place.frame.scope)
            self.no_block(block, path, notes)
            raise Unknown
        if block in self.blocks:
            chain = " → ".join((*self.blocks[self.blocks.index(block) :], block))
            place.fail(
                "N304", f"block `{block}` uses itself: {chain}", "block", help="a block cannot stand within itself"
            )
        self.copies += 1
        if self.copies > COPIES or len(self.kept) - len(self.seen) > DISTINCT:  # a block's first way is free
            message = f"there are more than {DISTINCT:,} copies of blocks that differ, or {COPIES:,} in all"
            place.fail("E410", message, "block", help="let fewer things vary")
        bound = self._bind(block, parameters, layer, place)
        key = (block, frozen({name: each.value for name, each in bound.items()}), _like(start))
        if key not in self.kept:
            self.kept[key] = self._checked(block, bound, start, place)
        kept = self.kept[key]
        place.mistakes = kept.mistakes
        if not self.blocks:
            self.report.counted(kept.mistakes, block)
        place.inherit(kept.instance)
        return kept.instance

    def _checked(self, name: str, bound: Mapping[str, Bound], start: Flowing, place: Place) -> Kept:
        block: Block = self.spec.blocks[name]
        self.seen.add(name)
        path: Path = ("blocks", name, "body")
        scope = replace(self.scope, parameters=bound, block=name)
        frame = Frame(place.frame.home, scope, named(block.body, path))
        self.blocks.append(name)
        self.report.open.append(set())
        flow = self.pipe(block.body, path, start, frame)
        mistakes = frozenset(self.report.open.pop())
        self.blocks.pop()
        bindings = tuple((key, each.value) for key, each in bound.items())
        instance = Instance(name, bindings, flow, tuple(frame.reads.values()), tuple(frame.shares.values()))
        return Kept(instance, mistakes)

    def _body(self, start: Flowing, place: Place) -> Instance:
        """Check a repeat's own pipe, whose names are found in the scope around it too."""
        pipe: Pipe = place.written.body
        path = (*place.path, place.written.kind, "body")
        key = (id(place.frame), path, _like(start))
        if key not in self.kept:
            frame = Frame(place.frame.home, place.frame.scope, named(pipe, path), parent=place.frame)
            self.report.open.append(set())
            flow = self.pipe(pipe, path, start, frame)
            mistakes = frozenset(self.report.open.pop())
            instance = Instance("", (), flow, tuple(frame.reads.values()), tuple(frame.shares.values()))
            self.kept[key] = Kept(instance, mistakes)
        place.inherit(self.kept[key].instance)
        return self.kept[key].instance

    def no_block(self, block: str, path: Path, notes: tuple[Note, ...] = ()) -> None:
        """Report a name at `path` that no block has."""
        near = suggest(block, tuple(self.spec.blocks))
        help = f"did you mean `{near}`?" if near else "" if self.spec.blocks else "the spec has no `blocks`"
        self.report.add("N303", f"there is no block `{block}`", path, help=help, notes=notes)

    def _bind(self, block: str, parameters: Mapping[str, Any], layer: int | None, place: Place) -> dict[str, Bound]:
        declared = self.spec.blocks[block].params
        for name in parameters:
            if name not in declared:
                near = suggest(name, tuple(declared))
                known = f"it has {', '.join(f'`{each}`' for each in declared)}" if declared else "it has none"
                place.fail(
                    "N305",
                    f"block `{block}` has no parameter `{name}`",
                    place.parameter_field(name),
                    help=f"did you mean `{near}`?" if near else known,
                )
        bound = {name: Bound(value, ("blocks", block, "params", name)) for name, value in declared.items()}
        scope = replace(place.frame.scope, layer=layer)
        for name, value in parameters.items():
            path = (*place.path, place.written.kind, *place.parameter_field(name).split("."))
            try:
                bound[name] = Bound(scope.bind(value), path)
            except ExpressionError as error:
                self.report.expression(error, path)
                raise Unknown from None
        return bound

    # -- pipes and nodes ----------------------------------------------------------------------------------------------

    def pipe(self, pipe: Pipe, path: Path, start: Flowing, frame: Frame) -> Flow:
        """Check a pipe, node by node, from `start`."""
        value, steps = start, list[Step]()
        if not pipe:
            self.report.add("D109", "a pipe needs at least one node", path)
            value = UNKNOWN
        for index, node in enumerate(pipe):
            if node.source is not None and index:
                before = (*path, index - 1)
                self.dropped.append((before, frame.names[before], pipe[index - 1].id))
            step = self.node(node, (*path, index), value, frame)
            value = step.output if step is not None else UNKNOWN
            if step is not None:
                steps.append(step)
        return Flow(tuple(steps), _tensor(start), _tensor(value))

    def node(self, written: Node, path: Path, value: Flowing, frame: Frame) -> Step | None:
        """Check one node; None where something is wrong with it."""
        place = Place(self, frame, written, path, value)
        self.kinds.add(written.kind)
        try:
            place.node = self._resolved(written, path, frame.scope)
            output = place.node.shape(place)
            step = place.step(output)
            self._expected(place, output)
        except Unknown:
            frame.failed |= {each.id for _, each in members((written,), path) if each.id}
            return None
        if written.id is not None and written.id not in frame.owners:  # of two with one name, the first has it
            frame.values[written.id] = Value(written.id, output, frame.home, "node")
            frame.owners[written.id] = step
        return step

    def _resolved(self, written: Node, path: Path, scope: Scope) -> Node:
        """Return the node with `defaults` filled in and every parameter and expression replaced by its value."""
        default = self.spec.defaults.get(written.kind)
        fields = {**self._fitting(default, written), **written.given()} if default is not None else written.given()
        fields.pop("expect", None)  # a shape to compare with, over symbolic axes, and no setting
        node = self._read(written, fields, path, scope)
        try:
            node = self._read(written, substituted(node, values_of(scope)), path, scope)
            node = self._read(written, substituted(node, numbers_of(scope)), path, scope)
        except Mistake as mistake:
            self.report.expression(mistake.error, *self.source(written, path, mistake.loc, scope))
            raise Unknown from None
        missing = [name for name, info in type(node).model_fields.items() if getattr(node, name) is MISSING]
        for name in missing:
            self.report.add(
                "D105",
                f"`{written.kind}` needs `{name}`",
                path,
                name,
                help=f"give it here, or under `defaults: {{{written.kind}: {{{name}: ...}}}}`",
            )
        if missing:
            raise Unknown
        return node

    def _fitting(self, default: Node, written: Node) -> dict[str, Any]:
        known = {info.alias or name for name, info in type(written).model_fields.items()}
        return {name: value for name, value in default.given().items() if name in known}

    def _read(self, written: Node, fields: Mapping[str, Any], path: Path, scope: Scope) -> Node:
        try:
            return type(written).read(dict(fields))
        except ValidationError as error:
            for code, loc, context in lines(error):
                if code == SILENT:
                    continue
                message, label = (
                    context["message"],
                    f"expected {context['expected']}" if context.get("expected") else "",
                )
                help, _ = advice(context, None)
                field, notes = self.source(written, path, loc, scope)
                value = self._written(written, path, loc)
                if isinstance(value, Expression) and code == "D103":
                    code, message = "E404", f"`{value}` is known only when the model runs"
                elif isinstance(value, Expression) and code in ("E404", "E405"):
                    message = (self._remainder(value, scope) if code == "E404" else "") or message
                    dim = self._blamed(value, scope)
                    if dim is not None:
                        field, notes = dim, (self.report.note(field, f"`{loc[-1]}` takes it here"),)
                message = say(code, message, field)
                self.report.add(code, message, field, message, label=label, help=help, notes=notes)
            raise Unknown from None

    def _remainder(self, expression: Expression, scope: Scope) -> str:
        """Return what an expression leaves over where it had to be whole, with the numbers that were divided."""
        dim = self.spec.dims.get(expression.text)
        try:
            (dim if isinstance(dim, Expression) else expression).whole(scope)
        except ExpressionError as error:
            return error.message
        return ""

    def _blamed(self, expression: Expression, scope: Scope) -> Path | None:
        """Return the dim whose value is wrong in itself: the one that stands alone where its value is refused."""
        name = expression.text
        if name not in self.spec.dims or name in scope.symbols:
            return None
        scope.blamed.add(name)
        return ("dims", name)

    def field_path(self, written: Node, path: Path, loc: Path) -> Path:
        """Return where a field is written: in the node, else in `defaults`, else the node itself."""
        if loc and loc[0] in written.given():
            return (*path, written.kind, *loc)
        default = self.spec.defaults.get(written.kind)
        if loc and default is not None and loc[0] in default.given():
            return ("defaults", written.kind, *loc)
        return path

    def source(self, written: Node, path: Path, loc: Path, scope: Scope) -> tuple[Path, tuple[Note, ...]]:
        """Return where the value of a field was written, and notes that show where it is used instead.

        That is in the node, in `defaults`, or where the block's parameter that stands in the field got its value.
        """
        field = self.field_path(written, path, loc)
        notes = (
            (self.report.note(path, "the node that takes it from `defaults`"),) if field[:1] == ("defaults",) else ()
        )
        value = self._written(written, path, loc)
        if isinstance(value, Expression):
            dims = [name for name in sorted(value.names) if name in scope.dims and name not in scope.symbols]
            notes += tuple(
                self.report.note(("dims", name), f"`{name}` is {_number(scope.dims[name])}") for name in dims[:3]
            )
        bound = scope.parameters.get(value.name) if isinstance(value, Parameter) else None
        if bound is None:
            return field, notes
        return self._said(bound), (*notes, self.report.note(field, f"`{value}` is used here"))

    def _written(self, written: Node, path: Path, loc: Path) -> Any:
        """Return what stands in the field at `loc`, in the node or in `defaults`."""
        in_defaults = self.field_path(written, path, loc)[:1] == ("defaults",)
        value: Any = (self.spec.defaults[written.kind] if in_defaults else written).given()
        for step in loc:
            value = value.given() if isinstance(value, Part) else value
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _said(self, bound: Bound) -> Path:
        """Return where in what a parameter may be (a cycle, a list) the value stands that it is."""
        tree = self.report.document.value
        if tree is not None:
            for below, scalar in source.scalars(source.find(tree, bound.path)):
                if scalar.value == bound.value:
                    return (*bound.path, *below)
        return bound.path

    def _expected(self, place: Place, output: Tensor) -> None:
        wanted = place.written.expect
        if wanted is None:
            return
        path = (*place.path, place.written.kind, "expect")
        sizes = extents.sizes(wanted, path, place.frame.scope, self.report)
        if sizes is not None and sizes != output.sizes:
            message = f"`{place.name}` gives {output}, and {extents.say(sizes)} is expected"
            self.report.add("T201", message, path, label=f"it is {output}")

    def settings(self, part: SomePart, path: Path) -> SomePart:
        """Return a section of settings with its expressions replaced by their values."""
        try:
            return type(part).read(substituted(part, numbers_of(self.scope)))
        except Mistake as mistake:
            self.report.expression(mistake.error, (*path, *mistake.loc))
        except ValidationError as error:
            for code, loc, context in lines(error):
                self.report.add(code, context["message"], (*path, *loc), label=f"expected {context.get('expected')}")
        return part

    # -- names --------------------------------------------------------------------------------------------------------

    def value(self, name: str, frame: Frame) -> Value | None:
        """Return what a name stands for where `frame` is, or None where nothing has it; a stream is checked if need be."""
        self.read.add(name)
        scope: Frame | None = frame
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        if name in self.inputs:
            return self.inputs[name]
        home = self.ids.get(name)
        if name in self.spec.streams and isinstance(self.spec.model, dict):
            home = name
        if home is None:
            return None
        if home in self.open and home not in self.streams:
            return self.frames[home].values.get(name)
        end = self.stream(home).flow.end
        if name == home:
            return Value(name, end, home, "stream") if end is not None else None
        return self.frames[home].values.get(name)

    def exists(self, name: str) -> bool:
        """Return whether a name is an input, a stream or an `id` outside of blocks."""
        streams = self.spec.streams if isinstance(self.spec.model, dict) else {}
        return name in self.inputs or name in self.ids or name in streams

    def names(self) -> tuple[str, ...]:
        """Return the names of all inputs, streams and nodes outside of blocks."""
        streams = self.spec.streams if isinstance(self.spec.model, dict) else {}
        return (*self.inputs, *streams, *self.ids)

    def result(self, name: str) -> Value | None:
        """Return the value that a finished walk has under `name`, if there is one."""
        home = self.ids.get(name, name)
        if home not in self.streams:
            return None
        if name in self.frames[home].values:
            return self.frames[home].values[name]
        end = self.streams[home].flow.end
        return Value(name, end, home, "stream") if end is not None and home == name else None

    def made(self, name: str) -> tuple[Note, ...]:
        """Return a note that shows the node that makes `name`."""
        owner = next((frame.owners[name] for frame in self.frames.values() if name in frame.owners), None)
        return (self.report.note(owner.path, "it is made here"),) if owner is not None else ()


def _like(start: Flowing) -> Any:
    """Return what of a value decides how a block is checked: its sizes, its padding, its type."""
    if not isinstance(start, Tensor):
        return start
    return start.dtype, start.sizes, tuple(axis.keep for axis in start.axes), start.vocab and start.vocab.size


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tensor(value: Flowing) -> Tensor | None:
    return value if isinstance(value, Tensor) else None
