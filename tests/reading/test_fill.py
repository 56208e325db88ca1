"""fill: the words at masks by the definition, many texts as each alone, and what no mask can be filled in."""

import json
from pathlib import Path

import pytest
import torch

import tfdsl
from tests import foreign, imported
from tests.reading.models import GPT, MARKS, PAIRS, WORDS, asked
from tfdsl import tokens
from tfdsl.reading.fill import MASK, fill, shown

TEXTS = ["a [MASK] b", "[MASK]", "the [MASK] and the <|mask|> of it"]


def test_words_are_those_of_the_softmax_at_the_mask() -> None:
    trained = asked(WORDS)
    (found,), said = fill(trained, ["a [MASK] b"], top=3)
    assert said == []
    assert trained.tokenizer is not None
    marks = tokens.marks(trained.tokenizer)
    row = [marks.first, *b"a ", marks.mask, *b" b", marks.separator]
    logits = trained.model(torch.tensor([row]), torch.zeros(1, len(row), dtype=torch.long))[0, 3]
    chances, likeliest = logits.softmax(0).topk(3)
    (words,) = found.words
    assert [word.token for word in words] == likeliest.tolist()
    assert [word.probability for word in words] == pytest.approx(chances.tolist(), rel=1e-12)
    assert found.best == f"a {words[0].text} b"


def test_a_batch_gives_what_each_gives_alone() -> None:
    trained = asked(WORDS)
    together, _ = fill(trained, TEXTS)
    assert [len(each.words) for each in together] == [1, 1, 2]
    for text, found in zip(TEXTS, together, strict=True):
        (alone,), _ = fill(trained, [text])
        for one, other in zip(found.words, alone.words, strict=True):
            assert [each.token for each in one] == [each.token for each in other]
            assert [e.probability for e in one] == pytest.approx([e.probability for e in other], rel=1e-9)


def test_a_model_that_cannot_tell_filling_reads_texts_of_one_length_together() -> None:
    trained = asked(WORDS.replace(", pad: 256", ""))
    together, _ = fill(trained, [*TEXTS, "b [MASK] a"])
    for text, found in zip(TEXTS, together, strict=False):
        (alone,), _ = fill(trained, [text])
        assert [e.probability for e in found.words[0]] == pytest.approx([e.probability for e in alone.words[0]])


@pytest.mark.parametrize(
    ("spec", "marks", "text", "code"),
    [
        (WORDS, MARKS, "no mask", "R834"),
        (WORDS, MARKS, MASK + "x" * 38, "R835"),
        (WORDS, MARKS, f"\ud800 {MASK}", "R831"),
        (WORDS, ("pad",), MASK, "R833"),
        (GPT, MARKS, MASK, "R832"),
        (PAIRS, MARKS, MASK, "R832"),
    ],
)
def test_what_cannot_be_filled_is_told(spec: str, marks: tuple[str, ...], text: str, code: str) -> None:
    found, said = fill(asked(spec, marks), [text])
    assert (found, [each.code for each in said]) == ((), [code])


def test_what_cannot_be_filled_is_left_aside() -> None:
    found, said = fill(asked(WORDS), ["a [MASK]", "none", "[MASK]\ud800", "b [MASK]"])
    assert [each.text for each in found] == ["a [MASK]", "b [MASK]"]
    assert [each.message for each in said] == [
        "text 2 has no mask: 'none'",
        "text 3 holds half of a character, or bytes that are no UTF-8",
    ]
    _, said = fill(asked(WORDS), ["none"] * 9)
    assert [each.message for each in said][-1] == "4 more cannot be read" and len(said) == 6


def test_a_long_text_is_shown_around_its_mask() -> None:
    assert shown("a\n[MASK]  b") == "a [MASK] b"
    assert shown("x" * 200 + " [MASK] " + "y" * 200, 20) == "…" + "x" * 6 + " [MASK] " + "y" * 6 + "…"
    assert shown("[MASK]" + "y" * 30, 10) == "[MASK]yyyy…" and shown("y" * 30 + "[MASK]", 10) == "…yyyy[MASK]"


def test_an_imported_bert_fills_as_transformers_does(tmp_path: Path) -> None:
    config = json.loads((imported.FIXTURES / "bert" / "config.json").read_text())
    theirs = imported.theirs(tmp_path / "in", "BertForMaskedLM", config)
    imported.pieces(tmp_path / "in")
    run = tfdsl.import_checkpoint(tmp_path / "in", tmp_path / "run")
    run.trained().model.double()
    found = run.fill(["a [MASK] walking.", "[MASK]bc [MASK] a walk b"], top=4)
    rows = [[2, 5, 4, 8, 9, 10, 3], [2, 4, 6, 7, 4, 5, 8, 6, 3]]
    for row, filled in zip(rows, found, strict=True):
        logits = foreign.run(theirs, {"input_ids": torch.tensor([row])}).logits[0]
        chances = logits[[at for at, token in enumerate(row) if token == 4]].softmax(-1).topk(4)
        assert [[word.token for word in words] for words in filled.words] == chances.indices.tolist()
        told = [word.probability for words in filled.words for word in words]
        assert told == pytest.approx(chances.values.flatten().tolist(), rel=1e-6)
