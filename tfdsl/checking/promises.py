"""What is asked of the spec as a whole: its outputs, and that nothing in it is there for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tfdsl.checking import extents
from tfdsl.checking.frames import members
from tfdsl.checking.walk import Walk
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.expressions import Expression
from tfdsl.node import Flow, Path, Step, Value
from tfdsl.parts import Parameter

if TYPE_CHECKING:
    from tfdsl.settings import Train


def outputs(walk: Walk) -> dict[str, Value]:
    """Return the model's results; each must exist and have the shape that was promised."""
    if not walk.spec.outputs:
        last, stream = list(walk.streams.items())[-1]
        end = stream.flow.end
        return {last: Value(last, end, last, "stream")} if end is not None else {}
    found: dict[str, Value] = {}
    for name, shape in walk.spec.outputs.items():
        path: Path = ("outputs", name)
        sizes = extents.sizes(shape, path, walk.scope, walk.report)
        value = walk.result(name)
        if value is None:
            _missing(walk, name, path)
        elif sizes is not None and value.tensor.sizes != sizes:
            message = f"output `{name}` is promised as {extents.say(sizes)} and is {value.tensor}"
            walk.report.add("T201", message, path, label=f"it is {value.tensor}", notes=walk.made(name))
        if value is not None:
            found[name] = value
    return found


def _missing(walk: Walk, name: str, path: Path) -> None:
    if walk.exists(name):
        return
    near = suggest(name, walk.names())
    help = f"did you mean `{near}`?" if near else f"give the node that makes it `id: {name}`"
    span = walk.report.document.span(path, key=True)
    walk.report.add("N308", f"there is no value `{name}`", path, span=span, help=help)


def causes(found: list[Diagnostic], holes: bool, dims: bool) -> list[Diagnostic]:
    """Return the diagnostics without those that another explains.

    Where a node could not be read (`holes`), a pipe has lost its beginning, or an input is not there, the names that
    came with them are unknown too; a name that is nearly another's is told nevertheless. Without any `dims`, the first
    name stands for all.
    """
    names = [each for each in found if each.code == "E402"]
    if not dims and len(names) > 1:
        found = [each for each in found if each not in names[1:]]
    begun = holes or any(each.code == "N306" for each in found)
    given = not any(each.code == "N308" and not each.help for each in found)
    return [each for each in found if each.help.startswith("did you mean") or not _follows(each, begun, given)]


def _follows(each: Diagnostic, begun: bool, given: bool) -> bool:
    axis = each.code == "E402" and each.message.removeprefix("unknown name `")[:1].isupper()
    return (axis and (begun or not given)) or (begun and each.code in ("N308", "N312"))


def parameters(walk: Walk) -> None:
    """Report a parameter whose default should be a block and is none, also where every copy sets another."""
    for name, block in walk.spec.blocks.items():
        for _, node in members(block.body, ("blocks", name, "body")):
            named = node.given().get("block")
            if not isinstance(named, Parameter):
                continue
            default = block.params.get(named.name)
            if isinstance(default, str) and default not in walk.spec.blocks:
                walk.no_block(default, ("blocks", name, "params", named.name))


def training(walk: Walk, train: Train) -> None:
    """Warn of a model that cannot be trained as its `train` section says, or that would learn nothing from it."""
    tree = walk.report.document.value
    if tree is None or "train" not in tree.index or walk.report.broken:
        return
    for axis, (most, path) in walk.limits.items():
        if (train.context or 0) > most:
            message = f"sequences of {train.context} tokens do not fit the {most} positions of axis `{axis}`"
            notes = (walk.report.note(path, f"the table holds {most} positions"),)
            walk.report.add("W509", message, ("train", "context"), notes=notes)
    if train.objective.type_name == "next_token":
        for step in _steps([stream.flow for stream in walk.streams.values()]):
            if step.node.sight(step) == "everywhere":
                message = f"`{step.name}` sees the very tokens that next-token training has it predict"
                walk.report.add("W510", message, step.path, help="hide what comes later: `mask: causal`")


def _steps(flows: Iterable[Flow]) -> Iterator[Step]:
    """Yield every step of the flows and of what stands in them; a block once, however many copies it has."""
    for flow in flows:
        for step in flow.steps:
            yield step
            yield from _steps(step.flows)
            yield from _steps(instance.flow for instance in step.instances)


def unused(walk: Walk) -> None:
    """Warn of what nothing needs. With an error in the spec, what is needed is not known, and nothing is said."""
    if walk.report.broken:
        return
    for code, what, path in (*_names(walk), *_values(walk)):
        span = walk.report.document.span(path, key=isinstance(path[-1], str))
        walk.report.add(code, what, path, span=span)


def _names(walk: Walk) -> Iterator[tuple[str, str, Path]]:
    spec, used = walk.spec, walk.scope.used
    needed = _needed(walk)
    for name in spec.dims:
        if name not in needed:
            yield "W501", f"dim `{name}` is not used", ("dims", name)
    for name, block in spec.blocks.items():
        if name not in walk.seen:
            yield "W502", f"block `{name}` is not used", ("blocks", name)
            continue
        for parameter in block.params:
            if (f"block {name}", parameter) not in used:
                yield (
                    "W503",
                    f"parameter `{parameter}` of block `{name}` is not used",
                    ("blocks", name, "params", parameter),
                )
    for kind in spec.defaults:
        if kind not in walk.kinds:
            yield "W504", f"there is no `{kind}` for these defaults", ("defaults", kind)


def _needed(walk: Walk) -> set[str]:
    """Return the dims that something uses, and those that the expressions of such dims use."""
    dims = walk.spec.dims
    found: set[str] = set()
    further = [name for kind, name in walk.scope.used if kind == "dim"]
    while further:
        name = further.pop()
        if name in dims and name not in found:
            found.add(name)
            dim = dims[name]
            further += dim.names if isinstance(dim, Expression) else ()
    return found


def _values(walk: Walk) -> Iterator[tuple[str, str, Path]]:
    spec, needed = walk.spec, walk.read | set(spec_outputs(walk))
    for name, each in spec.inputs.items():
        if name not in needed and not needed & {*each.keeps, *each.parts}:
            yield "W505", f"input `{name}` is not read", ("inputs", name)
    for path, name, id in walk.dropped:
        if id not in needed:
            yield "W506", f"nothing reads what `{name}` gives", path
    for name, stream in walk.streams.items():
        last = stream.flow.steps[-1]
        if len(walk.streams) > 1 and not {name, last.node.id} & needed:
            yield "W507", f"nothing reads stream `{name}`", ("model", name)


def spec_outputs(walk: Walk) -> tuple[str, ...]:
    """Return the names of the model's results."""
    return tuple(walk.spec.outputs) or (list(walk.streams)[-1],)
