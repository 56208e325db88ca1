"""Expressions: exact values, located errors, bounds, and dims in any order."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdsl.expressions import Algebra, Binary, Call, ExpressionError, Name, Num, Unary, as_integer, parse, resolve_dims

NAMES = {"d_model": 768, "n_heads": 12, "n_layers": 12, "image": 224, "patch": 16, "x": 0.5, "$window": 128}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("1e-6", 1e-6),
        (".5", 0.5),
        ("4 * d_model", 3072),
        ("d_model / n_heads", 64),
        ("d_model / 7", Fraction(768, 7)),
        ("ceil_to(8 * d_model / 3, 64)", 2048),
        ("ceil_to(8 * (d_model + 1) / 3, 64)", 2112),
        ("d_model ** -0.5", 768**-0.5),
        ("1 / sqrt(2 * n_layers)", 1 / math.sqrt(24)),
        ("(image / patch) ** 2", 196),
        ("sqrt(image + 1)", 15),
        ("sqrt(4 / 9)", Fraction(2, 3)),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("2 ** -1", Fraction(1, 2)),
        ("-7 // 2", -4),
        ("7.5 // 2", 3),
        ("-7 % 3", 2),
        ("min(3, x)", 0.5),
        ("max(1, 3, 2)", 3),
        ("ceil(7 / 2) + floor(7 / 2)", 7),
        ("$window * 2", 256),
        ("1 - 2 - 3", -4),
        ("8 / 4 / 2", 1),
        ("(-1) ** 1000001", -1),
        ("+3 - -3", 6),
    ],
)
def test_values(text: str, value: object) -> None:
    found = parse(text).value(NAMES)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "place", "help"),
    [
        ("", "an expression is wanted here", "", ""),
        ("1 +", "the expression ends too early", "", ""),
        ("* 2", "a number or a name is wanted before `*`", "*", ""),
        ("(1 + 2", "this `(` is never closed", "(", "close it with `)`"),
        ("1)", "this `)` closes nothing", ")", "remove it"),
        ("1, 2", "a comma stands between a function's arguments alone", ",", ""),
        ("2 ^ 3", "`^` has no place in an expression", "^", "write `**`"),
        ("2 × 3", "`×` has no place in an expression", "×", "write `*`"),
        ("4d_model", "`4d_model` is neither a number nor a name", "4d_model", "write `4 * d_model` for the product"),
        ("2 d_model", "an operator is wanted between `2` and `d_model`", "d_model", "`2 * d_model` is the product"),
        ("1_000", "`1_000` is no number", "1_000", "write `1000`"),
        ("sqr(2)", "`sqr` is not a function", "sqr", "did you mean `sqrt`?"),
        ("sqrt(1, 2)", "`sqrt` takes 1 argument, and this call has 2", "sqrt(1, 2)", ""),
        ("min(1)", "`min` takes 2 arguments or more, and this call has 1", "min(1)", ""),
        ("__import__('os')", "`'` has no place in an expression", "'", ""),
        ("d_model.real", "`.` has no place in an expression", ".", ""),
        ("1e400", "the number is too large", "1e400", ""),
        ("1 + d_modle", "unknown name `d_modle`", "d_modle", "did you mean `d_model`?"),
        ("1 + 2 / (3 - 3)", "a division by zero", "2 / (3 - 3)", ""),
        ("7 % 0", "a remainder by zero", "7 % 0", ""),
        ("0 ** -1", "a division by zero", "0 ** -1", ""),
        ("(-2) ** x", "the root of a negative number", "(-2) ** x", ""),
        ("sqrt(-1)", "the square root of a negative number", "sqrt(-1)", ""),
        ("ceil_to(1, 0)", "`ceil_to(x, m)` needs an m above zero", "ceil_to(1, 0)", ""),
        ("9 ** 9 ** 9", "the value is too large", "9 ** 9 ** 9", ""),
        ("2 ** 10 ** 9", "the value is too large", "2 ** 10 ** 9", ""),
        ("1e300 * 1e300", "the value is too large", "1e300 * 1e300", ""),
        ("10 ** 29 * 100", "the value is too large", "10 ** 29 * 100", ""),
    ],
)
def test_errors_have_a_place(text: str, message: str, place: str, help: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text).value(NAMES)
    error = caught.value
    assert (error.message, text[error.start : error.end], error.help) == (message, place, help)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d_model / 7", "768 / 7 leaves a remainder of 5 (109 × 7 = 763)"),
        ("d_model / 14", "768 / 14 leaves a remainder of 12 (54 × 14 = 756)"),
        ("1 + d_model / 7", "775 / 7 leaves a remainder of 5 (110 × 7 = 770)"),
        ("-1 / 2", "-1 / 2 leaves a remainder of 1 (-1 × 2 = -2)"),
        ("sqrt(2)", "1.41421 is not a whole number"),
    ],
)
def test_what_is_not_whole_shows_its_remainder(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text).whole(NAMES)
    assert (caught.value.code, caught.value.message) == ("E404", message)


def test_as_integer() -> None:
    assert [as_integer(3), as_integer(3.0), as_integer(Fraction(6, 2))] == [3, 3, 3]
    with pytest.raises(ExpressionError, match=r"768 / 7 leaves a remainder of 5 \(109 × 7 = 763\)"):
        as_integer(Fraction(768, 7), "d_model / 7")


def test_equal_by_meaning_and_names() -> None:
    one, other = parse("4*d_model"), parse("(4 * (d_model))")
    assert one == other and hash(one) == hash(other) and str(other) == "(4 * (d_model))"
    assert parse("4 * d") != parse("d * 4")
    assert parse("min(T, $window) + max(a, 2)").names == {"T", "$window", "a"}


@pytest.mark.parametrize(
    "text",
    ["(" * 499, "-" * 499, "2 ** " * 99 + "2", "1+" * 249 + "1", "9**9**9**9**9", "*".join(["10**29"] * 60)]
    + ["(1/3)" + "*(1/3)" * 90, "1" * 500, "f(" * 200, "max(" + "1," * 240 + "1)", "1" * 100_000, "0.5**" * 50 + "9"]
    + ["ceil_to(1e300, 1e-300)", "1e308 // 1e-10", "x ** 99999999999999", "floor(1e308)", "3 ** 0.5 ** -1e9"],
)  # fmt: skip
def test_bounds_answer_at_once(text: str) -> None:
    begun = time.process_time()
    try:
        value = parse(text).value(NAMES)
    except ExpressionError as error:
        assert 0 <= error.start <= error.end <= len(text)
    else:
        assert abs(value) <= 10**30
    assert time.process_time() - begun < 0.1


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab12.()+-*/%, $Tsqrt_^√\n", max_size=30))
def test_any_text_is_an_expression_or_a_located_error(text: str) -> None:
    try:
        value = parse(text).value({"a": 3, "b": Fraction(1, 3), "T": 2.5})
    except ExpressionError as error:
        assert 0 <= error.start <= error.end <= len(text)
    else:
        assert math.isfinite(value)


NUMBERS = st.integers(0, 40).map(str)
SUMS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(
        lambda t: f"({' '.join(t)})"
    ),
)


@settings(max_examples=200, deadline=None)
@given(SUMS)
def test_integers_are_python_s(text: str) -> None:
    try:
        wanted = eval(text)
    except ZeroDivisionError:
        wanted = None
    try:
        found = parse(text).value({})
    except ExpressionError as error:
        found = None
        if error.message not in ("a division by zero", "a remainder by zero"):
            return  # beyond the bounds
    assert found == wanted


class Words(Algebra[str]):
    """An algebra of texts, as another stage may bring one of its own."""

    def number(self, term: Num) -> str:
        return str(term.value)

    def name(self, term: Name) -> str:
        return term.name.upper()

    def unary(self, term: Unary, operand: str) -> str:
        return f"{term.sign}{operand}"

    def binary(self, term: Binary, left: str, right: str) -> str:
        return f"[{left}{term.operator}{right}]"

    def call(self, term: Call, arguments: tuple[str, ...]) -> str:
        return f"{term.function}<{'|'.join(arguments)}>"


def test_fold_over_another_algebra() -> None:
    assert parse("-a + max(b, 2) ** 2").fold(Words()) == "[-A+[max<B|2>**2]]"


def test_dims_in_any_order() -> None:
    values, errors = resolve_dims({"a": parse("b + 1"), "b": parse("c / 2"), "c": 6, "p": 0.1})
    assert (values, errors) == ({"c": 6, "b": 3, "a": 4, "p": 0.1}, [])


def test_dims_tell_each_cause_once() -> None:
    texts = {"d": "e", "e": "f", "f": "d + 1", "g": "f * 2", "h": "cat + 1", "i": "h", "j": "j", "k": "T", "l": "1 / 0"}
    dims = {name: parse(text) for name, text in texts.items()} | {"cart": 1, "m": parse("l + $w"), "n": parse("$w")}
    values, errors = resolve_dims(dims)
    assert values == {"cart": 1}
    assert [(name, error.code, error.message, error.help, error.cycle) for name, error in errors] == [
        ("d", "E406", "`d` needs itself: d → e → f → d", "give one of them a number", ("d", "e", "f", "d")),
        ("h", "E402", "unknown name `cat`", "did you mean `cart`?", ()),
        ("j", "E406", "`j` needs itself", "give one of them a number", ("j", "j")),
        (
            "k",
            "E402",
            "unknown name `T`",
            "an axis such as `T` is known only when the model runs, and a dim before",
            (),
        ),
        ("l", "E403", "a division by zero", "", ()),
        ("n", "E402", "`$w` is a block's parameter, and a dim stands outside of blocks", "", ()),
    ]


def test_a_long_chain_of_dims_is_quick() -> None:
    dims = {f"a{i}": parse(f"a{i + 1} + 1") for i in range(10_000)} | {"a10000": 1}
    begun = time.process_time()
    assert resolve_dims(dims)[0]["a0"] == 10_001
    assert time.process_time() - begun < 1
