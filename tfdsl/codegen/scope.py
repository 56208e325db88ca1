"""scope: the text of one class as it grows, and what a node's `write` may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfdsl.codegen.library import library
from tfdsl.codegen.merge import merge
from tfdsl.codegen.names import Letters, camel, harmless
from tfdsl.codegen.text import Made, construct, module, module_list
from tfdsl.codegen.wants import CACHE, START, Placed, Seen, Want, ordered
from tfdsl.diagnostics import Span
from tfdsl.document import Document
from tfdsl.identifiers import attribute
from tfdsl.node import Call, Flow, Instance, Shared, Step, Value
from tfdsl.parts import phrase
from tfdsl.shapes import Axis, Tensor

HINTS = {1: "B", 2: "BD", 3: "BTD", 4: "BCIJ"}
BRANCHES = "yzuvwrspq"


@dataclass
class Program:
    """What all classes of a text share."""

    document: Document
    letters: Letters
    referred: frozenset[str]  # the ids that something reads
    remembers: frozenset[Any] = frozenset()  # the sizes of the axes that a cache holds positions of
    early: Mapping[Any, int] = field(default_factory=dict[Any, int])  # axes that are shorter by added positions
    inputs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    pads: Mapping[str, int] = field(default_factory=dict[str, int])
    reserved: frozenset[str] = field(default_factory=lambda: frozenset({"Model", *library()}))
    classes: dict[str, Written] = field(default_factory=dict[str, "Written"])
    blocks: dict[tuple[int, bool], Copy] = field(default_factory=dict["tuple[int, bool]", "Copy"])
    variants: Mapping[str, int] = field(default_factory=dict[str, int])  # how many instances a block has
    sizes: dict[int, str] = field(default_factory=dict[int, str])  # the first name of an axis of this size
    apart: bool = False  # whether a cache holds which document each position belongs to
    joined: dict[str, str] = field(default_factory=dict[str, str])  # the mask that a table of biases holds

    def texts(self) -> list[str]:
        """Return the text of each block's class, inner ones first."""
        return [written.text() for written in self.classes.values()]

    def suffix(self, tensor: Tensor) -> str:
        """Return the letters of a tensor's axes; nothing where one has none."""
        hints = HINTS.get(len(tensor.axes), "")
        letters = [self.letter(axis, hints[place : place + 1]) for place, axis in enumerate(tensor.axes)]
        return "".join(letters) if all(letters) else ""

    def letter(self, axis: Axis, hint: str) -> str:
        """Return the letter of an axis."""
        if not isinstance(axis.size, int):
            return self.letters.letter(str(axis.size), hint)
        label = axis.name or self.sizes.get(axis.size, str(axis.size))
        self.sizes.setdefault(axis.size, label)
        return self.letters.letter(label, hint)

    def variable(self, name: str, tensor: Tensor) -> str:
        """Return the variable for a value of this name and shape."""
        suffix = self.suffix(tensor)
        return f"{name}_{suffix}" if suffix else f"{name}_"

    def named(self, name: str, tensor: Tensor) -> str:
        """Return the variable for a value that has a name in the spec, apart from the text's own."""
        return self.variable(f"the_{name}" if name in ("x", *BRANCHES) else name, tensor)

    def held(self, value: Value) -> str:
        """Return the variable for a named value; what a node gives besides its own may be more than a tensor."""
        return f"kept_{value.name}" if value.kind == "part" else self.named(value.name, value.tensor)

    def copies(self, instances: Sequence[Instance], home: str, cached: bool) -> list[Copy]:
        """Return the classes of blocks, written when they are first asked for; those that differ in numbers are one."""
        fresh = [each for each in instances if (id(each), cached) not in self.blocks]
        for instance in fresh:
            scope = Scope(self, home, cached)
            end = scope.run_whole(instance)
            written = Written(self.class_name(instance), instance, scope, end)
            self.classes[written.name] = written
            self.blocks[id(instance), cached] = Copy(written)
        if len(fresh) > 1:
            self._merge([self.blocks[id(each), cached].written for each in fresh], cached)
        return [self.blocks[id(each), cached] for each in instances]

    def _merge(self, found: list[Written], cached: bool) -> None:
        first, *others = found
        if any(
            (each.instance.name, each.scope.lines, each.end) != (first.instance.name, first.scope.lines, first.end)
            for each in others
        ):
            return
        bindings = [{attribute(name): value for name, value in each.instance.bindings} for each in found]
        merged = merge([each.scope.made for each in found], bindings)
        if merged is None:
            return
        first.scope.made, first.parameters = merged
        for each, bound in zip(found, bindings, strict=True):
            self.blocks[id(each.instance), cached] = Copy(first, tuple(repr(bound[name]) for name in first.parameters))
            if each is not first:
                del self.classes[each.name]

    def class_name(self, instance: Instance) -> str:
        """Return a name for a block's class: the block's, and what tells this instance from others of the block."""
        words = [value for _, value in instance.bindings if isinstance(value, str) and value.isidentifier()]
        plain = camel(instance.name or "layer")
        plain = f"{plain}Block" if plain in self.reserved else plain
        told = plain + "".join(map(camel, words))
        for name in (told, plain) if self.variants.get(instance.name, 1) > 1 else (plain, told):
            if name not in self.classes and name not in self.reserved:
                return name
        count = 2
        while f"{plain}{count}" in self.classes:
            count += 1
        return f"{plain}{count}"

    def span(self, step: Step) -> Span | None:
        """Return where a step was written."""
        return self.document.span(step.path)


class Scope:
    """One class: the lines of its `__init__` and of its `forward`, written a node at a time."""

    def __init__(self, program: Program, home: str, cached: bool) -> None:
        self.program = program
        self.home = home
        self.cached = cached
        self.made: list[str] = []
        self.lines: list[str] = []
        self.values: dict[str, str] = {}
        self.known: set[Want] = set()
        self.wants: list[Want] = []
        self.x = ""
        self.base = "x"
        self.live: list[str] = ["x"]
        self.line: tuple[str, int] | None = None
        self.step: Step | None = None

    # -- what a node's `write` asks ------------------------------------------------------------------------------------

    def layer(self, call: Call, name: str = "") -> str:
        """Declare a layer under the node's name (or `name`) and return the expression that holds it."""
        assert self.step is not None, "a layer belongs to a node"
        held = attribute(name or self.step.name)
        self.made.append(f"self.{held} = {construct(call)}")
        inside = {} if name else {key: each.tied[1:] for key, each in self.step.weights.items() if each.tied[:1] == "."}
        self.made += [f"self.{held}.{key} = self.{tied}" for key, tied in inside.items()]
        return f"self.{held}"

    def let(self, expression: str, also: str = "") -> None:
        """Give the node's value; where `also` is a name, what the node gives besides under it."""
        assert self.step is not None, "a value belongs to a node"
        name = self.step.node.id
        held = name is not None and name in self.program.referred
        output = self.step.output
        target = self.program.named(name, output) if held and name else self.program.variable(self.base, output)
        self._say()
        if also:
            self.values[also] = f"kept_{also}"
        self.lines.append(f"{target}{f', kept_{also}' if also else ''} = {expression}")
        self.x = target
        self.live = self.live[: self.live.index(self.base) + 1]

    def put(self, text: str) -> None:
        """Write a line that gives no value of the trunk."""
        self._say()
        self.lines.append(text)

    def run(self, flow: Flow, start: str = "") -> str:
        """Write a pipe beside the trunk, from `start` or the node's value on; return the variable that it ends in."""
        before, base, step = self.x, self.base, self.step
        self.base = next(each for each in BRANCHES if each not in self.live)
        self.live.append(self.base)
        if start:
            self.x = start
        if start and flow.start is not None and not start.isidentifier():
            self.x = self.program.variable(self.base, flow.start)
            self.put(f"{self.x} = {start}")
        self.pipe(flow)
        end, self.x, self.base, self.step = self.x, before, base, step
        return end

    def copies(self) -> None:
        """Write the copies of a block that the node repeats (or the one that it uses)."""
        step = self.step
        assert step is not None, "copies belong to a node"
        found = self.program.copies(step.instances, self.home, self.cached)
        given, held = self._given(found), attribute(step.name)
        if step.repeats and not step.shared:
            self.made += module_list(held, [found[each].made for each in step.order])
        else:
            self.made.append(f"self.{held} = {found[0].made}")
        if not step.repeats:
            begins = step.instances[0].flow.start is not None
            self.let(f"self.{held}({', '.join([self.x, *given] if begins else given)})")
            return
        copy = f"self.{held}" if step.shared else "layer"
        over = f"_ in range({len(step.order)})" if step.shared else f"layer in self.{held}"
        self._loop(over, copy, "{x}", given, "")

    def some(self, first: int, count: int, takes: str = "{x}", after: str = "") -> None:
        """Write `count` of the copies that the node runs, from `first` on."""
        step = self.step
        assert step is not None, "copies belong to a node"
        found, held = self.program.copies(step.instances, self.home, self.cached), attribute(step.name)
        if first == 0:
            self.made += module_list(held, [found[each].made for each in step.order])
        given = self._given([found[each] for each in dict.fromkeys(step.order[first : first + count])])
        part = f"[:{count}]" if first == 0 else f"[{first}:]"
        self._loop(f"layer in self.{held}{part}", "layer", takes, given, after)

    def _given(self, found: Sequence[Copy]) -> list[str]:
        """Return what copies are given beside the value that they take: what one of them wants, all are given."""
        wants = list(dict.fromkeys(want for each in found for want in each.written.wants))
        alike = all(set(each.written.wants) == set(wants) for each in found)
        for each in found:
            each.written.more |= dict.fromkeys(wants)
        return [
            self.want(each) if alike and each != CACHE else f"{each.name}={self.want(each)}" for each in ordered(wants)
        ]

    def _loop(self, over: str, copy: str, takes: str, given: list[str], after: str) -> None:
        """Write the loop over copies."""
        assert self.step is not None, "a loop belongs to a node"
        target = self.program.variable(self.base, self.step.output)
        self._say()
        if self.x != target:
            self.lines.append(f"{target} = {self.x}")
            self.x = target
        self.lines.append(f"for {over}:")
        self.lines.append(f"    {target} = {copy}({', '.join([takes.format(x=target), *given])})")
        self.lines += [f"    {after.format(x=target)}"] if after else []

    def through(self, flow: Flow) -> None:
        """Write a pipe on the trunk itself."""
        step = self.step
        self.pipe(flow)
        self.step = step

    def value(self, field: str) -> str:
        """Return the variable of the value that one of the node's fields names."""
        assert self.step is not None, "a field belongs to a node"
        return self.named(self.step.reads[field])

    def start(self, tensor: Tensor) -> str:
        """Return how many positions came before those of `tensor`, where a cache may hold some; else nothing."""
        if not self.cached or len(tensor.axes) < 3:
            return ""
        size = tensor.axes[-2].size
        if size in self.program.early:
            return f"max({self.want(START)} - {self.program.early[size]}, 0)"
        return self.want(START) if size in self.program.remembers else ""

    def cache(self) -> str:
        """Return the cache, where the model has one; else nothing."""
        return self.want(CACHE) if self.cached else ""

    def shared(self, shared: Shared, mask: Shared | None = None) -> str:
        """Return the variable of what a module of the whole model gives; `mask` is put into it."""
        name = shared.held
        if mask is not None and self.program.joined.setdefault(name, mask.name) != mask.name:
            name = f"{name}_{mask.name}"
        return self.want(Want(name, shared, mask))

    def keep(self, axis: Axis) -> str:
        """Return which positions of an axis are real, where some may be padding; else nothing."""
        if axis.keep is None:
            return ""
        keep = axis.keep
        shifted = f"_{keep.before}_{keep.after}".replace("-", "m") if keep.before or keep.after else ""
        batch = self.program.inputs[keep.inputs[0]].tensor.axes[0]
        name = self.program.variable(f"{'_'.join(keep.inputs)}_keep{shifted}", Tensor((batch, axis)))
        return self.want(Want(name, keep))

    def seen(self, axis: Axis) -> str:
        """Return the same of all positions up to the last, those that a cache holds among them."""
        keep = self.keep(axis)
        if not keep or not self.cached or axis.size not in self.program.remembers:
            return keep
        return self.want(Want(keep.replace("_keep", "_seen"), Seen(axis)))

    def place(self, axis: Axis, fresh: bool = False) -> str:
        """Return the place of each position in its document, or None, where an input parts the axis; else nothing."""
        if not axis.parts:
            return ""
        fresh, batch = fresh and self.cached, self.program.inputs[axis.parts].tensor.axes[0]
        name = self.program.variable(f"{axis.parts}_{'new' if fresh else 'place'}", Tensor((batch, axis)))
        return self.want(Want(name, Placed(axis, fresh)))

    # -- how the text grows -------------------------------------------------------------------------------------------

    def run_whole(self, instance: Instance) -> str:
        """Write all of a block and return the variable that it ends in."""
        if instance.flow.start is not None:
            self.x = self.program.variable("x", instance.flow.start)
        self.pipe(instance.flow)
        return self.x

    def pipe(self, flow: Flow) -> None:
        """Write the steps of a pipe, one after the other."""
        for step in flow.steps:
            self.step = step
            if "from" in step.reads:
                self.x = self.named(step.reads["from"])
            step.node.write(self, step)
            self._hold(step)

    def _hold(self, step: Step) -> None:
        """Keep the value of a node that something reads later in a variable of its own."""
        name = step.node.id
        if name is None or name not in self.program.referred:
            return
        own = self.program.named(name, step.output)
        if self.x != own:
            self.lines.append(f"{own} = {self.x}")
            self.x = own
        self.values[name] = own

    def named(self, value: Value) -> str:
        """Return the variable of a value, which may come from outside."""
        if value.name in self.values:
            return self.values[value.name]
        return self.want(Want(self.program.held(value), value))

    def want(self, want: Want) -> str:
        """Return the variable of something from outside; at the top of a stream, it is made here where it can be."""
        if want not in self.known:
            self.known.add(want)
            lines = self.supply(want)
            self.lines += lines
            if not lines:
                self.wants.append(want)
        return want.name

    def supply(self, want: Want) -> list[str]:
        """Return the lines that make what is wanted, in a scope that can."""
        return []

    def _say(self) -> None:
        """Say where the node was written, once a line."""
        assert self.step is not None, "a line belongs to a node"
        span = self.program.span(self.step)
        if span is not None and (span.file, span.line) != self.line:
            self.line = (span.file, span.line)
            self.lines.append(f"# {harmless(span.file.rpartition('/')[2])}:{span.line}")

    def ordered(self) -> tuple[Want, ...]:
        """Return what is wanted from outside, in the order of parameters."""
        return ordered(self.wants)


@dataclass
class Written:
    """The class that a block became. `more` is what its `forward` takes because other copies in its repeat need it."""

    name: str
    instance: Instance
    scope: Scope
    end: str
    more: dict[Want, None] = field(default_factory=dict[Want, None])
    parameters: list[str] = field(default_factory=list[str])

    @property
    def wants(self) -> tuple[Want, ...]:
        """Return what its `forward` needs beside the value that it takes."""
        return self.scope.ordered()

    def text(self) -> str:
        """Return the class."""
        start = self.instance.flow.start
        first = [self.scope.program.variable("x", start)] if start is not None else []
        others = ordered(want for want in self.more if want not in self.wants)
        more = [f"{want.name}=None" for want in others if want != CACHE]
        cache = ["cache=None"] if CACHE in {*self.wants, *self.more} else []
        wanted = [want.parameter for want in self.wants if want != CACHE]
        bound = [(name, value) for name, value in self.instance.bindings if name not in self.parameters]
        said = ", ".join(f"{name} = {phrase(value)}" for name, value in bound)
        title = f"Block `{self.instance.name}`" if self.instance.name else "What is repeated"
        title += f" with {harmless(said)}" if said else ""
        lines = [*self.scope.lines, f"return {self.end}"]
        taken = ["self", *first, *wanted, *more, *cache]
        return module(self.name, title, self.scope.made, taken, lines, self.parameters)


@dataclass(frozen=True)
class Copy:
    """A block's class, and what its constructor is given."""

    written: Written
    arguments: tuple[str, ...] = ()

    @property
    def made(self) -> Made:
        """Return the instance."""
        return Made(self.written.name, tuple(self.written.parameters), self.arguments)
