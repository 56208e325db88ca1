"""told: what inputs tell of positions: which are not padding, which document each belongs to, and its place there."""

from __future__ import annotations

from tfdsl.codegen.scope import Program, Scope
from tfdsl.codegen.wants import CACHE, Begun, Placed, Want
from tfdsl.shapes import Axis, Keep, Tensor


def begin(scope: Scope, axis: Axis) -> str:
    """Return where the document of each position begins, or None, where an input parts the axis; else nothing.

    Those that a cache holds are among the positions.
    """
    if not axis.parts:
        return ""
    batch = scope.program.inputs[axis.parts].tensor.axes[0]
    name = scope.program.variable(f"{axis.parts}_begin", Tensor((batch, axis)))
    return scope.want(Want(name, Begun(axis.parts)))


def told(scope: Scope, want: Want) -> list[str]:
    """Return the lines that make what inputs tell of positions: which are not padding, where documents begin."""
    if isinstance(want.about, Keep):
        return _kept(want.name, want.about, scope.program)
    if isinstance(want.about, Placed):
        begun, name = begin(scope, want.about.axis), want.about.axis.parts
        given = scope.program.inputs[name]
        told = scope.program.named(name, given.tensor) if want.about.fresh else begun
        return [f"{want.name} = None if {told} is None else places({begun}, {_parted(scope.program, name)})"]
    if not isinstance(want.about, Begun):
        return []
    value, program = scope.program.inputs[want.about.name], scope.program
    held = value.tensor.axes[1].size in program.remembers
    program.apart |= held
    given = [program.named(value.name, value.tensor), _parted(program, value.name)]
    return [f"{want.name} = beginnings({', '.join([*given, *([scope.want(CACHE)] if held else [])])})"]


def _parted(program: Program, documents: str) -> str:
    """Return the variable of an input whose rows these documents part."""
    found = (each for each in program.inputs.values() if len(each.tensor.axes) > 1)
    value = next(each for each in found if each.tensor.axes[1].parts == documents)
    return program.named(value.name, value.tensor)


def _kept(name: str, keep: Keep, program: Program) -> list[str]:
    """Return the lines that say which positions are not padding."""
    inputs = [program.inputs[each] for each in keep.inputs]
    parts = [f"{program.named(each.name, each.tensor)} != {program.pads.get(each.name, 0)}" for each in inputs]
    text = parts[0] if len(parts) == 1 else " & ".join(f"({part})" for part in parts)
    if keep.before or keep.after:
        return [f"{name} = F.pad({text}, ({keep.before}, {keep.after}), value=True)"]
    return [f"{name} = {text}"]
