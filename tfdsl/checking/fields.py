"""The fields of a node where it stands: `defaults` filled in, parameters and expressions replaced by what they are."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from tfdsl import source
from tfdsl.checking.ports import Unknown
from tfdsl.checking.report import Report, lines
from tfdsl.checking.scope import Bound, Mistake, Scope, numbers_of, substituted, values_of
from tfdsl.diagnostics import Note
from tfdsl.expressions import Expression, ExpressionError
from tfdsl.node import Node, Path
from tfdsl.parts import MISSING, SILENT, Parameter, Part
from tfdsl.spec import Spec, advice, say

SomePart = TypeVar("SomePart", bound=Part)


class Fields:
    """Resolves the fields of nodes, and knows where each was written."""

    def __init__(self, spec: Spec, report: Report) -> None:
        self.spec = spec
        self.report = report

    def settings(self, part: SomePart, path: Path, scope: Scope) -> SomePart:
        """Return a section of settings with its expressions replaced by their values."""
        try:
            return type(part).read(substituted(part, numbers_of(scope)))
        except Mistake as mistake:
            self.report.expression(mistake.error, (*path, *mistake.loc))
        except ValidationError as error:
            for code, loc, context in lines(error):
                label = f"expected {context['expected']}" if context.get("expected") else ""
                self.report.add(code, context["message"], (*path, *loc), label=label, help=context.get("help", ""))
        return part

    def resolved(self, written: Node, path: Path, scope: Scope) -> Node:
        """Return the node with `defaults` filled in and every parameter and expression replaced by its value."""
        default = self.spec.defaults.get(written.kind)
        fields = {**self._fitting(default, written), **written.given()} if default is not None else written.given()
        fields.pop("expect", None)  # a shape to compare with, over symbolic axes, and no setting
        node = self._read(written, fields, path, scope)
        try:
            node = self._read(written, substituted(node, values_of(scope)), path, scope)
            node = self._read(written, substituted(node, numbers_of(scope)), path, scope)
        except Mistake as mistake:
            self.report.expression(mistake.error, *self.source(written, path, mistake.loc, scope))
            raise Unknown from None
        missing = list(_missing(node))
        for *part, name in missing:
            if part:
                field, notes = self.source(written, path, tuple(part), scope)
                self.report.add("D105", f"`{'.'.join(part)}` needs `{name}`", field, name, notes=notes)
                continue
            self.report.add(
                "D105",
                f"`{written.kind}` needs `{name}`",
                path,
                name,
                help=f"give it here, or under `defaults: {{{written.kind}: {{{name}: ...}}}}`",
            )
        if missing:
            raise Unknown
        return node

    def _fitting(self, default: Node, written: Node) -> dict[str, Any]:
        known = {info.alias or name for name, info in type(written).model_fields.items()}
        return {name: value for name, value in default.given().items() if name in known}

    def _read(self, written: Node, fields: Mapping[str, Any], path: Path, scope: Scope) -> Node:
        try:
            return type(written).read(dict(fields))
        except ValidationError as error:
            for code, loc, context in lines(error):
                if code == SILENT:
                    continue
                message, label = (
                    context["message"],
                    f"expected {context['expected']}" if context.get("expected") else "",
                )
                help, _ = advice(context, None)
                field, notes = self.source(written, path, loc, scope)
                value = self._written(written, path, loc)
                if isinstance(value, Expression) and code == "D103":
                    code, message = "E404", f"`{value}` is known only when the model runs"
                elif isinstance(value, Expression) and code in ("E404", "E405"):
                    message = (self._remainder(value, scope) if code == "E404" else "") or message
                    dim = self._blamed(value, scope)
                    if dim is not None:
                        field, notes = dim, (self.report.note(field, f"`{loc[-1]}` takes it here"),)
                message = say(code, message, field)
                self.report.add(code, message, field, message, label=label, help=help, notes=notes)
            raise Unknown from None

    def _remainder(self, expression: Expression, scope: Scope) -> str:
        """Return what an expression leaves over where it had to be whole, with the numbers that were divided."""
        dim = self.spec.dims.get(expression.text)
        try:
            (dim if isinstance(dim, Expression) else expression).whole(scope)
        except ExpressionError as error:
            return error.message
        return ""

    def _blamed(self, expression: Expression, scope: Scope) -> Path | None:
        """Return the dim whose value is wrong in itself: the one that stands alone where its value is refused."""
        name = expression.text
        if name not in self.spec.dims or name in scope.symbols:
            return None
        scope.blamed.add(name)
        return ("dims", name)

    def field_path(self, written: Node, path: Path, loc: Path) -> Path:
        """Return where a field is written: in the node, else in `defaults`, else the node itself."""
        if loc and loc[0] in written.given():
            return (*path, written.kind, *loc)
        default = self.spec.defaults.get(written.kind)
        if loc and default is not None and loc[0] in default.given():
            return ("defaults", written.kind, *loc)
        return path

    def source(self, written: Node, path: Path, loc: Path, scope: Scope) -> tuple[Path, tuple[Note, ...]]:
        """Return where the value of a field was written, and notes that show where it is used instead.

        That is in the node, in `defaults`, or where the block's parameter that stands in the field got its value.
        """
        field = self.field_path(written, path, loc)
        notes = (
            (self.report.note(path, "the node that takes it from `defaults`"),) if field[:1] == ("defaults",) else ()
        )
        value = self._written(written, path, loc)
        if isinstance(value, Expression):
            dims = [name for name in sorted(value.names) if name in scope.dims and name not in scope.symbols]
            notes += tuple(
                self.report.note(("dims", name), f"`{name}` is {_number(scope.dims[name])}") for name in dims[:3]
            )
        bound = scope.parameters.get(value.name) if isinstance(value, Parameter) else None
        if bound is None:
            return field, notes
        return self._said(bound), (*notes, self.report.note(field, f"`{value}` is used here"))

    def _written(self, written: Node, path: Path, loc: Path) -> Any:
        """Return what stands in the field at `loc`, in the node or in `defaults`."""
        in_defaults = self.field_path(written, path, loc)[:1] == ("defaults",)
        value: Any = (self.spec.defaults[written.kind] if in_defaults else written).given()
        for step in loc:
            value = value.given() if isinstance(value, Part) else value
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def _said(self, bound: Bound) -> Path:
        """Return where in what a parameter may be (a cycle, a list) the value stands that it is."""
        tree = self.report.document.value
        if tree is not None:
            for below, scalar in source.scalars(source.find(tree, bound.path)):
                if scalar.value == bound.value:
                    return (*bound.path, *below)
        return bound.path


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _missing(part: Part) -> Iterator[tuple[str, ...]]:
    """Yield the fields that must be given and were not, those of the parts in it too; nodes in it see to theirs."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if value is MISSING:
            yield (name,)
        elif isinstance(value, Part) and not isinstance(value, Node):
            yield from ((name, *each) for each in _missing(value))
