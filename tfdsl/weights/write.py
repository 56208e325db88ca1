"""From a model's weights back to a checkpoint's tensors: every tree of the plan undone, each tensor whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tfdsl.diagnostics import Diagnostic
from tfdsl.mapping import Weights
from tfdsl.mapping.axes import AxesError
from tfdsl.mapping.plan import Planned
from tfdsl.mapping.trees import Change, Either, Fill, Join, Leaf, New, Stack, Tree, leaves
from tfdsl.weights.read import SHOWN, Unfit

Shape = tuple[int, ...]


@dataclass
class Writer:
    """Puts weights where they came from. `shapes` are those of the checkpoint's tensors, as far as they are known.

    A tensor that several weights share is put together: what is not there yet is not a number.
    """

    shapes: Mapping[str, Shape]
    section: Weights
    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def put(self, tree: Tree, value: Tensor) -> None:
        """Undo a tree: put what `value` holds into the tensors that the tree would make it of."""
        match tree:
            case Leaf():
                self._leaf(self.known(tree.name) or tree.name, value)
            case New():
                raise Unfit("R733", "a weight that is `new` has no place in the checkpoint")
            case Fill():
                self._same(tree, value)
            case Either():
                self.put(self._chosen(tree), value)
            case Stack() | Join():
                apart = value.unbind(0) if isinstance(tree, Stack) else value.split(self._heights(tree, value))
                for part, inner in zip(tree.parts, apart, strict=True):
                    self.put(part, inner)
            case Change():
                self.put(tree.inner, self._undone(tree, value))

    def _chosen(self, tree: Either) -> Tree:
        there = [part for part in tree.parts if all(self.known(leaf.name) for leaf in leaves(part))]
        return (there or list(tree.parts))[0]

    def _same(self, tree: Fill, value: Tensor) -> None:
        if not bool((value == tree.value).all()):
            message = f"it is no longer {tree.value:g} throughout, and the checkpoint has no place for it"
            raise Unfit("R733", message)

    def _leaf(self, name: str, value: Tensor) -> None:
        before = self.tensors.get(name)
        if before is None:
            self.tensors[name] = value.contiguous()
            return
        both = ~(before.isnan() | value.isnan())
        if before.shape != value.shape or not torch.equal(before[both], value[both]):
            raise Unfit("R733", f"`{name}` would be two different tensors", "its weights here were trained apart")
        self.tensors[name] = torch.where(before.isnan(), value, before)

    def known(self, name: str) -> str | None:
        """Return the name that the checkpoint had a tensor under, or None."""
        if name in self.shapes:
            return name
        for prefix in self.section.prefix:
            other = name.removeprefix(prefix) if name.startswith(prefix) else prefix + name
            if other in self.shapes:
                return other
        return None

    def shape(self, tree: Tree) -> Shape | None:
        """Return the shape of what a tree makes, where the shapes of its tensors are known."""
        match tree:
            case Leaf():
                known = self.known(tree.name)
                return tuple(self.shapes[known]) if known else None
            case Change():
                inner = self._turned(tree)
                if inner is None or tree.at is not None:
                    return inner if inner is None else inner[1:]
                return inner if tree.rows is None else (tree.rows[1] - tree.rows[0], *inner[1:])
            case Join() | Stack():
                parts = [self.shape(part) for part in tree.parts]
                if not parts or None in parts:
                    return None
                first = parts[0] or ()
                if isinstance(tree, Stack):
                    return (len(parts), *first)
                return (sum(part[0] for part in parts if part), *first[1:])
            case Either():
                found = [shape for part in tree.parts if (shape := self.shape(part))]
                return found[0] if found else None
            case Fill() | New():
                return None

    def _turned(self, tree: Change) -> Shape | None:
        """Return the shape of a change before rows are taken of it."""
        inner = self.shape(tree.inner)
        if inner is None:
            return None
        if tree.transpose and len(inner) > 1:
            inner = (*inner[:-2], inner[-1], inner[-2])
        return inner if tree.pattern is None else tree.pattern.order(inner, dict(tree.sizes)).joined

    def _heights(self, tree: Join, value: Tensor) -> list[int]:
        if tree.heights:
            return list(tree.heights)
        found = [shape[0] if (shape := self.shape(part)) else None for part in tree.parts]
        left = value.size(0) - sum(height for height in found if height is not None)
        unknown = found.count(None)
        if unknown > 1 or (unknown == 0 and left):
            raise Unfit("R733", "how many rows each part of a join has is not known", "say it with `heights`")
        return [left if height is None else height for height in found]

    def _undone(self, tree: Change, value: Tensor) -> Tensor:
        if tree.scale != 1 or tree.add != 0:
            value = (value - tree.add) / tree.scale
        if tree.rows is not None or tree.at is not None:
            value = self._placed(tree, value)
        if tree.pattern is not None:
            order = tree.pattern.inverse().order(tuple(value.shape), dict(tree.sizes))
            value = value.reshape(order.split).permute(order.turned).reshape(order.joined)
        return value.transpose(-1, -2) if tree.transpose and value.dim() > 1 else value

    def _placed(self, tree: Change, value: Tensor) -> Tensor:
        """Return a tensor with `value` in its rows, and no numbers in the others."""
        whole = self._turned(tree)
        if whole is None:
            raise Unfit("R733", "the whole of a tensor that `rows` or `at` takes a part of is not known")
        placed = torch.full(whole, torch.nan, dtype=value.dtype)
        if tree.at is not None:
            placed[tree.at] = value
        elif tree.rows is not None:
            placed[tree.rows[0] : tree.rows[1]] = value
        return placed


def write(
    weights: Mapping[str, Tensor], planned: Iterable[Planned], section: Weights, shapes: Mapping[str, Shape]
) -> tuple[dict[str, Tensor], list[Diagnostic]]:
    """Return the tensors of a checkpoint that weights make, and what has no place in one.

    `shapes` are those of the checkpoint that the weights came from; empty where they came from none.
    """
    writer, problems = Writer(shapes, section), dict[str, Diagnostic]()
    for each in planned:
        if each.weight.tied:
            continue
        name = f"`{each.weight.name}`"
        try:
            writer.put(each.tree, weights[each.weight.name])
        except Unfit as unfit:
            problems.setdefault(each.key, Diagnostic(unfit.code, f"{name}: {unfit.message}", help=unfit.help))
        except AxesError as error:
            problems.setdefault(each.key, Diagnostic("R733", f"{name}: {error}"))
    for name in section.zeros:
        known = writer.known(name)
        if known is not None:
            writer.tensors[known] = torch.zeros(shapes[known])
    return writer.tensors, list(problems.values()) or _differing(writer.tensors, shapes)


def _differing(tensors: Mapping[str, Tensor], shapes: Mapping[str, Shape]) -> list[Diagnostic]:
    """Return what is not as in the checkpoint that the weights came from."""
    found: list[Diagnostic] = []
    for name, tensor in tensors.items():
        if tensor.isnan().any():
            found.append(Diagnostic("R733", f"a part of `{name}` comes from no weight, or is no number"))
        elif name in shapes and tuple(tensor.shape) != tuple(shapes[name]):
            message = f"`{name}` is {list(tensor.shape)}, and was {list(shapes[name])} in the checkpoint"
            found.append(Diagnostic("R733", message, help="the spec was changed since the import"))
    return found[:SHOWN]
