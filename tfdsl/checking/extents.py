"""Written shapes to sizes and axes."""

from __future__ import annotations

from typing import Any

from tfdsl import shapes
from tfdsl.checking.report import Report
from tfdsl.checking.scope import Scope
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


def given(name: str, each: Input, scope: Scope, report: Report) -> Value | None:
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
    pad = _pad(each.pad, (*path, "pad"), scope, report) if each.pad is not None else 0
    if isinstance(words, int) and pad >= words:
        report.add("E405", f"there is no word {pad} to pad with: {words} words count from 0", (*path, "pad"))
    keep = Keep((name,)) if each.pad is not None else None
    axes = tuple(
        Axis(size, _name(extent), keep if index == len(found) - 1 else None, (*path, "shape", index))
        for index, (size, extent) in enumerate(zip(found, each.shape, strict=True))
    )
    vocab = Axis(words, _name(each.vocab), origin=(*path, "vocab")) if words is not None else None
    return Value(name, Tensor(axes, "int" if vocab else "float", vocab), "", "input")


def _name(extent: Any) -> str:
    return extent.text if isinstance(extent, Expression) and extent.text.isidentifier() else ""


def say(sizes: Sizes) -> str:
    """Write sizes as a shape: `[B, T, 768]`."""
    return f"[{', '.join(map(str, sizes))}]"
