"""step: the forward of a token, or of guesses, traced with a cache whose buffers and position are inputs; compiled."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Generator, Mapping, Sequence
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
ROOMS, PROMPTS, ROW_COUNTS, SOURCES = (53, 61), (11, 7), (3, 5), (19, 17)  # few models have a size that is one of them
ONE, FEW, MANY = "one", "few", "many"  # rows of a batch, each with a step of its own
AHEAD, GUESSED, AT_ONCE = "ahead", (5, 4), 17  # and one for several tokens of a row; the most that it reads at once
FORKS = {"recent", "same_chunk", "first_and_recent"}  # calls of a cache that go one way or another by the position
AS_FEW = 8  # rows that are few: up to here a row of weights is read once for all of them

Fork = tuple[str, tuple[int, ...]]
Inputs = Callable[[int, int, int, int], list[Tensor]]
"""From numbers of rows, of tokens a row, of positions before them and of those of a source, to what a model takes."""


def _plain(rows: int, count: int, first: int, size: int) -> list[Tensor]:
    return [torch.zeros(rows, count, dtype=torch.long)]


def _parted(rows: int, count: int, first: int, size: int) -> list[Tensor]:
    return [torch.zeros(rows, count, dtype=torch.long) for _ in range(1 if first else 2)]  # documents: at first alone


@dataclass(frozen=True, slots=True)
class Call:
    """How a model is called: what it takes, the `place` of the tokens in that, and which `output` has the logits.

    It is `sourced` where some of its inputs are of a source, whose size is another each time.
    """

    inputs: Inputs
    place: int = 0
    output: str | None = None
    sourced: bool = False


PLAIN, PARTED = Call(_plain), Call(_parted)


@dataclass(frozen=True, slots=True)
class Form:
    """What a step needs of its inputs and of a cache.

    The shape of each input and of each tensor of the cache's entries (None: a size that may differ), their types, and
    the calls that go one way or another by the position, with the numbers of positions they name.
    """

    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    forks: tuple[Fork, ...] = ()
    given: int = 1  # how many of them are inputs

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
    """A model's forward of one token a row: its inputs, a tensor as long as positions were seen, the cache's entries.

    It gives the logits, then each entry that is another tensor than before. The others are written into.
    """

    def __init__(self, model: nn.Module, cache: Any, output: str | None = None) -> None:
        super().__init__()
        self.model = model
        self.output = output
        self.cache = (cache,)  # in a tuple: it may hold anything

    def forward(self, inputs: list[Tensor], seen: Tensor, entries: list[Any]) -> tuple[Tensor, list[Tensor]]:
        cache = copy.copy(self.cache[0])
        cache.length, cache.position, cache.turn, cache.entries = BOUNDLESS, seen.size(0), 0, list(entries)
        found = self.model(*inputs, cache=cache)
        logits: Tensor = found[self.output] if isinstance(found, dict) else found
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


def filled(model: Any, rows: int, room: int, prompt: int, call: Call = PLAIN, size: int = SOURCES[0]) -> Any:
    """Return a cache of `room` positions in which a model that is called so has put a prompt."""
    cache = model.new_cache(room)
    with torch.no_grad():
        model(*call.inputs(rows, prompt, 0, size), cache=cache)
    whole(cache)
    return cache


def whole(cache: Any) -> list[Tensor]:
    """Return the tensors of a cache's entries, once each lies in memory as compiled code reads it."""
    leaves: list[Tensor] = tree.tree_leaves(cache.entries)
    if not all(leaf.is_contiguous() for leaf in leaves):
        leaves = [leaf.contiguous() for leaf in leaves]
        cache.entries[:] = tree.tree_unflatten(leaves, tree.tree_structure(cache.entries))
    return leaves


def trace(model: nn.Module, rows: str, call: Call = PLAIN) -> tuple[torch.export.ExportedProgram, Form, list[int]]:
    """Return the step of a model for one row or for more, the form of its cache, and which entries it puts anew.

    Raises whatever the tracer raises at a model that it cannot trace, and ValueError where several tokens at once might
    go another way than those that were traced.
    """
    count = 1 if rows in (ONE, AHEAD) else ROW_COUNTS[0]
    first = (count, ROOMS[0], PROMPTS[0], SOURCES[0], GUESSED[0] if rows == AHEAD else 1)
    others = [(count, ROOMS[1], *first[2:]), (*first[:2], PROMPTS[1], *first[3:])]
    if rows == AHEAD:
        others.append((*first[:4], GUESSED[1]))
    elif rows != ONE:
        others.append((ROW_COUNTS[1], *first[1:]))
    if call.sourced:
        others.append((*first[:3], SOURCES[1], first[4]))
    given, cache = _case(model, call, *first)
    form = _form(_tensors_of(given, cache), [_tensors_of(*_case(model, call, *other)) for other in others])
    free = torch.export.Dim.DYNAMIC
    sizes = [{axis: free for axis, size in enumerate(shape) if size is None} for shape in form.shapes]
    dynamic = (sizes[: len(given)], {0: free}, _like(cache.entries, sizes[len(given) :]))
    step = Step(model, cache, call.output)
    put, forks = _put(step, given, cache)
    if rows == AHEAD and (put or forks):
        raise ValueError("it keeps more than keys and values of each position")
    inputs = (given, torch.empty(PROMPTS[0]), cache.entries)
    with torch.no_grad(), unplain(model), _traceable(model), _in_rows(rows):
        program = torch.export.export(
            step, inputs, dynamic_shapes=dynamic, strict=False, prefer_deferred_runtime_asserts_over_guards=True
        )
    return program, replace(form, forks=forks, given=len(given)), put


def _in_rows(rows: str) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if rows == MANY else Rows(several=rows == AHEAD)


def _case(model: Any, call: Call, rows: int, room: int, prompt: int, size: int, count: int) -> tuple[list[Tensor], Any]:
    """Return what a model takes for tokens behind a prompt, and the cache that holds the prompt."""
    return call.inputs(rows, count, prompt, size), filled(model, rows, room, prompt, call, size)


def _tensors_of(given: Sequence[Tensor], cache: Any) -> list[Tensor]:
    return [*given, *tree.tree_leaves(cache.entries)]


def _form(tensors: Sequence[Tensor], others: Sequence[Sequence[Tensor]]) -> Form:
    """Return the form of tensors: what differs in one of the others is free."""
    shapes = tuple(
        tuple(
            None if any(other[place].shape[axis] != size for other in others) else size
            for axis, size in enumerate(tensor.shape)
        )
        for place, tensor in enumerate(tensors)
    )
    return Form(shapes, tuple(str(tensor.dtype) for tensor in tensors))


def _like(entries: list[Any], leaves: list[Any]) -> list[Any]:
    """Return `leaves` in the structure of `entries`."""
    left = iter(leaves)
    return tree.tree_map(lambda _: next(left), entries)


def _put(step: Step, given: Sequence[Tensor], cache: Any) -> tuple[list[int], tuple[Fork, ...]]:
    """Return the places of the entries that a step puts anew, and the calls of the cache that fork."""
    mine = copy.copy(cache)
    mine.entries = list(cache.entries)
    before = tree.tree_leaves(mine.entries)
    forks = _watched(mine)
    with torch.no_grad():
        step.model(*given, cache=mine)
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

    def takes(self, inputs: Sequence[Tensor], cache: Any, count: int = 1) -> bool:
        """Return whether the step can go on with inputs of so many tokens a row from what a cache holds."""
        entries = cache.entries
        if not 2 <= cache.position < cache.length - count or not self.form.goes(cache.position):
            return False
        if len(entries) == len(self.known) and all(
            one is other for one, other in zip(entries, self.known, strict=True)
        ):
            return True
        leaves = whole(cache)
        if not self.form.takes([*(each.contiguous() for each in inputs), *leaves]):
            return False
        self.known, self.leaves = list(entries), leaves
        return True

    def __call__(self, inputs: Sequence[Tensor], cache: Any, count: int = 1) -> Tensor:
        """Return the logits of tokens, and put them behind what the cache holds, which `takes` has looked at."""
        if self.seen.size(0) < cache.length:
            self.seen = torch.empty(cache.length)
        logits, *put = self.run([*(each.contiguous() for each in inputs), self.seen[: cache.position], *self.leaves])
        if put:
            self._replace(cache, put)
        cache.position += count
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
    """A model whose steps of one token, or of some guesses, are compiled; all else it does itself."""

    def __init__(self, model: Any, steps: Mapping[str, Compiled], call: Call = PLAIN) -> None:
        self.model, self.steps, self.call = model, dict(steps), call
        self.new_cache = model.new_cache

    def __call__(self, *inputs: Tensor, cache: Any) -> Any:
        """Return what the model gives for inputs, or the logits alone, and append their tokens to the cache."""
        rows, count = inputs[self.call.place].shape
        step = self.steps.get(named(rows) if count == 1 else AHEAD if rows == 1 and count <= AT_ONCE else "")
        if step is not None and len(inputs) == step.form.given and step.takes(inputs, cache, count):
            try:
                return step(inputs, cache, count)
            except RuntimeError:  # a condition that the step was traced under does not hold here: nothing was done
                pass
        return self.model(*inputs, cache=cache)
