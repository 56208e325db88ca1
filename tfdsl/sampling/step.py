"""step: the forward of one token, traced with a cache whose buffers and position are inputs, and compiled."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as tree

from tfdsl.sampling.layout import unplain
from tfdsl.sampling.rows import Rows

BOUNDLESS = 1 << 40  # the room of a cache whose real room is that of its buffers, which the caller looks after
ROOMS, PROMPTS, ROW_COUNTS = (53, 61), (11, 7), (3, 5)  # no size of a model is likely to be one of them
ONE, FEW, MANY = "one", "few", "many"  # rows of a batch, each with a step of its own
FORKS = {"recent", "same_chunk", "first_and_recent"}  # calls of a cache that go one way or another by the position
AS_FEW = 8  # rows that are few: up to here a row of weights is read once for all of them

Fork = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Form:
    """What a step needs of a cache.

    The shape of each tensor of its entries (None: a size that may differ), their types, and the calls that go one way
    or another by the position, with the numbers of positions they name.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    forks: tuple[Fork, ...] = ()

    def takes(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether tensors are of this form, and lie in memory as compiled code reads them."""
        return len(tensors) == len(self.shapes) and all(
            tensor.is_contiguous()
            and str(tensor.dtype) == dtype
            and tensor.dim() == len(shape)
            and all(wanted in (None, size) for wanted, size in zip(shape, tensor.shape, strict=True))
            for tensor, shape, dtype in zip(tensors, self.shapes, self.dtypes, strict=True)
        )

    def goes(self, position: int) -> bool:
        """Return whether one token at a position goes all the ways that were traced."""
        return all(ways(*fork, position) == ways(*fork, PROMPTS[0]) for fork in self.forks)


class Step(nn.Module):
    """A model's forward of one token: tokens [B, 1], a tensor as long as positions were seen, the cache's entries.

    It gives the logits, then each entry that is another tensor than before. The others are written into.
    """

    def __init__(self, model: nn.Module, cache: Any) -> None:
        super().__init__()
        self.model = model
        self.cache = (cache,)  # in a tuple: it may hold anything

    def forward(self, tokens_BT: Tensor, seen: Tensor, entries: list[Any]) -> tuple[Tensor, list[Tensor]]:
        cache = copy.copy(self.cache[0])
        cache.length, cache.position, cache.turn, cache.entries = BOUNDLESS, seen.size(0), 0, list(entries)
        logits = self.model(tokens_BT, cache=cache)
        before, after = tree.tree_leaves(entries), tree.tree_leaves(cache.entries)
        return logits, [now for now, then in zip(after, before, strict=True) if now is not then]


def ways(call: str, sizes: tuple[int, ...], position: int) -> tuple[int, ...]:
    """Return which ways one token at a position goes in a call of the cache: code that was traced knows one way each.

    They are whether what is kept moves; whether a chunk is full; whether the token is among the first, and whether
    none, one, some or all of these stand before the window.
    """
    if call == "first_and_recent":
        first, window = sizes
        before = max(0, min(first, position - window + 1))
        return position < first, min(before, 2), before == first
    size = sizes[0]
    if call == "same_chunk":
        return max(0, (position - 1) // size * size) != position // size * size, (position + 1) % size == 0
    step = max(size // 8, 16)
    return (max(0, (position - size) // step * step) != max(0, (position + 1 - size) // step * step),)


def named(rows: int) -> str:
    """Return whether a number of rows is one, few or many."""
    return ONE if rows == 1 else FEW if rows <= AS_FEW else MANY


def filled(model: Any, rows: int, room: int, prompt: int, parted: bool) -> Any:
    """Return a cache of `room` positions that has seen a prompt: of `parted` rows, with the numbers of documents."""
    cache = model.new_cache(room)
    tokens_BT = torch.zeros(rows, prompt, dtype=torch.long)
    with torch.no_grad():
        model(tokens_BT, *([torch.zeros_like(tokens_BT)] if parted else []), cache=cache)
    return cache


def trace(model: nn.Module, rows: str, parted: bool) -> tuple[torch.export.ExportedProgram, Form, list[int]]:
    """Return the step of a model for one row or for more, the form of its cache, and which entries it puts anew.

    Raises whatever the tracer raises at a model that it cannot trace.
    """
    count = 1 if rows == ONE else ROW_COUNTS[0]
    first = (count, ROOMS[0], PROMPTS[0])
    others = [(count, ROOMS[1], PROMPTS[0]), (count, ROOMS[0], PROMPTS[1])]
    if rows != ONE:
        others.append((ROW_COUNTS[1], ROOMS[0], PROMPTS[0]))
    cache = filled(model, *first, parted)
    form = _form(cache, [filled(model, *other, parted) for other in others])
    free = torch.export.Dim.DYNAMIC
    entries = [{axis: free for axis, size in enumerate(shape) if size is None} for shape in form.shapes]
    dynamic = ({0: free} if rows != ONE else {}, {0: free}, _like(cache.entries, entries))
    step = Step(model, cache)
    given = (torch.zeros(count, 1, dtype=torch.long), torch.empty(PROMPTS[0]), cache.entries)
    with torch.no_grad(), unplain(model), _traceable(model), Rows() if rows != MANY else contextlib.nullcontext():
        program = torch.export.export(
            step, given, dynamic_shapes=dynamic, strict=False, prefer_deferred_runtime_asserts_over_guards=True
        )
    put, forks = _put(step, cache)
    return program, replace(form, forks=forks), put


def _form(cache: Any, others: Sequence[Any]) -> Form:
    """Return the form of a cache: what differs in one of the others is free."""
    leaves = tree.tree_leaves(cache.entries)
    varied = [tree.tree_leaves(other.entries) for other in others]
    shapes = tuple(
        tuple(
            None if any(other[place].shape[axis] != size for other in varied) else size
            for axis, size in enumerate(leaf.shape)
        )
        for place, leaf in enumerate(leaves)
    )
    return Form(shapes, tuple(str(leaf.dtype) for leaf in leaves))


def _like(entries: list[Any], leaves: list[Any]) -> list[Any]:
    """Return `leaves` in the structure of `entries`."""
    left = iter(leaves)
    return tree.tree_map(lambda _: next(left), entries)


def _put(step: Step, cache: Any) -> tuple[list[int], tuple[Fork, ...]]:
    """Return the places of the entries that a step puts anew, and the calls of the cache that fork."""
    mine = copy.copy(cache)
    mine.entries = list(cache.entries)
    before = tree.tree_leaves(mine.entries)
    forks = _watched(mine)
    with torch.no_grad():
        step.model(torch.zeros(before[0].size(0), 1, dtype=torch.long), cache=mine)
    after = tree.tree_leaves(mine.entries)
    put = [place for place, (now, then) in enumerate(zip(after, before, strict=True)) if now is not then]
    return put, tuple(sorted(forks))


def _watched(cache: Any) -> set[Fork]:
    """Return a set that is filled with the calls of a cache that fork, as it is called."""
    found: set[Fork] = set()

    def watch(name: str) -> None:
        call = getattr(cache, name)

        def noted(x: Tensor, axis: int, *sizes: int) -> Tensor:
            found.add((name, sizes))
            return call(x, axis, *sizes)

        setattr(cache, name, noted)

    for name in FORKS & vars(type(cache)).keys():
        watch(name)
    return found


@contextlib.contextmanager
def _traceable(model: nn.Module) -> Generator[None]:
    """Have a model's own module take symbols where Python or torch wants plain numbers."""
    names = model.forward.__func__.__globals__  # type: ignore[union-attr]
    before = {name: names.get(name) for name in ("F", "max", "min")}
    own: dict[str, Any] = {"F": _functional(), "max": _largest, "min": _smallest}
    names.update({name: own[name] for name in own if name != "F" or before["F"] is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                names.pop(name, None)
            else:
                names[name] = value


def _functional() -> SimpleNamespace:
    def attend(*args: Any, is_causal: bool = False, **kwargs: Any) -> Tensor:
        return F.scaled_dot_product_attention(*args, is_causal=bool(is_causal), **kwargs)

    return SimpleNamespace(**{**vars(F), "scaled_dot_product_attention": attend})


def _largest(*values: Any) -> Any:
    found, *rest = values[0] if len(values) == 1 else values
    for each in rest:
        found = torch.sym_max(found, each)
    return found


def _smallest(*values: Any) -> Any:
    found, *rest = values[0] if len(values) == 1 else values
    for each in rest:
        found = torch.sym_min(found, each)
    return found


def compile_to(path: Path, program: torch.export.ExportedProgram, threads: int) -> None:
    """Compile a traced step into a package without its weights. Raises what the compiler raises."""
    options: Mapping[str, Any] = {
        "aot_inductor.package_constants_in_so": False,
        "cpp.threads": threads,
        "aot_inductor.use_runtime_constant_folding": False,
    }
    from torch._inductor import aoti_compile_and_package

    aoti_compile_and_package(program, package_path=str(path), inductor_configs=dict(options))


class Compiled:
    """A compiled step with a model's weights."""

    def __init__(self, path: Path, model: nn.Module, form: Form, put: Sequence[int]) -> None:
        from torch._C._aoti import AOTIModelPackageLoader  # pyright: ignore[reportMissingModuleSource]

        self.form, self.put = form, tuple(put)
        loader = AOTIModelPackageLoader(str(path), "model", True, 1, -1)
        names = loader.get_constant_fqns()
        own = {f"model.{name}": tensor for name, tensor in _tensors(model).items()}
        loader.load_constants({name: own[name] for name in names}, False, True, True)
        self.loader, self.run = loader, loader.boxed_run
        self.known: list[Any] = []
        self.leaves: list[Tensor] = []
        self.seen = torch.empty(0)

    def takes(self, cache: Any) -> bool:
        """Return whether the step can go on from what a cache holds."""
        entries = cache.entries
        if not 2 <= cache.position < cache.length - 1 or not self.form.goes(cache.position):
            return False
        if len(entries) == len(self.known) and all(
            one is other for one, other in zip(entries, self.known, strict=True)
        ):
            return True
        leaves = tree.tree_leaves(entries)
        if not self.form.takes(leaves):
            return False
        self.known, self.leaves = list(entries), leaves
        return True

    def __call__(self, tokens_BT: Tensor, cache: Any) -> Tensor:
        """Return the logits of one token a row, and put it behind what the cache holds, which `takes` has looked at."""
        if self.seen.size(0) < cache.length:
            self.seen = torch.empty(cache.length)
        logits, *put = self.run([tokens_BT.contiguous(), self.seen[: cache.position], *self.leaves])
        if put:
            self._replace(cache, put)
        cache.position += 1
        return logits

    def _replace(self, cache: Any, put: Sequence[Tensor]) -> None:
        for place, tensor in zip(self.put, put, strict=True):
            self.leaves[place] = tensor
        cache.entries[:] = tree.tree_unflatten(self.leaves, tree.tree_structure(cache.entries))
        self.known = list(cache.entries)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    found = dict(model.named_parameters(remove_duplicate=False))
    return {**found, **dict(model.named_buffers(remove_duplicate=False))}


class Stepped:
    """A model whose steps of one token are compiled; all else it does itself."""

    def __init__(self, model: Any, steps: Mapping[str, Compiled]) -> None:
        self.model, self.steps = model, dict(steps)
        self.new_cache = model.new_cache

    def __call__(self, tokens_BT: Tensor, *documents_BT: Tensor, cache: Any) -> Tensor:
        """Return the logits of tokens [B, T], and append them to the cache."""
        if tokens_BT.size(1) == 1 and not documents_BT:
            step = self.steps.get(named(tokens_BT.size(0)))
            if step is not None and step.takes(cache):
                try:
                    return step(tokens_BT, cache)
                except RuntimeError:  # a condition that the step was traced under does not hold here: nothing was done
                    pass
        return self.model(tokens_BT, *documents_BT, cache=cache)
