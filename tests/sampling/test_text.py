"""Tokens to text: whole characters as early as can be, and nothing of what the text stops at."""

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tfdsl.sampling.text import Writer

BYTES = [bytes([byte]) for byte in range(256)]


def written(tokens: Iterable[int], pieces: Sequence[bytes], stops: Sequence[str] = ()) -> str:
    """Return the text of tokens, up to where it stops."""
    writer, text = Writer(pieces, stops), ""
    for token in tokens:
        text += writer.take(token)
        if writer.stopped:
            break
    return text + writer.finish()


@given(st.text())
def test_what_is_written_is_the_text(text: str) -> None:
    assert written(text.encode(), BYTES) == text


def test_a_character_comes_with_its_last_byte() -> None:
    writer = Writer(BYTES)
    assert [writer.take(byte) for byte in "aΩ😀b".encode()] == ["a", "", "Ω", "", "", "", "😀", "b"]


def test_broken_bytes_are_shown_as_such() -> None:
    assert written(b"a\xffb\xf0\x9f", BYTES) == "a�b�"


def test_marks_and_rows_without_a_piece_write_nothing() -> None:
    assert written([0, 1, 7], [b"x", b""]) == "x"


@given(st.text("ab😀", max_size=12), st.lists(st.text("ab😀", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_text_ends_before_the_first_stop(text: str, stops: list[str]) -> None:
    """The earliest place at which a stop begins, among those that are whole when the text first holds one."""
    whole = [end for end in range(len(text) + 1) if any(stop in text[:end] for stop in stops)]
    shown = text[: whole[0]] if whole else text
    expected = shown[: min(place for stop in stops if (place := shown.find(stop)) >= 0)] if whole else text
    assert written(text.encode(), BYTES, stops) == expected


@given(st.text("ab😀", max_size=12), st.text("ab😀", min_size=1, max_size=4))
def test_all_that_cannot_be_the_beginning_of_a_stop_is_written_at_once(text: str, stop: str) -> None:
    writer, shown = Writer(BYTES, [stop]), ""
    for place, letter in enumerate(text):
        for byte in letter.encode():
            shown += writer.take(byte)
        if writer.stopped:
            break
        held = text[len(shown) : place + 1]
        assert stop.startswith(held) and not any(
            stop.startswith(text[start : place + 1]) for start in range(len(shown))
        )
