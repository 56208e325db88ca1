"""embed: vectors of length 1, texts as each alone, both sides of a model that scores, and what gives no vectors."""

import io
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.reading.models import CLASSES, GPT, MATCHED, PICTURES, asked
from tfdsl.faults import RunError
from tfdsl.reading.embed import Embedded, embed

VECTORS = CLASSES.replace("scores", "vector").replace("classify, context: 12", "contrastive, context: 20")
TEXTS = ["red", "green and blue", "x"]


def test_vectors_are_those_of_the_model_and_a_batch_gives_what_each_gives_alone() -> None:
    trained = asked(VECTORS)
    found, said = embed(trained, TEXTS)
    raw, _ = embed(trained, TEXTS, unit=False)
    assert found is not None and raw is not None and said == []
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(np.ones(3), rel=1e-6)
    assert raw.vectors / np.linalg.norm(raw.vectors, axis=1, keepdims=True) == pytest.approx(found.vectors, rel=1e-5)
    for row, text in enumerate(TEXTS):
        alone, _ = embed(trained, [text], unit=False)
        assert alone is not None
        assert alone.vectors[0] == pytest.approx(raw.vectors[row], rel=1e-6)


def test_the_nearest_are_found_by_the_angle() -> None:
    others = Embedded(("up", "right", "down"), np.array([[0, 2], [3, 0], [0, -1]], np.float32))
    asked_ = Embedded(("here", "nowhere"), np.array([[1, 0.5], [0, 0]], np.float32))
    near, nowhere = asked_.nearest(others, 2)
    assert [(each.place, each.name) for each in near] == [(1, "right"), (0, "up")]
    assert [each.cosine for each in near] == pytest.approx([2 / 5**0.5, 1 / 5**0.5])
    assert [each.cosine for each in nowhere] == [0, 0]
    assert np.load(io.BytesIO(others.array())).tolist() == [[0, 2], [3, 0], [0, -1]]


def test_the_sides_of_a_model_of_texts_and_images_multiply_to_its_scores() -> None:
    trained = asked(MATCHED, image={"mean": [10.0], "deviation": [50.0]})
    trained.model.float()
    images = list(np.random.default_rng(0).integers(0, 256, (2, 1, 4, 4), np.uint8))
    words, said = embed(trained, TEXTS[:1] + TEXTS[2:])
    pictures, more = embed(trained, images)
    assert words is not None and pictures is not None and said == more == []
    pad, start, end = (trained.mark(name) for name in ("pad", "start", "end"))
    rows = [[start, *text.encode(), end] for text in ("red", "x")]
    tokens = torch.tensor([[*row, *[pad] * (12 - len(row))] for row in rows])
    scores = trained.model(tokens, torch.from_numpy((np.stack(images).astype(np.float32) - 10) / 50))
    assert words.against(pictures) == pytest.approx(scores.numpy(), rel=1e-4)


def test_what_gives_no_vectors_is_told() -> None:
    for trained, given, code in (
        (asked(GPT), "text", "R801"),
        (asked(CLASSES), "text", "R832"),
        (asked(PICTURES.replace("classify", "contrastive")), np.zeros((3, 4, 4), np.uint8), "R801"),
        (asked(MATCHED), np.zeros((1, 4, 4), np.uint8), "R837"),
    ):
        found, said = embed(trained, [given])
        assert (found, [each.code for each in said]) == (None, [code])


def test_vectors_of_two_models_have_no_angle() -> None:
    one, other = (Embedded(("a",), np.ones((1, size), np.float32)) for size in (2, 3))
    with pytest.raises(RunError, match="of 2 numbers are compared with such, and the others are of 3"):
        one.nearest(other)
    for others, top, said in (
        ([1, 2], 1, r"the others are \[1, 2\]"),
        (one, "a", "`top` is 'a'"),
        (one, 0, "`top` is 0"),
    ):
        with pytest.raises(RunError, match=said):
            one.nearest(cast(Any, others), cast(Any, top))
