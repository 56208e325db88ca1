"""From a checkpoint's tensors to a model's weights: every tree of the plan read, each tensor used, each shape right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tfdsl.diagnostics import Diagnostic, Span, suggest
from tfdsl.mapping import Weights
from tfdsl.mapping.axes import AxesError
from tfdsl.mapping.plan import Planned
from tfdsl.mapping.trees import Change, Either, Fill, Join, Leaf, New, Stack, Tree, leaves, partial
from tfdsl.weights.files import Tensors

SHOWN = 4  # names that one diagnostic tells
Where = Callable[[str], Span | None]


class Unfit(Exception):
    """A weight cannot be made: a diagnostic's code and words."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


@dataclass
class Reader:
    """Reads trees. `used` says for each tensor which entry has taken it.

    Of a tensor that is taken in parts, `parts` says which elements are taken.
    """

    tensors: Tensors
    section: Weights
    used: dict[str, str] = field(default_factory=dict[str, str])
    parts: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def found(self, name: str) -> str | None:
        """Return the name under which the checkpoint has a tensor: with one of the prefixes, or without."""
        if name in self.tensors:
            return name
        for prefix in self.section.prefix:
            other = name.removeprefix(prefix) if name.startswith(prefix) else prefix + name
            if other in self.tensors:
                return other
        return None

    def tensor(self, leaf: Leaf, key: str) -> Tensor:
        """Return a tensor, and note who has it; the others that should be the same are compared with it."""
        name = self.found(leaf.name)
        if name is None:
            near = suggest(leaf.name, self.tensors)
            raise Unfit("R723", f"the checkpoint has no `{leaf.name}`", f"did you mean `{near}`?" if near else "")
        if self.used.setdefault(name, key) != key and name not in self.parts:
            message = f"`{name}` is taken by `{self.used[name]}` and by `{key}`"
            raise Unfit("R724", message, "one tensor in two places is one weight: `tie` the nodes")
        tensor = self.tensors[name]
        for other in leaf.also:
            self.same(other, tensor, leaf.name, key)
        return tensor

    def same(self, name: str, tensor: Tensor, first: str, key: str) -> None:
        """Note that a tensor is the same as another, where the checkpoint has it."""
        found = self.found(name)
        if found is None:
            return
        self.used[found] = key
        other = self.tensors[found]
        if other.shape != tensor.shape or not torch.equal(other, tensor.to(other.dtype)):
            raise Unfit("R726", f"`{found}` is not the same as `{first}`", "in this model the two are one weight")

    def value(self, tree: Tree, key: str, shape: tuple[int, ...]) -> Tensor | None:
        """Return what a tree makes, or None for what is new; `shape` is what a number alone fills."""
        match tree:
            case Leaf():
                return self.tensor(tree, key)
            case New():
                return None
            case Fill():
                return torch.full(shape, self.number(tree))
            case Either():
                return self.value(self._chosen(tree), key, shape)
            case Stack():
                return torch.stack([self._part(part, key) for part in tree.parts])
            case Join():
                return self._joined(tree, key, shape)
            case Change():
                return self._changed(tree, self._part(tree.inner, key))

    def _part(self, tree: Tree, key: str) -> Tensor:
        value = self.value(tree, key, ())
        assert value is not None, "what is new stands alone"
        return value

    def _chosen(self, tree: Either) -> Tree:
        for part in tree.parts:
            if all(self.found(leaf.name) for leaf in leaves(part)):
                return part
        return tree.parts[0]

    def _joined(self, tree: Join, key: str, shape: tuple[int, ...]) -> Tensor:
        """Return the parts in one; a number among them fills the rows that the others leave."""
        parts = [None if isinstance(part, Fill) else self._part(part, key) for part in tree.parts]
        there = [part for part in parts if part is not None]
        left = shape[0] - sum(part.size(0) for part in there) if shape else 0
        gaps = len(parts) - len(there)
        if gaps and (left < 1 or left % gaps or not there):
            raise Unfit("R725", f"`{key}` has no rows left for a number", "the tensors alone have as many")
        for index, part in enumerate(tree.parts):
            if isinstance(part, Fill):
                rows = tree.heights[index] if tree.heights else left // gaps
                parts[index] = torch.full((rows, *there[0].shape[1:]), self.number(part), dtype=there[0].dtype)
        if len({part.shape[1:] for part in parts if part is not None}) > 1:
            sizes = " and ".join(str(list(part.shape)) for part in parts if part is not None)
            raise Unfit("R725", f"tensors of {sizes} cannot be joined for `{key}`")
        heights = tuple(part.size(0) for part in parts if part is not None)
        if tree.heights and heights != tree.heights:
            raise Unfit("R725", f"`{key}` joins {list(heights)} rows, and `heights` says {list(tree.heights)}")
        return torch.cat([part for part in parts if part is not None])

    def _changed(self, tree: Change, value: Tensor) -> Tensor:
        if tree.transpose and value.dim() > 1:
            value = value.transpose(-1, -2)
        if tree.pattern is not None:
            order = tree.pattern.order(tuple(value.shape), dict(tree.sizes))
            value = value.reshape(order.split).permute(order.turned).reshape(order.joined)
        return self.scaled(tree, _picked(tree, value))

    def number(self, tree: Fill) -> float:
        """Return the number that stands for a tensor which is not there."""
        return tree.value

    def scaled(self, tree: Change, value: Tensor) -> Tensor:
        """Return a value times a number and plus a number."""
        return value if tree.scale == 1 and tree.add == 0 else value * tree.scale + tree.add

    def part(self, tree: Tree, key: str, shape: tuple[int, ...]) -> None:
        """Note which elements of its tensors a tree takes that does not take them whole."""
        places = Places(self.tensors, self.section)
        found = places.value(tree, key, shape)
        assert found is not None, "what is new takes no part"
        found = found.flatten().long()
        for name, start in places.starts.items():
            count = self.tensors.count(name)
            own = found[(found >= start) & (found < start + count)] - start
            taken = self.parts.setdefault(name, torch.zeros(count, dtype=torch.bool))
            if name in self.used and bool(taken[own].any()) or own.unique().numel() < own.numel():
                message = f"a part of `{name}` is taken by `{self.used.get(name, key)}` and by `{key}`"
                raise Unfit("R724", message, "`rows` and `at` take each part once")
            taken[own] = True


@dataclass
class Places(Reader):
    """Reads trees over the places of elements in place of their numbers; each tensor's places begin at `starts`."""

    starts: dict[str, int] = field(default_factory=dict[str, int])

    def tensor(self, leaf: Leaf, key: str) -> Tensor:
        """Return the places of a tensor's elements."""
        name = self.found(leaf.name)
        if name is None:
            return super().tensor(leaf, key)
        start = self.starts.setdefault(name, sum(self.tensors.count(each) for each in self.starts))
        count = self.tensors.count(name)
        return torch.arange(start, start + count, dtype=torch.float64).view(self.tensors.shapes[name])

    def number(self, tree: Fill) -> float:
        """Return no place."""
        return -1.0

    def scaled(self, tree: Change, value: Tensor) -> Tensor:
        """Return the places as they are."""
        return value


def _picked(tree: Change, value: Tensor) -> Tensor:
    end = tree.rows[1] if tree.rows else (tree.at or 0) + 1
    if (tree.rows or tree.at is not None) and (not value.dim() or end > value.size(0)):
        raise Unfit("R725", f"a tensor of {list(value.shape)} has no row {end - 1}")
    if tree.rows:
        value = value[tree.rows[0] : tree.rows[1]]
    return value if tree.at is None else value[tree.at]


def read(
    model: nn.Module, planned: Iterable[Planned], section: Weights, tensors: Tensors, where: Where
) -> list[Diagnostic]:
    """Fill a model's weights from a checkpoint, in the model's own dtype, or say what does not fit.

    All is read before the first weight is written, so a model is filled or as it was. What is read is held once more.
    `where` finds the place in the spec of an entry.
    """
    reader, problems = Reader(tensors, section), dict[tuple[str, str], list[Unfit]]()
    own = model.state_dict(keep_vars=True)
    made: dict[str, Tensor] = {}
    for each in sorted(planned, key=lambda each: bool(each.weight.tied)):  # what others are tied to comes first
        try:
            _make(each, reader, made)
        except Unfit as unfit:
            problems.setdefault((unfit.code, each.key), []).append(unfit)
        except AxesError as error:
            problems.setdefault(("R725", each.key), []).append(Unfit("R725", f"`{each.weight.name}`: {error}"))
    found = [_told(key, unfits, where) for (_, key), unfits in problems.items()]
    found += _zeros(reader)
    found = found or _unused(reader)  # an entry that does not fit leaves tensors over
    found = found or _parts(reader)
    if found:
        return found
    with torch.no_grad():
        for name, value in made.items():
            own[name].copy_(value)
    return []


def _told(key: str, unfits: list[Unfit], where: Where) -> Diagnostic:
    """Return one diagnostic for what is wrong with an entry, however many copies have it."""
    first = unfits[0]
    copies = (f"in {len(unfits)} copies",) if len(unfits) > 1 else ()
    return Diagnostic(first.code, first.message, where(key), help=first.help, context=copies)


def _make(each: Planned, reader: Reader, made: dict[str, Tensor]) -> None:
    weight = each.weight
    if weight.tied:
        for leaf in leaves(each.tree):
            name = reader.found(leaf.name)
            if name is not None and weight.tied in made:
                reader.same(name, made[weight.tied], weight.tied, each.key)
        return
    if partial(each.tree):
        reader.part(each.tree, each.key, weight.shape)
    value = reader.value(each.tree, each.key, weight.shape)
    if value is None:
        return
    if tuple(value.shape) != weight.shape:
        message = f"`{weight.name}` is {list(weight.shape)}, and the checkpoint makes it {list(value.shape)}"
        raise Unfit("R725", message, _sources(each.tree, reader.tensors.shapes))
    made[weight.name] = value


def _sources(tree: Tree, shapes: Mapping[str, tuple[int, ...]]) -> str:
    found = [f"`{leaf.name}` is {list(shapes[leaf.name])}" for leaf in leaves(tree) if leaf.name in shapes]
    return ", ".join(found[:SHOWN])


def _zeros(reader: Reader) -> list[Diagnostic]:
    """Return what is said to be 0 throughout and is not."""
    found: list[Diagnostic] = []
    for each in reader.section.zeros:
        name = reader.found(each)
        if name is not None:
            reader.used[name] = "zeros"
            if bool(reader.tensors[name].any()):
                help = "this model has no place for it"
                found.append(Diagnostic("R726", f"`{name}` is not 0 throughout", help=help))
    return found


def _unused(reader: Reader) -> list[Diagnostic]:
    left = [name for name in reader.tensors if name not in reader.used and not _ignored(name, reader.section)]
    if not left:
        return []
    shown = ", ".join(f"`{name}`" for name in left[:SHOWN]) + (
        f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    )
    help = "map them in the spec's `weights`, or name them under `ignore`"
    return [Diagnostic("R727", f"the checkpoint has tensors that no weight takes: {shown}", help=help)]


def _ignored(name: str, section: Weights) -> bool:
    """Return whether a pattern is that of a name, as it stands or without a prefix that some checkpoints have."""
    names = (name, *(name.removeprefix(each) for each in section.prefix))
    return any(is_like(each, pattern) for each in names for pattern in section.ignore)


def is_like(name: str, pattern: str) -> bool:
    """Return whether a name is of a pattern, in which `*` stands for anything."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    if not name.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        place = name.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(name) - len(rest[-1]) >= place and name.endswith(rest[-1])


def _parts(reader: Reader) -> list[Diagnostic]:
    """Return what is left of tensors that are taken in parts."""
    for name, taken in reader.parts.items():
        if not bool(taken.all()):
            count = int((~taken).sum())
            message = f"of `{name}`, {list(reader.tensors.shapes[name])}, {count:,} numbers are taken by no weight"
            return [Diagnostic("R727", message, help="`rows` and `at` must take all of a tensor between them")]
    return []
