"""classify: probabilities by the definition, texts and images as each alone, labels, and what is no example."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.reading.models import CLASSES, GPT, MATCHED, PICTURES, asked
from tfdsl import tokens
from tfdsl.reading import examples
from tfdsl.reading.classify import classify
from tfdsl.reading.trained import labels

LABELS = ("cat", "dog")
TEXTS = ["a cat", "dogs and dogs", "x"]


def test_probabilities_are_those_of_the_softmax() -> None:
    trained = asked(CLASSES, labels=LABELS)
    (found,), said = classify(trained, ["a cat"], top=3)
    assert trained.tokenizer is not None
    marks = tokens.marks(trained.tokenizer)
    scores = trained.model(torch.tensor([[marks.first, *b"a cat", marks.separator]]))[0].softmax(0)
    assert said == []
    assert {each.label: each.probability for each in found.classes} == pytest.approx(
        dict(zip(("cat", "dog", "2"), scores.tolist(), strict=True))
    )
    assert (found.label, found.probability) == (found.classes[0].label, max(scores.tolist()))


def test_a_batch_gives_what_each_gives_alone_and_a_pair_is_a_row() -> None:
    trained = asked(CLASSES)
    given = [*TEXTS, ("a", "b")]
    together, _ = classify(trained, given, top=3)
    for one, found in zip(given, together, strict=True):
        (alone,), _ = classify(trained, [one], top=3)
        assert [each.probability for each in found.classes] == pytest.approx([e.probability for e in alone.classes])
    assert together[3].name == "a | b"


def test_a_text_that_is_too_long_is_cut_and_that_is_told() -> None:
    trained = asked(CLASSES)
    found, said = classify(trained, ["0123456789abc"])
    assert [(each.code, each.message) for each in said] == [
        ("W608", "the text has 13 tokens, of which the model reads 10: the rest is left out, as in training")
    ]
    assert found[0].probability == classify(trained, ["0123456789"])[0][0].probability


def test_images_are_read_as_the_training_images_were(tmp_path: Path) -> None:
    trained = asked(PICTURES, image={"mean": [100.0], "deviation": [50.0]}, labels=("a", "b", "c"))
    image = np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "one.png")
    pixels = torch.from_numpy((image.astype(np.float32) - 100) / 50).expand(1, 3, 4, 4).double()
    wanted = trained.model(pixels).softmax(1).max().item()
    trained.model.float()
    given, said = examples.images(tmp_path)
    assert said == []
    found, said = classify(trained, [*given, image[None], tmp_path / "a" / "one.png"])
    assert said == []
    assert [each.truth for each in found] == ["a", "b", None, None]
    assert [each.probability for each in found] == pytest.approx([wanted] * 4, rel=1e-5)


def test_what_is_no_example_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("L", (5, 7)).save(tmp_path / "other.png")
    pictures = asked(PICTURES, image={"mean": [0.0], "deviation": [1.0]})
    for trained, given, code in (
        (pictures, tmp_path / "bad.png", "R744"),
        (pictures, tmp_path / "none.png", "R744"),
        (pictures, tmp_path / "other.png", "R805"),
        (pictures, 3, "R836"),
        (asked(PICTURES), np.zeros((1, 4, 4), np.uint8), "R837"),
        (asked(GPT), "text", "R801"),
        (asked(MATCHED), "text", "R832"),
    ):
        found, said = classify(trained, [given])  # type: ignore[list-item]
        assert (found, [each.code for each in said]) == ((), [code])


def test_files_hold_texts_pairs_and_labels(tmp_path: Path) -> None:
    trained = asked(CLASSES)
    (tmp_path / "lines.txt").write_text("one\n\n two\n")
    (tmp_path / "some.jsonl").write_text('{"text": "a", "second": "b", "label": 3}\n{"text": "c"}\n')
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text": 3}\n')
    found, said = examples.file(str(tmp_path / "lines.txt"), examples.TEXTS, trained)
    assert ([each.text for each in found], said) == (["one", " two"], [])
    found, said = examples.file(str(tmp_path / "some.jsonl"), examples.TEXTS, trained)
    assert [(each.text, each.second, each.label) for each in found] == [("a", "b", "3"), ("c", None, None)]
    found, said = examples.file(str(tmp_path / "bad.jsonl"), examples.TEXTS, trained)
    assert [each.code for each in said] == ["R743"]
    found, said = examples.file(str(tmp_path / "none.jsonl"), examples.TEXTS, trained)
    assert [each.code for each in said] == ["R702"]
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "mixed" / "notes.txt").write_text("left out")
    found, said = examples.file(str(tmp_path / "mixed"), examples.TEXTS, trained)
    assert ([each.text for each in found], [each.code for each in said]) == (["a"], ["W628"])


def test_the_names_of_an_imported_model_are_its_own() -> None:
    assert labels({"id2label": {"1": "dog", "0": "cat"}}) == ["cat", "dog"]
    assert labels({"id2label": {"0": "cat", "2": "dog"}}) == labels({"id2label": ["cat"]}) == labels(None) == []
