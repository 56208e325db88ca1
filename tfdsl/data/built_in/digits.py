"""The digits of scikit-learn: 1,797 images of 8 by 8 (Alpaydin and Kaynak, 1998), alone and four to a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdsl.data.absent import needed
from tfdsl.data.source import Listed
from tfdsl.data.table import Array

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MANY = 5000  # pictures with captions


def digits(size: int | None, seed: int) -> Listed:
    """Return images of one digit (`image`, uint8 [1, 8, 8]) and which it is (`label`)."""
    images, labels = _loaded()
    rows = [{"image": image, "label": int(label)} for image, label in zip(images, labels, strict=True)]
    return Listed(("image", "label"), rows[:size], "digits", {"label": tuple(map(str, range(10)))})


def captions(size: int | None, seed: int) -> Listed:
    """Return pictures of four digits (`image`, uint8 [1, 16, 16]) and what stands in them (`caption`).

    The upper row is named first, then the lower, each from the left.
    """
    images, labels = _loaded()
    draw = np.random.default_rng(seed)
    rows = [_captioned(images, labels, draw) for _ in range(MANY if size is None else size)]
    return Listed(("image", "caption"), rows, "captions")


def _captioned(images: Array, labels: Array, draw: np.random.Generator) -> Mapping[str, Any]:
    four = draw.integers(len(images), size=4)
    image = images[four, 0].reshape(2, 2, 8, 8).transpose(0, 2, 1, 3).reshape(1, 16, 16)
    a, b, c, d = (WORDS[label] for label in labels[four])
    forms = (
        f"{a} {b} over {c} {d}",
        f"{a} and {b} above {c} and {d}",
        f"first {a}, {b}, then {c}, {d}",
        f"on top {a} beside {b}, below {c} beside {d}",
    )
    return {"image": image, "caption": forms[int(draw.integers(len(forms)))]}


def _loaded() -> tuple[Array, Array]:
    """Return the images, uint8 [n, 1, 8, 8], and their labels; raises Absent without scikit-learn."""
    data: Any = needed("sklearn.datasets", "scikit-learn").load_digits()
    images = np.minimum(data.images * 16, 255).astype(np.uint8)[:, None]
    return images, data.target.astype(np.int64)
