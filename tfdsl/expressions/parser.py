"""Text to an expression: a small whitelist of marks and functions, bounded in length and depth."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from tfdsl.diagnostics import suggest, sure
from tfdsl.expressions.expression import Expression
from tfdsl.expressions.numbers import LARGEST
from tfdsl.expressions.terms import Binary, Call, ExpressionError, Name, Num, Term, Unary, meaning

LONGEST = 500  # characters
DEEPEST = 40  # parentheses, calls, signs and powers within each other
MOST = 100  # operators, which bounds the depth of the tree
FUNCTIONS = {"min": (2, 99), "max": (2, 99), "sqrt": (1, 1), "ceil": (1, 1), "floor": (1, 1), "ceil_to": (2, 2)}
POWERS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 4}
SIGN = 3  # binds tighter than `*`, looser than `**`, as in Python
TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<name>\$?[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\*\*|//|[-+*/%(),])|(?P<end>\Z)|(?P<other>.))",
    re.DOTALL,
)
INSTEAD = {"^": "**", "×": "*", "·": "*", "−": "-", "–": "-", "÷": "/", "[": "(", "]": ")"}


@dataclass(frozen=True, slots=True)
class Token:
    """A number, a name, a mark or the end, and where it stands."""

    kind: str
    text: str
    start: int
    end: int

    def error(self, message: str, help: str = "", replacement: str = "") -> ExpressionError:
        """Return an error in the place of this token."""
        return ExpressionError(message, self.start, self.end, help, replacement=replacement)

    @property
    def said(self) -> str:
        """Return the token in words."""
        return f"`{self.text}`" if self.text else "the end"


def parse(text: str) -> Expression:
    """Return the expression that `text` is; raise ExpressionError, which says where and what is wrong."""
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression may have {LONGEST} characters", 0, len(text))
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        raise ExpressionError("an expression is wanted here", 0, len(text))
    parser = Parser(tokens)
    tree = parser.term(0, 0)
    parser.finish()
    names = frozenset(token.text for token, after in zip(tokens, tokens[1:], strict=False) if _is_name(token, after))
    return Expression(text, tree, names, meaning(tree))


def _is_name(token: Token, after: Token) -> bool:
    return token.kind == "name" and after.text != "("


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        found = TOKEN.match(text, at)
        assert found is not None and found.lastgroup is not None  # `other` and `end` match whatever is left
        kind = found.lastgroup
        token = Token(kind, found.group(kind), found.start(kind), found.end(kind))
        if kind == "other":
            instead = INSTEAD.get(token.text, "")
            help = f"write `{instead}`" if instead else ""
            shown = token.text if token.text.isprintable() else f"U+{ord(token.text):04X}"
            raise token.error(f"`{shown}` has no place in an expression", help, instead)
        tokens.append(token)
        at = token.end
    return tokens


class Parser:
    """A precedence climber over the tokens of one expression."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.operators = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def term(self, power: int, depth: int) -> Term:
        """Read a term and all that binds to it at least as tightly as `power`."""
        if depth > DEEPEST:
            raise self.next.error(f"the expression is nested more than {DEEPEST} deep")
        left = self.first(depth)
        while (own := POWERS.get(self.next.text, 0)) and own > power:
            operator = self.take()
            self.operators += 1
            if self.operators > MOST:
                raise operator.error(f"an expression may have {MOST} operators")
            right_to_left = operator.text == "**"
            right = self.term(own - 1 if right_to_left else own, depth + (1 if right_to_left else 0))
            left = Binary(operator.text, left, right, left.start, right.end)
        return left

    def first(self, depth: int) -> Term:
        """Read a number, a name, a call, a parenthesis, or a sign and its operand."""
        token = self.take()
        if token.text in ("-", "+"):
            operand = self.term(SIGN - 1, depth + 1)
            return Unary(token.text, operand, token.start, operand.end)
        if token.text == "(":
            inner = self.term(0, depth + 1)
            return replace(inner, start=token.start, end=self.close(token).end)
        if token.kind == "number":
            return self.number(token)
        if token.kind == "name":
            return self.call(token, depth) if self.next.text == "(" else Name(token.text, token.start, token.end)
        what = (
            "the expression ends too early"
            if token.kind == "end"
            else f"a number or a name is wanted before {token.said}"
        )
        raise token.error(what)

    def number(self, token: Token) -> Num:
        digits = token.text
        if self.next.kind == "name" and self.next.start == token.end:
            after = self.next
            if after.text.startswith("_") and after.text.strip("_0123456789") == "":
                plain = digits + after.text.replace("_", "")
                message, help = f"`{digits}{after.text}` is no number", f"write `{plain}`"
                raise ExpressionError(message, token.start, after.end, help, replacement=plain)
            whole = f"{digits} * {after.text}"
            message, help = f"`{digits}{after.text}` is neither a number nor a name", f"write `{whole}` for the product"
            raise ExpressionError(message, token.start, after.end, help)
        value = int(digits) if digits.isdigit() else float(digits)
        if value > LARGEST and (isinstance(value, int) or math.isinf(value)):
            raise token.error("the number is too large")
        return Num(value, token.start, token.end)

    def call(self, name: Token, depth: int) -> Call:
        """Read the arguments of a function."""
        opening = self.take()
        if name.text not in FUNCTIONS:
            near = suggest(name.text, FUNCTIONS)
            help = (
                f"did you mean `{near}`?"
                if near
                else f"the functions are {', '.join(f'`{each}`' for each in FUNCTIONS)}"
            )
            certain = near if near and sure(name.text, FUNCTIONS) else ""
            raise name.error(f"`{name.text}` is not a function", help, certain)
        arguments: list[Term] = []
        if self.next.text != ")":
            arguments.append(self.term(0, depth + 1))
            while self.next.text == ",":
                self.take()
                arguments.append(self.term(0, depth + 1))
        closing = self.close(opening)
        least, most = FUNCTIONS[name.text]
        if not least <= len(arguments) <= most:
            wanted = f"{least} argument{'s' if least > 1 else ''}" + (" or more" if most > least else "")
            message = f"`{name.text}` takes {wanted}, and this call has {len(arguments)}"
            raise ExpressionError(message, name.start, closing.end)
        return Call(name.text, tuple(arguments), name.start, closing.end)

    def close(self, opening: Token) -> Token:
        """Read the parenthesis that closes `opening`."""
        token = self.take()
        if token.text == ")":
            return token
        if token.kind == "end":
            raise opening.error("this `(` is never closed", "close it with `)`")
        raise self.stray(token)

    def finish(self) -> None:
        """Fail unless all was read."""
        if self.next.kind != "end":
            raise self.stray(self.next)

    def stray(self, token: Token) -> ExpressionError:
        """Return the error for a token that nothing leads to."""
        if token.text == ")":
            return token.error("this `)` closes nothing", "remove it", "")
        if token.text == ",":
            return token.error("a comma stands between a function's arguments alone")
        before = self.tokens[self.tokens.index(token) - 1]
        help = (
            f"`{before.text} * {token.text}` is the product"
            if token.text != "("
            else f"`{before.text} * (` is the product"
        )
        return token.error(f"an operator is wanted between {before.said} and {token.said}", help)
