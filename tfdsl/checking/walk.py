"""The walk through a spec: streams, pipes, blocks, each copy that differs once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tfdsl.checking import documents, extents
from tfdsl.checking.fields import Fields
from tfdsl.checking.frames import Frame, members, named
from tfdsl.checking.ports import NOTHING, UNKNOWN, Flowing, Place, Unknown
from tfdsl.checking.report import Key, Report
from tfdsl.checking.scope import Bound, Scope, frozen
from tfdsl.diagnostics import Edit, Note, suggest, sure
from tfdsl.expressions import ExpressionError
from tfdsl.node import Flow, Instance, Node, Path, Pipe, Shared, Step, Value
from tfdsl.shapes import Tensor
from tfdsl.spec import Block, Spec

COPIES, DISTINCT = 50_000, 500  # so that no spec takes long: its blocks may vary within blocks that vary


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
        self.fields = Fields(spec, report)
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
                for id in node.ids:
                    self._once(id, (*path, node.kind, "id"), places)
                    ids.setdefault(id, stream)
        for name, block in self.spec.blocks.items():
            inside = dict[str, Path]()
            for path, node in members(block.body, ("blocks", name, "body")):
                for id in node.ids:
                    self._once(id, (*path, node.kind, "id"), inside)
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
            path, notes = self.fields.source(place.written, place.path, ("block",), place.frame.scope)
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
        place.mistakes[id(kept.instance)] = kept.mistakes
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
        pipe: Pipe = place.written.given()["body"]
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
        near, span = suggest(block, tuple(self.spec.blocks)), self.report.document.span(path)
        edits = (Edit(span, near),) if near and span is not None and sure(block, self.spec.blocks) else ()
        help = f"did you mean `{near}`?" if near else "" if self.spec.blocks else "the spec has no `blocks`"
        self.report.add("N303", f"there is no block `{block}`", path, help=help, notes=notes, edits=edits)

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
            if (node.source is not None or node.begins) and index:
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
            place.node = self.fields.resolved(written, path, frame.scope)
            output = place.node.shape(place)
            step = place.step(output)
            documents.check(place, step)
            self._expected(place, output)
        except Unknown:
            frame.failed |= {id for _, each in members((written,), path) for id in each.ids}
            return None
        frame.failed.update(id for id in written.ids if id != written.id and id not in place.given)
        for name, tensor in place.given.items():
            frame.values.setdefault(name, Value(name, tensor, frame.home, "part"))
        if written.id is not None and written.id not in frame.owners:  # of two with one name, the first has it
            frame.values[written.id] = Value(written.id, output, frame.home, "node")
            frame.owners[written.id] = step
        return step

    def _expected(self, place: Place, output: Tensor) -> None:
        wanted = place.written.expect
        if wanted is None:
            return
        path = (*place.path, place.written.kind, "expect")
        sizes = extents.sizes(wanted, path, place.frame.scope, self.report)
        if sizes is not None and sizes != output.sizes:
            message = f"`{place.name}` gives {output}, and {extents.say(sizes)} is expected"
            self.report.add("T201", message, path, label=f"it is {output}")

    # -- names --------------------------------------------------------------------------------------------------------

    def value(self, name: str, frame: Frame) -> Value | None:
        """Return what a name stands for where `frame` is, or None; a stream is checked if need be."""
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
            found = self.frames[home].values[name]
            return found if found.kind != "part" else None
        end = self.streams[home].flow.end
        return Value(name, end, home, "stream") if end is not None and home == name else None

    def made(self, name: str) -> tuple[Note, ...]:
        """Return a note that shows the node that makes `name`."""
        owner = next((frame.owners[name] for frame in self.frames.values() if name in frame.owners), None)
        return (self.report.note(owner.path, "it is made here"),) if owner is not None else ()


def _like(start: Flowing) -> Any:
    """Return what of a value decides how a block is checked: its sizes, padding and documents, its type."""
    if not isinstance(start, Tensor):
        return start
    marks = tuple((axis.keep, axis.parts) for axis in start.axes)
    return start.dtype, start.sizes, marks, start.vocab and start.vocab.size


def _tensor(value: Flowing) -> Tensor | None:
    return value if isinstance(value, Tensor) else None
