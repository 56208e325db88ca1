"""A checked spec as a networkx graph: what reads what, for questions that a graph answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfdsl.checking import Checked
from tfdsl.node import Flow, Instance, Step

if TYPE_CHECKING:
    import networkx

    Graph = networkx.DiGraph[str]


def build(checked: Checked) -> Graph:
    """Return the model's nodes and what flows between them.

    A node of the graph is an input (`tokens`) or a node of the spec by its whole name (`encoder.layers.attention`), a
    block standing once for all of its copies. It has the attributes `kind`, `shape` (of what it gives) and `copies`; an
    edge has `role`: `flow` for the value before, `skip` for what a residual adds to its branch, else the field that
    names the value (`kv`, `from`). Where a node holds a pipe, the pipe's first nodes read what the node reads, and the
    node reads the pipe's end.
    """
    import networkx

    graph: Graph = networkx.DiGraph(name=checked.spec.name if checked.spec is not None else "")
    for name, value in checked.inputs.items():
        graph.add_node(name, kind="input", shape=value.tensor.label, copies=1)
    several = checked.spec is not None and isinstance(checked.spec.model, dict)
    ends: dict[str, str] = {name: name for name in checked.inputs}
    for name, stream in checked.streams.items():
        _Walk(graph, ends).instance(stream, f"{name}." if several else "", None, 1)
        ends[name] = ends[""]
    return graph


class _Walk:
    """The graph as it grows, and under each name (`""`: the last node) the node that makes the value."""

    def __init__(self, graph: Graph, ends: dict[str, str]) -> None:
        self.graph = graph
        self.ends = ends

    def instance(self, instance: Instance, prefix: str, before: str | None, copies: int) -> str | None:
        return self.flow(instance.flow, prefix, before, copies)

    def flow(self, flow: Flow, prefix: str, before: str | None, copies: int) -> str | None:
        for step in flow.steps:
            before = self.step(step, prefix, before, copies)
        self.ends[""] = before or ""
        return before

    def step(self, step: Step, prefix: str, before: str | None, copies: int) -> str:
        name = prefix + step.name
        self.graph.add_node(name, kind=step.node.kind, shape=step.output.label, copies=copies)
        named = [self.ends[value.name] for field, value in step.reads.items() if field.startswith("from")]
        start = named[0] if named else before
        for role, source in self._sources(step, before, named):
            self.graph.add_edge(source, name, role=role)
        for flow in step.flows:
            self._inside(self.flow(flow, prefix, start, copies), name)
        if step.node.branches and start is not None:
            self.graph.add_edge(start, name, role="skip")
        for index, instance in enumerate(step.instances):
            times = copies * step.order.count(index)
            which = f"[{', '.join(str(value) for _, value in instance.bindings)}]" if len(step.instances) > 1 else ""
            self._inside(self.instance(instance, f"{name}{which}.", start, times), name)
        if step.node.id is not None:
            self.ends[step.node.id] = name
        return name

    def _sources(self, step: Step, before: str | None, named: list[str]) -> Iterator[tuple[str, str]]:
        holds = step.flows or step.instances
        if not named and before is not None and not holds:
            yield "flow", before
        for field, value in step.reads.items():
            if not (holds and field.startswith("from")):
                yield field, self.ends[value.name]

    def _inside(self, end: str | None, name: str) -> None:
        if end is not None and end != name:
            self.graph.add_edge(end, name, role="flow")


def needed(graph: Graph, name: str) -> frozenset[str]:
    """Return all that `name` is made from, itself among it."""
    import networkx

    found: set[Any] = networkx.ancestors(graph, name)
    return frozenset(found | {name})
