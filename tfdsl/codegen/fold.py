"""fold: Python text with what is known put in: tests decided, dead branches gone, constants in place of names.

The text is that of a layer, which we wrote; what is known are the arguments that a model gives it. Comments stay with
the statement that they stand above.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast


class Unknown:
    """A value of which nothing is known."""


class Given:
    """A value of which only this is known: it is not None."""


UNKNOWN, GIVEN = Unknown(), Given()
Values = Mapping[str, Any]
# What a call may leave out, because it is so anyway.
DEFAULTS: dict[tuple[str, str], Any] = {
    ("Linear", "bias"): True,
    ("__init__", "bias"): True,
    ("__init__", "stride"): 1,
    ("__init__", "padding"): 0,
    ("__init__", "dilation"): 1,
    ("__init__", "groups"): 1,
    ("scaled_dot_product_attention", "attn_mask"): None,
    ("scaled_dot_product_attention", "dropout_p"): 0.0,
    ("scaled_dot_product_attention", "is_causal"): False,
    ("scaled_dot_product_attention", "scale"): None,
    ("scaled_dot_product_attention", "enable_gqa"): False,
}


def dotted(node: ast.AST) -> str:
    """Return a name or a dotted name as text, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def value(node: ast.expr, known: Values) -> Any:
    """Return what an expression is, as far as `known` tells: its value, `GIVEN` or `UNKNOWN`."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() | ast.Attribute():
            return known.get(dotted(node), UNKNOWN)
        case ast.Tuple():
            parts = tuple(value(item, known) for item in node.elts)
            return GIVEN if any(part is UNKNOWN or part is GIVEN for part in parts) else parts
        case ast.UnaryOp(op=ast.Not()):
            found = truth(value(node.operand, known))
            return UNKNOWN if found is None else not found
        case ast.BoolOp():
            return _joined(node, known)
        case ast.Compare(ops=[operator], comparators=[right]):
            return _compared(operator, value(node.left, known), value(right, known))
        case ast.IfExp():
            found = truth(value(node.test, known))
            return UNKNOWN if found is None else value(node.body if found else node.orelse, known)
        case _:
            return UNKNOWN


def truth(found: Any) -> bool | None:
    """Return whether a value counts as true; None where that is not known."""
    return None if found is UNKNOWN or found is GIVEN else bool(found)


def _joined(node: ast.BoolOp, known: Values) -> Any:
    decisive = isinstance(node.op, ast.Or)
    truths = [truth(value(item, known)) for item in node.values]
    if decisive in truths:
        return decisive
    return UNKNOWN if None in truths else not decisive


def _compared(operator: ast.cmpop, left: Any, right: Any) -> Any:
    if isinstance(operator, ast.Is | ast.IsNot) and right is None and left is not UNKNOWN:
        return (left is None) == isinstance(operator, ast.Is)
    if any(side is UNKNOWN or side is GIVEN for side in (left, right)):
        return UNKNOWN
    match operator:
        case ast.Eq():
            return left == right
        case ast.NotEq():
            return left != right
        case ast.In():
            return left in right
        case ast.NotIn():
            return left not in right
        case ast.Gt():
            return left > right
        case _:
            return UNKNOWN


class Fold:
    """The text of one function or class, folded by what each of its uses knows.

    `uses` holds what is known at each use: a test is decided where all agree. `constants` are put in place of names;
    `tables` are dictionaries of one-argument lambdas, by name.
    """

    def __init__(
        self, source: str, uses: Sequence[Values], constants: Values, tables: Mapping[str, ast.Dict] | None = None
    ) -> None:
        self.lines = source.split("\n")
        self.uses = [dict(use) for use in uses]
        self.constants = dict(constants)
        self.tables = tables or {}
        self.reached = 0
        self.live: Counter[str] = Counter()  # how often a name is set in what is left
        self.placed: set[str] = set()  # the names that stand for what was put in their place
        self.changing: set[str] = set()  # those that do not, being set again

    def source(self, node: ast.AST) -> str:
        """Return the text of a node as it was written, its line breaks gone."""
        node = cast("ast.expr", node)
        assert node.end_lineno is not None and node.end_col_offset is not None, "parsed text has places"
        first, last = node.lineno - 1, node.end_lineno - 1
        if first == last:
            return self.lines[first][node.col_offset : node.end_col_offset]
        inner = [line.strip() for line in self.lines[first + 1 : last]]
        parts = [self.lines[first][node.col_offset :].rstrip(), *inner, self.lines[last][: node.end_col_offset].strip()]
        return _one_line(parts)

    def decide(self, node: ast.expr) -> bool | None:
        """Return whether a test holds at every use (True), at none (False) or at some (None)."""
        truths = {truth(value(node, use)) for use in self.uses}
        return truths.pop() if len(truths) == 1 else None

    def constant(self, node: ast.expr) -> Any:
        """Return what an expression is at every use, where that is None, True or False; else `UNKNOWN`."""
        values = [value(node, use) for use in self.uses] or [UNKNOWN]
        same = all(each is values[0] for each in values)
        return values[0] if same and (values[0] is None or isinstance(values[0], bool)) else UNKNOWN

    def text(self, node: ast.AST) -> str:
        """Return the text of an expression, folded."""
        match node:
            case ast.JoinedStr():
                return self.source(node)
            case ast.IfExp():
                return self._choice(node)
            case ast.BoolOp():
                return self._operands(node)
            case ast.UnaryOp(op=ast.Not()) | ast.Compare() if self.constant(node) is not UNKNOWN:
                return repr(self.constant(node))
            case ast.Name() | ast.Attribute() if dotted(node) in self.constants:
                return _literal(self.constants[dotted(node)])
            case ast.Call():
                return self._call(node)
            case _:
                return self._shortened(node)

    def _shortened(self, node: ast.AST) -> str:
        """Return the text of an expression without a zero that is added and a slice that takes all."""
        match node:
            case ast.BinOp(op=ast.Add(), left=left, right=right) if "0" in (self.text(left), self.text(right)):
                return self.text(right) if self.text(left) == "0" else self.text(left)
            case ast.Slice(lower=ast.expr() as lower, upper=upper) if self.text(lower) == "0":
                return _until(self.text(upper)) if upper is not None else ":"
            case ast.Slice(lower=ast.BinOp() as lower, upper=ast.Name() as upper) if self.text(lower).isidentifier():
                return f"{self.text(lower)}:{self.text(upper)}"
            case ast.Subscript(slice=ast.Slice() as part) if self.text(part) == ":":
                return self.text(node.value)
            case _:
                return self._replaced(node)

    def _choice(self, node: ast.IfExp) -> str:
        found = self.decide(node.test)
        if found is not None:
            return self.text(node.body if found else node.orelse)
        body, orelse = self.text(node.body), self.text(node.orelse)
        return body if body == orelse else f"{body} if {self.text(node.test)} else {orelse}"

    def _operands(self, node: ast.BoolOp) -> str:
        decisive = isinstance(node.op, ast.Or)
        left: list[ast.expr] = []
        for item in node.values:
            found = self.decide(item)
            if found is decisive:
                return repr(decisive)
            if found is None:
                left.append(item)
        if not left:
            return repr(not decisive)
        if len(left) == 1:
            return self.text(left[0])
        texts = [_bracketed(self.text(item)) for item in left]
        return (" or " if decisive else " and ").join(texts)

    def _from_table(self, table: ast.Dict, key: ast.expr, argument: ast.expr) -> str:
        """Return the body of the lambda under `key`, with the argument in it; nothing where the key is not known."""
        names = {value(key, use) for use in self.uses}
        for word, entry in zip(table.keys, table.values, strict=True):
            if names == {cast("ast.Constant", word).value} and isinstance(entry, ast.Lambda):
                body = _Renamed(entry.args.args[0].arg, argument).visit(_copy(entry.body))
                return ast.unparse(body).replace("'", '"')
        return ""

    def _call(self, node: ast.Call) -> str:
        match node:
            case ast.Call(func=ast.Subscript(value=ast.Name(id=name), slice=key), args=[argument]):
                if name in self.tables and (found := self._from_table(self.tables[name], key, argument)):
                    return found
            case _:
                pass
        function = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        arguments = [self.text(item) for item in node.args]
        for keyword in node.keywords:
            text = self.text(keyword.value)
            usual = DEFAULTS.get((function, keyword.arg or ""), UNKNOWN)
            if usual is UNKNOWN or text != _literal(usual):
                arguments.append(f"{keyword.arg}={text}")
        return f"{self.text(node.func)}({', '.join(arguments)})"

    def _replaced(self, node: ast.AST) -> str:
        """Return the text of a node with its children folded."""
        text, shift = self.source(node), 0
        for child in _children(node):
            old, new = self.source(child), self.text(child)
            place = text.index(old, shift)
            text = text[:place] + new + text[place + len(old) :]
            shift = place + len(new)
        return text

    def function(self, statements: Sequence[ast.stmt], indent: int) -> list[str]:
        """Return the lines of a function's body; no name that it sets more than once is put in place."""
        constants, uses, reached = dict(self.constants), [dict(use) for use in self.uses], self.reached
        while True:
            self.live, self.placed = Counter(), set()
            lines = self.body(statements, indent)
            twice = {name for name in self.placed if self.live[name] > 1}
            if not twice:
                return lines
            self.changing |= twice
            self.constants, self.uses, self.reached = dict(constants), [dict(use) for use in uses], reached

    def body(self, statements: Sequence[ast.stmt], indent: int) -> list[str]:
        """Return the lines of statements, folded, each with the comments above it."""
        found: list[str] = []
        for statement in statements:
            comments = self._comments(statement)
            lines = self.statement(statement, indent)
            found += [" " * indent + comment for comment in comments if lines] + lines
            self.reached = statement.end_lineno or self.reached
            if lines and lines[-1].startswith(f"{' ' * indent}return"):
                break  # what follows is never reached
        return found

    def _comments(self, statement: ast.stmt) -> list[str]:
        between = self.lines[self.reached : statement.lineno - 1]
        self.reached = statement.lineno
        return [line.strip() for line in between if line.strip().startswith("#")]

    def statement(self, node: ast.stmt, indent: int) -> list[str]:
        """Return the lines of one statement, folded."""
        margin = " " * indent
        match node:
            case ast.If():
                return self._branches(node, indent)
            case ast.For():
                head = f"{margin}for {self.text(node.target)} in {self.text(node.iter)}:"
                return [head, *self.body(node.body, indent + 4)]
            case ast.Expr(value=ast.Constant(value=str())):
                first, last = node.lineno - 1, node.end_lineno or node.lineno
                return [margin + self.lines[first].strip(), *self.lines[first + 1 : last]]
            case ast.Assign(targets=[target], value=made) | ast.AnnAssign(target=target, value=ast.expr() as made):
                return self._assigned(target, made, margin)
            case ast.AugAssign():
                return [margin + self._replaced(node)]
            case ast.Return(value=ast.expr() as made):
                return [f"{margin}return {self.text(made)}"]
            case ast.Expr():
                return [margin + self.text(node.value)]
            case ast.Raise(exc=ast.expr() as made):
                return [f"{margin}raise {self.text(made)}"]
            case _:
                raise NotImplementedError(f"a layer has a statement that cannot be folded: {ast.unparse(node)}")

    def _assigned(self, target: ast.expr, made: ast.expr, margin: str) -> list[str]:
        """Return the line of an assignment; a name for None, True or False is put in place and needs no line."""
        self.live.update(each.id for each in ast.walk(target) if isinstance(each, ast.Name))
        once = isinstance(target, ast.Name) and target.id not in self.changing
        found = self.constant(made) if once else UNKNOWN
        if found is UNKNOWN:
            text = self.text(made)
            return [f"{margin}{self.source(target)} = {text}"] if text != self.source(target) else []
        for known in (self.constants, *self.uses):
            known[dotted(target)] = found
        self.placed.add(dotted(target))
        return []

    def _branches(self, node: ast.If, indent: int) -> list[str]:
        margin, found = " " * indent, self.decide(node.test)
        after = node.body[-1].end_lineno or self.reached
        if found:
            return self.body(node.body, indent)
        if found is False:
            self.reached = after
            return self.body(node.orelse, indent)
        lines = [f"{margin}if {self.text(node.test)}:", *self.body(node.body, indent + 4)]
        self.reached = after
        match node.orelse:
            case [ast.If() as other] if other.col_offset == node.col_offset and self.decide(other.test) is None:
                first, *rest = self._branches(other, indent)
                return [*lines, f"{margin}el{first.strip()}", *rest]
            case _:
                rest = self.body(node.orelse, indent + 4)
                return [*lines, f"{margin}else:", *rest] if rest else lines


class _Renamed(ast.NodeTransformer):
    """Puts an expression in place of a name."""

    def __init__(self, name: str, expression: ast.expr) -> None:
        self.name, self.expression = name, expression

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.expression if node.id == self.name else node


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def _children(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the outermost expressions inside a node, in the order of the text."""
    found = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr_context | ast.operator)]
    inner = [child if isinstance(child, ast.expr) else None for child in found]
    for child, expression in zip(found, inner, strict=True):
        if expression is not None:
            yield expression
        else:
            yield from _children(child)


def _bracketed(text: str) -> str:
    """Return an operand, in brackets where it binds less than `and` and `or`, or is one of them."""
    return f"({text})" if isinstance(ast.parse(text, mode="eval").body, ast.BoolOp | ast.IfExp) else text


def _until(upper: str) -> str:
    """Return a slice from the start, spaced as a formatter does."""
    return f":{upper}" if upper.isalnum() else f": {upper}"


def _literal(found: Any) -> str:
    return f'"{found}"' if isinstance(found, str) else repr(found)


def _one_line(parts: list[str]) -> str:
    text = parts[0]
    for part in parts[1:]:
        if part[:1] in tuple(")]}"):
            text = text.removesuffix(",")
        text += part if text[-1] in "([{" or part[:1] in tuple(")]}") else f" {part}"
    return text
