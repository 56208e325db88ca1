"""span_corruption: the construction of Raffel et al., 2020, and the law that both parts make the text again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.training import texts
from tfdsl import settings, tokens
from tfdsl.training import objectives
from tfdsl.training.objectives.span_corruption import SpanCorruption, cut, marked, noise, widest
from tfdsl.training.task import HELD_OUT, Place

TEXT = np.random.default_rng(0).integers(65, 91, 2000).tolist()


def task(context: int = 40) -> SpanCorruption:
    train = settings.Train.read({"context": context, "objective": "span_corruption"})
    found, problems = objectives.bind(train, texts.signature("t5"))
    assert isinstance(found, SpanCorruption), problems
    return found


def joined(source: list[int], target: list[int], extras: tuple[int, ...]) -> list[int]:
    """Put each stretch of the target in the place of its mark."""
    spans: dict[int, list[int]] = {}
    for token in target:
        if token in extras:
            mark = token
            spans[mark] = []
        else:
            spans[mark].append(token)
    return [word for token in source for word in spans.get(token, [token])]


def test_published_lengths() -> None:
    """T5 reads 568 tokens to make 512 of source and 114 of target, both with the mark at the end."""
    assert widest((512, 512), 0.15, 3.0) == 568
    assert cut(568, 0.15, 3.0) == (85, 28)
    assert (568 - 85 + 28 + 1, 85 + 28 + 1) == (512, 114)


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.floats(0.5, 20), st.integers(0, 99))
def test_the_parts_make_the_text_again(size: int, share: float, length: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    row = drawn.integers(0, 500, size)
    gone = noise(size, share, length, np.random.default_rng(seed))
    missing, spans = cut(size, share, length)
    assert gone.sum() == missing
    assert (np.diff(gone.astype(int)) == 1).sum() == spans
    assert not gone[0]
    assert gone[-1]
    extras = tuple(range(1000, 1000 + spans))
    source, target = marked(row, gone, extras).tolist(), marked(row, ~gone, extras).tolist()
    assert joined(source, target, extras) == row.tolist()
    assert [token for token in source if token >= 1000] == [token for token in target if token >= 1000] == [*extras]


def test_a_batch_is_two_parts_of_each_window() -> None:
    made = task()
    assert (made.wanted.marks, made.wanted.extras) == (("start", "end"), 2)
    data = texts.prepared(("start", "end"), extras=2, text=[TEXT])
    assert data.tokenizer is not None
    made.open(data)
    marks = tokens.marks(data.tokenizer)
    assert made.examples(data.held_out, HELD_OUT) == -(-2000 // made.windows.size)
    places = [Place(0, index) for index in range(5)]
    batch = made.batch(data.train, places)
    assert batch.inputs["source"].shape[1] <= 40
    assert set(batch.inputs["target"][:, 0].tolist()) == {marks.start}
    rows, _ = made.windows.rows(data.train, places)
    for row, source, target in zip(
        rows.tolist(), batch.inputs["source"].tolist(), batch.targets["tokens"].tolist(), strict=True
    ):
        assert source[-1] == target[-1] == marks.end
        assert joined(source[:-1], target[:-1], marks.extras) == row
    assert [made.batch(data.train, [place]).inputs["source"].tolist()[0] for place in places] == batch.inputs[
        "source"
    ].tolist()
