"""Vocabularies for an objective: marks where they are wanted, found again in published spellings, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from tests.data.given import PAIRS, TEXT, made, texts, wrong
from tfdsl import settings, tokens
from tfdsl.data.encode import Encoder
from tfdsl.data.table import windows
from tfdsl.data.wanted import Field, Wanted

KINDS = ("bytes", "characters", "bpe", "wordpiece", "unigram", "words")
SOME = ["the quick brown fox jumps over the lazy dog", "hello to the world and to the fox", "a, b; c!"]
ALL = ("pad", "start", "end", "mask", "first", "separator")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pad", [None, 0, 1, 30, 299])
def test_marks_are_reserved_and_the_pad_is_where_the_model_has_it(kind: str, pad: int | None) -> None:
    chosen = settings.Tokenizer.model_validate({"type": kind})
    tokenizer = tokens.make(chosen, SOME, 400, ALL, 3, pad)
    found = tokens.marks(Tokenizer.from_str(tokenizer.to_str()))
    places = [found.pad, found.start, found.end, found.mask, found.first, found.separator, *found.extras]
    assert None not in places and len(set(places)) == 9
    assert pad is None or found.pad == pad
    encoder = Encoder(tokenizer, made=True)
    assert not set(places) & {int(each) for each in encoder(["the quick <x> fox"])[0]}
    text = "the quick fox" if kind != "bytes" else "the quick\x00 fox"
    assert tokenizer.decode(encoder([text])[0].tolist()).strip() == text
    written = b"".join(tokens.pieces(tokenizer)[token] for token in encoder([text])[0])
    assert written.decode().strip() == text


def test_without_marks_bytes_are_bytes() -> None:
    assert tokens.size(tokens.make(settings.Tokenizer(), [], 300)) == 256
    assert tokens.marks(tokens.make(settings.Tokenizer(), [], 300)) == tokens.Marks()


@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe", "wordpiece", "words"])
def test_no_text_is_read_as_a_mark(kind: str) -> None:
    tokenizer = tokens.make(settings.Tokenizer.model_validate({"type": kind}), ["a <|end|> b"], 400, ("end",))
    assert tokens.marks(tokenizer).end not in Encoder(tokenizer, made=True)(["a <|end|> b"])[0]


def published(*words: str) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in words if word[0] in "<["])
    return tokenizer


def test_published_spellings_are_found() -> None:
    bert = published("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
    assert tokens.marks(bert) == tokens.Marks(pad=1, first=2, separator=3, mask=4)
    roberta = published("<unk>", "<s>", "<pad>", "</s>", "<mask>")
    assert tokens.marks(roberta) == tokens.Marks(pad=2, start=1, end=3, first=1, separator=3, mask=4)
    t5 = published("<unk>", "<pad>", "</s>", "<extra_id_1>", "<extra_id_0>")
    assert tokens.marks(t5) == tokens.Marks(pad=1, start=1, end=2, separator=2, extras=(4, 3))
    assert tokens.marks(published("<unk>", "<|endoftext|>")) == tokens.Marks(end=1)


def test_a_loaded_tokenizer_is_used_as_it_is_but_never_cuts(tmp_path: Path) -> None:
    tokenizer = published("[UNK]", "[PAD]", "[CLS]", "[SEP]", "the", "fox")
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "t.json"))
    (tmp_path / "x.jsonl").write_text('{"text": "the fox the fox the"}\n' * 4)
    wanted = Wanted(((Field("text"),),), ("first", "separator"))
    data = made(tmp_path, wanted, str(tmp_path / "x.jsonl"), {"file": str(tmp_path / "t.json")}, vocab=6, pad=1)
    assert data.train.columns["text"][0].tolist() == [4, 5, 4, 5, 4]
    assert wrong(tmp_path / "a", wanted, str(tmp_path / "x.jsonl"), {"file": str(tmp_path / "t.json")}, pad=0) == [
        ("train.tokenizer", "R752", "the tokenizer pads with token 1, the model's input with 0")
    ]
    assert wrong(tmp_path / "a", TEXT, str(tmp_path / "x.jsonl"), {"file": str(tmp_path / "x.jsonl")})[0][:2] == (
        "train.tokenizer.file",
        "R750",
    )


def test_a_vocabulary_of_another_run_is_used(tmp_path: Path) -> None:
    own = tokens.make(settings.Tokenizer(type="bpe"), SOME, 300)
    (tmp_path / "x.jsonl").write_text('{"text": "the fox"}\n' * 4)
    data = made(tmp_path, TEXT, str(tmp_path / "x.jsonl"), own=own, end=(7,))
    assert data.train.columns["text"][0].tolist() == [*own.encode("the fox").ids, 7]


def test_pairs_have_no_marks_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"source": "ab", "target": "c"}\n' * 4)
    data = made(tmp_path, PAIRS, str(tmp_path / "x.jsonl"), "characters", pad=0)
    assert data.train.columns["source"][0].tolist() == [data.tokenizer.token_to_id(each) for each in "ab"]  # type: ignore[union-attr]
    assert texts(data.train, "target", data) == ["c"] * 3


@pytest.mark.parametrize("start", [0, 5, 8])
def test_windows_are_rows_of_the_text(start: int) -> None:
    values = np.arange(10, dtype=np.uint16)
    found = windows(values, np.array([0, start]), 3)
    assert found.dtype == np.int64
    assert found.tolist() == [[0, 1, 2], [min(start + each, 9) for each in range(3)]]


@pytest.mark.parametrize(
    ("section", "at"),
    [
        ({"file": "x", "type": "bpe"}, "belongs to a vocabulary that is made here"),
        ({"type": "words", "vocab_size": 9, "lowercase": True}, ""),
        ({"type": "bytes", "lowercase": True}, "belongs to a vocabulary that is trained"),
    ],
)
def test_settings_that_contradict_are_refused(section: dict[str, object], at: str) -> None:
    if at:
        with pytest.raises(ValueError, match=at):
            settings.Tokenizer.model_validate(section)
    else:
        assert settings.Tokenizer.model_validate(section).lowercase
