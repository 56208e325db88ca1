"""The elements of a figure, made from the steps of a checked pipe: each as its node's `form` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tfdsl.diagram.folding import Variant, fold, patterns
from tfdsl.diagram.tree import rebuilt
from tfdsl.diagram.wording import own, settings, size
from tfdsl.look import Beside, Box, Branch, Element, Fork, Group, Source, number
from tfdsl.node import Flow, Instance, Step, Value


@dataclass(frozen=True, slots=True)
class Scope:
    """Where steps stand: the stream, and what their ids begin with."""

    stream: str
    prefix: str

    def within(self, step: Step, instance: Instance | None = None) -> Scope:
        """Return the scope of the blocks that a step runs: all of its copies have one, or each way of an arch."""
        way = f"{instance.name}/" if instance is not None and step.node.form == "arch" else ""
        return Scope(self.stream, f"{self.prefix}{step.name}/{way}")

    def id(self, step: Step) -> str:
        """Return the id of a step's element."""
        return f"{self.prefix}{step.name}"


def stream(
    name: str, instance: Instance, ends: dict[str, str], opened: frozenset[str] = frozenset()
) -> tuple[Element, ...]:
    """Return the elements of a stream; `ends` holds the last element of each stream, by name.

    Nodes of the kinds and families `opened` are shown with what they do within.
    """
    return _Maker(ends, opened).pipe(instance.flow, Scope(name, f"{name}/"))


def top(step: Step, scope: Scope) -> str:
    """Return the id of the element that a step's value leaves: for a node beside the trunk, its joint."""
    return f"{scope.id(step)}/add" if step.node.form == "beside" else scope.id(step)


@dataclass(frozen=True, slots=True)
class _Maker:
    ends: dict[str, str]
    opened: frozenset[str]

    def pipe(self, flow: Flow, scope: Scope) -> tuple[Element, ...]:
        return tuple(element for step in flow.steps for element in self.step(step, scope))

    def step(self, step: Step, scope: Scope) -> Iterator[Element]:
        """Yield what a step looks like, and before it, where it reads something by name, that."""
        if "from" in step.reads:
            yield self.source(step, step.reads["from"], scope)
        form = step.node.form
        if form == "branch":
            yield self.branch(step, scope)
        elif form == "fork" and step.flows:
            yield self.fork(step, scope)
        elif form == "beside":
            yield self.beside(step, scope)
        elif form == "arch":
            yield self.arch(step, scope)
        elif step.repeats:
            yield self.group(step, scope)
        elif form == "group" and step.flows:
            yield self.frame(step, scope)
        elif form == "inline":
            yield from self.inline(step, scope)
        elif opens(step, self.opened):
            yield self.inside(step, scope)
        else:
            yield box(step, scope.id(step))

    def inside(self, step: Step, scope: Scope) -> Group:
        """Return a node with what it does within, in a frame that says what its box would."""
        card, reads = box(step, scope.id(step)), step.reads

        def placed(element: Element) -> Element:
            named = replace(element, id=f"{card.id}/{element.id}")
            if isinstance(named, Source) and named.of in reads:
                return replace(named, title=reads[named.of].name, of="")
            return named

        body = rebuilt(step.node.inside(step), placed)
        facts = "\n".join(piece for piece in (card.facts, card.corner) if piece)
        return Group(card.id, card.title, facts, body, card.tooltip, opened=True)

    def source(self, step: Step, value: Value, scope: Scope) -> Source:
        name = f"{scope.id(step)}/from"
        of = "" if value.kind == "input" else self.ends.get(value.name, f"{value.home}/{value.name}")
        title = value.name if value.kind == "input" else f"from {value.name}"
        return Source(name, title, value.tensor.label, of=of)

    def branch(self, step: Step, scope: Scope) -> Branch:
        body = self.pipe(step.flows[0], scope) if step.flows else ()
        said = tooltip(step)
        return Branch(scope.id(step), body, step.node.symbol, step.node.facts(step), step.output.label, said)

    def fork(self, step: Step, scope: Scope) -> Fork:
        pipes = tuple(self.pipe(flow, scope) for flow in step.flows)
        return Fork(scope.id(step), pipes, step.node.symbol, step.output.label, tooltip(step))

    def beside(self, step: Step, scope: Scope) -> Beside:
        card = replace(box(step, scope.id(step)), shape="")
        length = step.output.axes[-2].size
        end = str(length - 1) if isinstance(length, int) else f"{step.output.axes[-2].label}−1"
        feed = f"positions 0 … {end}" if step.weights else ""
        feed = "positions in each document" if step.x.axes[-2].parts else feed
        return Beside(top(step, scope), card, step.node.symbol, feed, step.output.label)

    def inline(self, step: Step, scope: Scope) -> Iterator[Element]:
        """Yield a block that is used once: its one node in place, or a frame with its name around several."""
        instance = step.instances[0]
        body = self.pipe(instance.flow, scope.within(step))
        if len(body) == 1:
            yield from body
        else:
            yield Group(scope.id(step), instance.name, number(size(instance.flow)), body)

    def arch(self, step: Step, scope: Scope) -> Group:
        """Return the frame around two stretches of copies, and around what stands between them."""
        times, ends = len(step.order) // 2, (step.order[0], step.order[-1])
        sides: list[Group] = []
        for side, instance in zip(("down", "up"), (step.instances[each] for each in ends), strict=True):
            inner = scope.within(step, instance)
            if side == "up" and ends[0] == ends[1]:
                inner = Scope(scope.stream, f"{inner.prefix}up/")  # one block both ways: its lanes leave the first
            body = self.pipe(instance.flow, inner)
            facts = f"{instance.name} · {number(size(instance.flow))} each"
            sides.append(Group(f"{scope.id(step)}/{side}", f"× {times}", facts, body))
        between = tuple(element for flow in step.flows for element in self.pipe(flow, scope))
        body = (sides[0], *between, sides[1])
        return Group(scope.id(step), step.node.heading(step), step.node.facts(step), body, tooltip(step))

    def frame(self, step: Step, scope: Scope) -> Group:
        """Return the frame around a pipe that a node runs in a way of its own."""
        body = tuple(element for flow in step.flows for element in self.pipe(flow, scope))
        inner = step.flows[-1].end if step.flows else None
        if inner is not None and inner.label != step.output.label:  # what the node makes of the pipe's end
            body += (Box(f"{scope.id(step)}/end", step.node.family, "To one value", shape=step.output.label),)
        return Group(scope.id(step), step.node.heading(step), step.node.facts(step), body, tooltip(step))

    def group(self, step: Step, scope: Scope) -> Group:
        """Return the frame around the copies of a block: what differs between them stands side by side in it."""
        inner = scope.within(step)
        variants = [
            Variant(dict(instance.bindings), step.order.count(index), self.pipe(instance.flow, inner))
            for index, instance in enumerate(step.instances)
        ]
        said = patterns([variants[index].bindings for index in step.order])
        title = said[0] if len(said) == 1 else f"× {len(step.order)}"
        name = step.instances[0].name or step.node.id or ""
        facts = [f"{name} · {_sizes(step)}" if name else _sizes(step), *(said if len(said) > 1 else ())]
        return Group(scope.id(step), title, "\n".join(facts), fold(variants, scope.id(step)), tooltip(step))


def _sizes(step: Step) -> str:
    sizes = [size(instance.flow) for instance in step.instances]
    if step.shared:
        return f"{number(sizes[0])}, shared"
    if len(set(sizes)) == 1:
        return f"{number(sizes[0])} each"
    return f"{number(sum(sizes[index] for index in step.order))} in all"


def opens(step: Step, opened: frozenset[str]) -> bool:
    """Return whether a node is shown with what it does within; `opened` holds kinds and families."""
    return not opened.isdisjoint((step.node.kind, step.node.family)) and bool(step.node.inside(step))


def box(step: Step, name: str) -> Box:
    """Return the box of a step: its heading, its facts, its parameters in the corner."""
    heading, facts = step.node.heading(step) or step.node.kind, step.node.facts(step)
    corner = parameters(step)
    if not corner and len(facts) <= 12:
        corner, facts = facts, ""
    return Box(name, step.node.family, heading, facts, corner, step.output.label, tooltip(step))


def parameters(step: Step) -> str:
    """Return a node's parameters as its corner says them: `38.6M`, `tied`, `tied + 30.5K`."""
    count, tied = own(step), any(weight.tied for weight in step.weights.values())
    said = (["tied"] if tied else []) + ([number(count)] if count else [])
    return " + ".join(said)


def tooltip(step: Step) -> str:
    """Return all that is known of a step in one line."""
    node, count = step.node, own(step)
    pieces = [f"{step.name}: {node.heading(step) or node.kind}", node.facts(step), settings(node), step.output.label]
    pieces += [f"{count:,} parameters"] if count else []
    pieces += [
        f"shares the weights of {weight.tied.rsplit('.', 1)[0]}" for weight in step.weights.values() if weight.tied
    ]
    return " · ".join(piece for piece in (*pieces, node.about or "") if piece)


def placed(flow: Flow, scope: Scope) -> Iterator[tuple[Step, Scope]]:
    """Yield every step that a pipe runs with its scope, those of different copies of a block too."""
    for step in flow.steps:
        yield step, scope
        for inner in step.flows:
            yield from placed(inner, scope)
        for instance in step.instances:
            yield from placed(instance.flow, scope.within(step, instance))


def last(flow: Flow, scope: Scope) -> str:
    """Return the id of the element that a pipe ends with."""
    step = flow.steps[-1]
    single = step.node.form == "inline" and not step.repeats and len(step.instances[0].flow.steps) == 1
    return last(step.instances[0].flow, scope.within(step)) if single else top(step, scope)
