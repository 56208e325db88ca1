"""Texts as rows: marks, cuts, fillings, segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfdsl.training.rows import Rows, shortened

ROWS = Rows(8, pad=0, first=101, separator=102)


def arr(*values: int) -> np.ndarray:
    return np.array(values, np.uint16)


def test_a_text_and_a_pair() -> None:
    filled = ROWS.fill([ROWS.row(arr(1, 2)), ROWS.row(arr(1, 2), arr(3))])
    assert filled.tokens.tolist() == [[101, 1, 2, 102, 0, 0], [101, 1, 2, 102, 3, 102]]
    assert filled.keep.tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]
    assert filled.segments.tolist() == [[0] * 6, [0, 0, 0, 0, 1, 1]]


def test_what_is_too_long_is_cut_and_keeps_its_marks() -> None:
    long = np.arange(1, 20, dtype=np.uint16)
    assert ROWS.row(long)[0].tolist() == [101, 1, 2, 3, 4, 5, 6, 102]
    assert ROWS.row(long, arr(7))[0].tolist() == [101, 1, 2, 3, 4, 102, 7, 102]
    assert ROWS.row(arr(7), long)[0].tolist() == [101, 7, 102, 1, 2, 3, 4, 102]


def test_marks_that_a_vocabulary_lacks_are_left_out() -> None:
    assert Rows(8).row(arr(1, 2), arr(3))[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("exact", [False, True])
def test_the_width(exact: bool) -> None:
    rows = Rows(8, exact)
    assert rows.fill([rows.row(arr(1, 2, 3))]).tokens.shape == (1, 8 if exact else 3)
    assert rows.fill([]).tokens.shape == (0, 8 if exact else 1)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(2, 60))
def test_two_lengths_fit_and_the_longer_gives_way(one: int, two: int, room: int) -> None:
    first, second = shortened(one, two, room)
    assert first + second == min(one + two, room)
    assert 0 <= first <= one and 0 <= second <= two
    if min(first, second) < min(one, two):
        assert abs(first - second) <= 1
