"""seq2seq: what the model reads and is to write, its loss against the definition, and what it writes itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from tests.training import texts
from tfdsl import settings, tokens
from tfdsl.training import objectives, order
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place
from tfdsl.training.text_to_text import TextToText, equal

SOURCES = [[65, 66, 67], [68], [69, 70], [71, 72, 73, 74]]
TARGETS = [[80, 81], [82, 83, 84], [85], [86, 87]]
DATA = texts.prepared(("start", "end"), source=SOURCES, target=TARGETS)
assert DATA.tokenizer is not None
MARKS = tokens.marks(DATA.tokenizer)
START, END = MARKS.start, MARKS.end


def task(name: str = "transformer", *more: str, **fields: object) -> TextToText:
    train = settings.Train.read({"context": 16, "objective": "seq2seq", **fields})
    found, problems = objectives.bind(train, texts.signature(name, *more))
    assert isinstance(found, TextToText), problems
    found.open(DATA)
    return found


def test_the_decoder_reads_the_target_behind_start_and_writes_it_with_end() -> None:
    batch = task().batch(DATA.train, [Place(0, 0), Place(0, 1)])
    assert batch.inputs["source"].tolist() == [[65, 66, 67, END], [68, END, 0, 0]]
    assert batch.inputs["target"].tolist() == [[START, 80, 81, 0], [START, 82, 83, 84]]
    assert batch.targets["tokens"].tolist() == [[80, 81, END, -100], [82, 83, 84, END]]
    assert (batch.count, batch.tokens) == (7, 16)


def test_the_loss_is_the_definition_and_padding_never_counts() -> None:
    torch.manual_seed(0)
    made = task()
    model = texts.build("transformer")
    together = made.loss(model, made.batch(DATA.train, [Place(0, index) for index in range(4)]))
    by_hand = 0.0
    for source, target in zip(SOURCES, TARGETS, strict=True):
        logits = model(torch.tensor([[*source, END]]), torch.tensor([[START, *target]]))[0]
        by_hand -= sum(logits.log_softmax(-1)[at, word].item() for at, word in enumerate([*target, END]))
    assert together.item() == pytest.approx(by_hand, rel=1e-5)
    parts = [made.loss(model, made.batch(DATA.train, [Place(0, index)])).item() for index in range(4)]
    assert sum(parts) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", ["transformer", "t5", "bart"])
def test_what_is_written_with_a_cache_and_in_a_batch_is_what_each_source_alone_gives(name: str) -> None:
    torch.manual_seed(3)
    made, model = task(name), texts.build(name)
    for weight in model.parameters():
        weight.data.mul_(5)  # far from even, so that rounding chooses no word
    pad = made.bound.source.words.pad
    batch = made.batch(DATA.held_out, [Place(HELD_OUT, index) for index in range(4)])
    with torch.no_grad():
        found = made.write(model, batch, 6, Processes()).tolist()
        for source_S, row in zip(batch.inputs["source"], found, strict=True):
            rows = [START]
            while len(rows) < 7 and rows[-1:] != [END]:
                logits_V = model(source_S[source_S != pad][None], torch.tensor([rows]))[0, -1]
                logits_V[pad] = -torch.inf
                rows.append(int(logits_V.argmax()))
            assert row[: len(rows) - 1] == rows[1:]
            assert set(row[len(rows) - 1 :]) <= {END}


def test_a_text_is_right_up_to_its_end() -> None:
    wanted = torch.tensor([[5, 6, 1], [5, 1, -100], [5, 6, 1]])
    assert equal(torch.tensor([[5, 6, 1], [5, 1, 1], [5, 6, 7]]), wanted, 1).tolist() == [True, True, False]
    assert equal(torch.tensor([[5, 1], [5, 1], [5, 6]]), wanted, 1).tolist() == [False, True, True]


def test_a_measurement_weighs_each_target_the_same() -> None:
    torch.manual_seed(0)
    made = task(label_smoothing=0.1)
    model = texts.build("transformer")
    with torch.no_grad():
        batches = [made.batch(DATA.held_out, rows) for rows in order.held_out(4, 3)]
        found = made.measure(model, batches, Processes())
        plain = task()
        loss = sum(plain.loss(model, batch).item() for batch in batches)
    assert found.count == 12
    assert found.loss == pytest.approx(loss / 12, rel=1e-5)  # smoothing is of the training alone
    assert found.figures["perplexity"] == pytest.approx(math.exp(loss / 12), rel=1e-5)
    assert found.figures["bits a byte"] == pytest.approx(loss / math.log(2) / 8, rel=1e-5)
    assert found.figures["exact match"] == 0


def test_passes_hold_examples_of_like_length() -> None:
    sizes = np.random.default_rng(0).integers(1, 100, 1000)
    alike = order.Lengths(sizes, 10)
    seen = [order.places(lambda _: 1000, 1, at, at + 10, alike) for at in range(0, 3000, 10)]
    spread = [np.ptp(sizes[[place.index for place in rows]]) for rows in seen]
    assert np.mean(spread) < 3
    for epoch in range(3):
        assert sorted(place.index for rows in seen[epoch * 100 : epoch * 100 + 100] for place in rows) == [*range(1000)]
    assert seen[:100] != seen[100:200]


def test_passes_over_the_edge_of_an_epoch_are_whole() -> None:
    sizes = np.random.default_rng(0).integers(1, 100, 103)
    alike = order.Lengths(sizes, 10)
    whole = order.places(lambda _: 103, 1, 0, 1030, alike)
    assert [
        place for at in range(0, 1030, 7) for place in order.places(lambda _: 103, 1, at, min(1030, at + 7), alike)
    ] == whole
    for epoch in range(10):
        assert sorted(place.index for place in whole if place.epoch == epoch) == [*range(103)]


def test_a_start_that_is_the_pad_is_refused() -> None:
    found = task("t5")
    t5 = Tokenizer(models.BPE({"<pad>": 0, "</s>": 1, "a": 2, "<extra_id_0>": 3}, []))
    data = texts.prepared(("end",), source=[[2]], target=[[2]])
    problems = found.against(replace(data, tokenizer=t5))
    assert [(where, each.code) for where, each in problems] == [("inputs.target.pad", "R792")]


def test_texts_longer_than_the_context_are_refused() -> None:
    data = texts.prepared(("start", "end"), source=[[65] * 20, [66]], target=[[65], [66]])
    found = task().against(data)
    assert [(where, each.code, each.message) for where, each in found] == [
        ("train.context", "R793", "`source` has up to 21 tokens with its mark, the model is to read 16")
    ]
