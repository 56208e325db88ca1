"""Where text is found, and how the held-out part is set apart."""

import sysconfig
from pathlib import Path

from tfdsl.data.text import Text, read, split


def test_a_lone_document_loses_its_tail() -> None:
    assert split(["abcdefghij"], 0.3) == Text(("abcdefg",), ("hij",))


def test_of_several_whole_documents_are_held_out_evenly() -> None:
    text = split([str(n) for n in range(10)], 0.2)
    assert text.held_out == ("4", "9")
    assert text.train == ("0", "1", "2", "3", "5", "6", "7", "8")


def test_at_least_one_document_is_held_out() -> None:
    assert split(["a", "b", "c"], 0.01) == Text(("a", "b"), ("c",))


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, text in {"b.md": "two", "a/z.md": "one", "c.txt": "no", ".git/d.md": "no", "blank.md": " \n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    text, problems = read(str(tmp_path), "*.md", 0.5)
    assert (text, problems) == (Text(("one",), ("two",)), [])


def test_a_file_that_is_not_text_is_named_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"abc\xff")
    text, problems = read(str(tmp_path / "x.txt"), "*", 0.1)
    assert text is None
    assert [(p.code, p.message, p.label) for p in problems] == [
        ("R703", f"`{tmp_path / 'x.txt'}` is not UTF-8 text", "byte 3 is 0xff")
    ]


def test_many_files_that_are_not_text_are_summed_up(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.bin").write_bytes(b"\xff")
    text, problems = read(str(tmp_path), "*", 0.1)
    assert text is None
    assert [p.message for p in problems] == [
        *(f"`{tmp_path / f'{number}.bin'}` is not UTF-8 text" for number in range(5)),
        "4 more files cannot be read as text",
    ]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("  \n")
    messages = [read(str(tmp_path / name), "*", 0.1)[1][0].message for name in ("none", "x.txt", ".")]
    assert messages == [
        f"there is no text at `{tmp_path / 'none'}`",
        f"`{tmp_path / 'x.txt'}` holds no text",
        f"`{tmp_path}` holds no text in files like `*`",
    ]


def test_the_standard_library_is_read_without_its_tests() -> None:
    text, problems = read("stdlib", "*", 0.02)
    assert problems == []
    assert text is not None
    size = sum(len(document) for document in text.train + text.held_out)
    assert 8e6 < size < 20e6
    assert 0.005 < sum(map(len, text.held_out)) / size < 0.05
    own = Path(sysconfig.get_path("stdlib")) / "abc.py"
    assert own.read_text() in text.train + text.held_out
    assert not any("class BaseTaskTests" in document for document in text.train)
