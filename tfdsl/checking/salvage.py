"""The rest of a spec whose form is wrong in places, so that what else is wrong in it is told at the same time."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from tfdsl import source
from tfdsl.diagnostics import suggest
from tfdsl.document import Document
from tfdsl.node import Node, Ports, Step, Work, kinds, lookup
from tfdsl.parts import NAME_PATTERN
from tfdsl.shapes import Tensor
from tfdsl.spec import Spec

SETTINGS = ("train", "sample", "init")  # nothing else depends on them
STRUCTURE = ("dims", "inputs", "outputs", "defaults", "blocks", "model")


class Hole(Node):
    """Stands where a node was that could not be read. `lost` are the ids that went with it."""

    lost: tuple[str, ...] = ()
    through: bool = False  # whether a node of its kind gives the shape that it takes

    @property
    def ids(self) -> tuple[str, ...]:
        return self.lost

    def shape(self, io: Ports) -> Tensor:
        return io.known(io.x if self.through and io.sources else None)

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None


def salvage(document: Document) -> Spec | None:
    """Return the spec with a hole for each node that cannot be read; None where more than that is wrong."""
    tree: Any = source.plain(document.value) if document.value is not None else None
    try:
        return Spec.model_validate(tree)
    except ValidationError as error:
        lines = error.errors(include_url=False)
    if not all(_cut(tree, line) for line in lines):
        return None
    for depth in (2, 1, 0):
        try:
            return Spec.model_validate(tree)
        except ValidationError:  # without a field, another one is wrong: all that is around it has to go
            for line in lines if depth else ():
                _trim(tree, line["loc"][:depth])
    return None


def _cut(tree: Any, line: Any) -> bool:
    """Take what is wrong out of the tree; return whether the rest can do without it."""
    head, *rest = line["loc"] or ("",)
    if head in SETTINGS:
        _trim(tree, line["loc"])
        return True
    if head == "outputs" and rest and isinstance(tree[head], dict):
        tree[head].pop(rest[0], None)
        return True
    if not rest and line["type"] == "D102":
        # A mapping or a list under an unknown name may be what the rest is made of.
        return not isinstance(tree.pop(head, None), dict | list) and suggest(str(head), STRUCTURE) is None
    return head in ("model", "blocks") and _dig(tree, line)


def _trim(tree: Any, loc: tuple[Any, ...]) -> None:
    """Take the innermost field around an error in a section of settings out of it, or the section."""
    if loc[0] not in SETTINGS:
        return
    value, spot = tree, (tree, loc[0])
    for step in loc:
        if isinstance(value, dict):
            if step not in value:
                break
            spot, value = (value, step), value[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
    spot[0].pop(spot[1], None)


def _dig(tree: Any, line: Any) -> bool:
    """Put a hole in the place of the innermost node around an error."""
    value, spot = tree, None
    loc = line["loc"]
    for at, step in enumerate(loc):
        after = loc[at + 1] if at + 1 < len(loc) else None
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            item = value[step]
            if isinstance(item, Hole):
                return True
            if _is_node(item, after, line["type"]):
                spot = value, step
            value = item
    if spot is None:
        return False
    pipe, index = spot
    pipe[index] = _hole(pipe[index])
    return True


def _is_node(item: Any, after: Any, code: str) -> bool:
    if after is None:
        return code in ("D103", "D110")
    return after == item if isinstance(item, str) else isinstance(item, dict) and len(item) == 1 and after in item


def _hole(item: Any) -> Hole:
    kind = item if isinstance(item, str) else next(iter(item)) if isinstance(item, dict) and len(item) == 1 else ""
    known = lookup(kind) or lookup(suggest(str(kind), kinds()) or "")
    ids = tuple(name for name in _ids(item) if NAME_PATTERN.fullmatch(name))
    return Hole(lost=ids, through=known is not None and known.keeps)  # pyright: ignore[reportCallIssue]


def _ids(value: Any) -> list[str]:
    """Return every `id` in a tree."""
    if isinstance(value, list):
        return [name for item in value for name in _ids(item)]
    if not isinstance(value, dict):
        return []
    own = [value["id"]] if isinstance(value.get("id"), str) else []
    return own + [name for item in value.values() for name in _ids(item)]
