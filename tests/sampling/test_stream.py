"""Streams of tokens to text: whole characters, as early as can be."""

from hypothesis import given
from hypothesis import strategies as st

from tfdsl.sampling import stream

BYTES = [bytes([byte]) for byte in range(256)]


@given(st.text())
def test_what_is_written_is_the_text(text: str) -> None:
    assert "".join(stream(text.encode(), BYTES)) == text


def test_a_character_comes_with_its_last_byte() -> None:
    taken: list[int] = []

    def tokens():
        for byte in "aΩ😀b".encode():
            taken.append(byte)
            yield byte

    assert [(text, len(taken)) for text in stream(tokens(), BYTES)] == [("a", 1), ("Ω", 3), ("😀", 7), ("b", 8)]


def test_broken_bytes_are_shown_as_such() -> None:
    assert "".join(stream(b"a\xffb\xf0\x9f", BYTES)) == "a�b�"


def test_marks_and_rows_without_a_piece_write_nothing() -> None:
    assert list(stream([0, 1, 7], [b"x", b""])) == ["x"]
