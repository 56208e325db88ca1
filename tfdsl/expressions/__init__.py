"""Numbers written as expressions: parsed by a small whitelist, bounded in size and value, never given to `eval`."""

from tfdsl.expressions.dims import resolve_dims
from tfdsl.expressions.expression import Expression
from tfdsl.expressions.numbers import Number, Numbers, as_integer, unknown
from tfdsl.expressions.parser import FUNCTIONS, parse
from tfdsl.expressions.terms import Algebra, Binary, Call, ExpressionError, Name, Num, Term, Unary

__all__ = [
    "FUNCTIONS",
    "Algebra",
    "Binary",
    "Call",
    "Expression",
    "ExpressionError",
    "Name",
    "Num",
    "Number",
    "Numbers",
    "Term",
    "Unary",
    "as_integer",
    "parse",
    "resolve_dims",
    "unknown",
]
