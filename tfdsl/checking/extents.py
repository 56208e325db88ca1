"""Written shapes to sizes and axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfdsl import shapes
from tfdsl.checking.report import Report
from tfdsl.checking.scope import Scope
from tfdsl.diagnostics import suggest
from tfdsl.expressions import Expression, ExpressionError
from tfdsl.node import Path, Value
from tfdsl.shapes import Axis, Keep, Poly, Tensor
from tfdsl.spec import Input, Spec

Sizes = tuple[int | Poly, ...]


def symbols(spec: Spec) -> dict[str, Poly]:
    """Return the symbolic axes: the capitals in the shapes of inputs."""
    extents = [extent for each in spec.inputs.values() for extent in each.shape if isinstance(extent, Expression)]
    names = {name for extent in extents for name in extent.names if name[0].isupper()}
    return {name: shapes.symbol(name) for name in sorted(names)}


def sizes(shape: tuple[Any, ...], path: Path, scope: Scope, report: Report) -> Sizes | None:
    """Return the sizes that a written shape says, or None where one has no value."""
    found = [_size(extent, (*path, index), scope, report) for index, extent in enumerate(shape)]
    known = tuple(size for size in found if size is not None)
    return known if len(known) == len(found) else None


def _size(extent: Any, path: Path, scope: Scope, report: Report) -> int | Poly | None:
    try:
        size = shapes.evaluate(extent, scope) if isinstance(extent, Expression) else extent
    except ExpressionError as error:
        report.expression(error, path)
        return None
    if isinstance(size, Poly):
        return size
    if not isinstance(size, int) or size < 1:
        report.add("E405", f"{size} is not a size", path, label="expected a whole number from 1 up")
        return None
    return size


def _pad(pad: Any, path: Path, scope: Scope, report: Report) -> int:
    """Return the word that stands for nothing, or 0 after a report."""
    try:
        value = shapes.evaluate(pad, scope) if isinstance(pad, Expression) else pad
    except ExpressionError as error:
        report.expression(error, path)
        return 0
    if not isinstance(value, int) or value < 0:
        report.add("E405", f"{value} is not a word", path, label="expected a whole number from 0 up")
        return 0
    return value


def given(name: str, each: Input, pad: int | None, scope: Scope, report: Report) -> Value | None:
    """Return the value that an input is, or None where its shape has no value."""
    path: Path = ("inputs", name)
    found = sizes(each.shape, (*path, "shape"), scope, report)
    words = _size(each.vocab, (*path, "vocab"), scope, report) if each.vocab is not None else None
    if isinstance(words, Poly):
        message = f"`vocab`: `{words}` is known only when the model runs"
        report.add("E404", message, (*path, "vocab"), label="expected a whole number from 1 up")
        return None
    if found is None or (each.vocab is not None and words is None):
        return None
    if isinstance(words, int) and pad is not None and pad >= words:
        report.add("E405", f"there is no word {pad} to pad with: {words} words count from 0", (*path, "pad"))
    keep = Keep((name,)) if pad is not None else None
    axes = tuple(
        Axis(size, _name(extent), keep if index == len(found) - 1 else None, (*path, "shape", index))
        for index, (size, extent) in enumerate(zip(found, each.shape, strict=True))
    )
    vocab = Axis(words, _name(each.vocab), origin=(*path, "vocab")) if words is not None else None
    return Value(name, Tensor(axes, "float" if each.dtype == "float" else "int", vocab), "", "input")


def pads(spec: Spec, scope: Scope, report: Report) -> dict[str, int]:
    """Return the word that stands for nothing, of each input that has one."""
    return {
        name: _pad(each.pad, ("inputs", name, "pad"), scope, report)
        for name, each in spec.inputs.items()
        if each.pad is not None
    }


def masked(spec: Spec, inputs: dict[str, Value], report: Report) -> dict[str, Value]:
    """Return the inputs, those that a mask tells of with its padding; reports a mask of another shape."""
    found = dict(inputs)
    for name, mask in spec.inputs.items():
        for index, target in enumerate(mask.keeps):
            path: Path = ("inputs", name, "keeps", index) if len(mask.keeps) > 1 else ("inputs", name, "keeps")
            if target not in spec.inputs or target == name:
                near = suggest(target, tuple(spec.inputs))
                report.add(
                    "N308", f"there is no input `{target}`", path, help=f"did you mean `{near}`?" if near else ""
                )
            elif name in inputs and target in inputs:
                _mask(found, inputs[name], target, path, report)
    return found


def parted(spec: Spec, inputs: dict[str, Value], report: Report) -> dict[str, Value]:
    """Return the inputs, those that another parts into documents with its name; such inputs stand last.

    Reports one of another shape, and positions that two part.
    """
    found = dict(inputs)
    for name, each in spec.inputs.items():
        for index, target in enumerate(each.parts):
            path: Path = ("inputs", name, "parts", index) if len(each.parts) > 1 else ("inputs", name, "parts")
            if target not in spec.inputs or target == name:
                near = suggest(target, tuple(spec.inputs))
                report.add(
                    "N308", f"there is no input `{target}`", path, help=f"did you mean `{near}`?" if near else ""
                )
            elif name in inputs and target in inputs:
                _part(found, inputs[name], target, path, report)
    return {name: found[name] for name in sorted(found, key=lambda name: bool(spec.inputs[name].parts))}


def _part(found: dict[str, Value], documents: Value, target: str, path: Path, report: Report) -> None:
    value = found[target]
    axes, sizes = value.tensor.axes, documents.tensor.sizes
    if len(sizes) != 2 or tuple(axis.size for axis in axes[:2]) != sizes:
        message = f"`{documents.name}` is {documents.tensor}, and does not part the positions of {value.tensor}"
        report.add("T281", message, path, help=f"it has the first two axes: {say(value.tensor.sizes[:2])}")
    elif axes[1].parts:
        message = f"`{axes[1].parts}` and `{documents.name}` both part `{target}`"
        report.add("T282", message, path, help="one input says which document a position belongs to")
    else:
        parted = replace(axes[1], parts=documents.name)
        found[target] = replace(value, tensor=replace(value.tensor, axes=(axes[0], parted, *axes[2:])))


def _mask(found: dict[str, Value], mask: Value, target: str, path: Path, report: Report) -> None:
    value = found[target]
    axes, places = value.tensor.axes, mask.tensor.axes
    if len(places) != 2 or tuple(axis.size for axis in axes[:2]) != mask.tensor.sizes:
        message = f"mask `{mask.name}` is {mask.tensor}, and does not tell of the positions of {value.tensor}"
        report.add(
            "T269",
            message,
            path,
            help=f"it has the first two axes: {say(value.tensor.sizes[:2])}",
        )
        return
    bare = Tensor((replace(axes[1], keep=Keep((mask.name,))),))
    both = Tensor((axes[1],)).joined(bare)
    found[target] = replace(value, tensor=replace(value.tensor, axes=(axes[0], both.axes[0], *axes[2:])))


def _name(extent: Any) -> str:
    return extent.text if isinstance(extent, Expression) and extent.text.isidentifier() else ""


def say(sizes: Sizes) -> str:
    """Write sizes as a shape: `[B, T, 768]`."""
    return f"[{', '.join(map(str, sizes))}]"
