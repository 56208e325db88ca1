"""next_token: its windows, its loss against the definition, and the measurement against the loss."""

import math

import numpy as np
import pytest
import torch

from tests.training.gpt import GPT
from tests.training.runs import signature
from tfdsl import settings
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.training import objectives, order
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place, Task


def table(values: np.ndarray) -> Table:
    return Table({"text": Ragged(values, np.array([0, len(values)]))}, {"text": 2 * (len(values) - 1)})


TEXT = table(np.arange(1001, dtype=np.uint16))


def task(vocab: int = 1001, seed: int = 1, context: int = 10, smoothing: float = 0.0) -> Task:
    train = settings.Train.read({"context": context, "seed": seed, "label_smoothing": smoothing})
    found, problems = objectives.bind(train, signature(vocab))
    assert found is not None, problems
    return found


def starts(made: Task, first: int, last: int, seed: int = 1) -> list[int]:
    places = order.places(lambda epoch: made.examples(TEXT, epoch), seed, first, last)
    return made.batch(TEXT, places).inputs["tokens"][:, 0].tolist()


def test_targets_follow_inputs() -> None:
    batch = task().batch(TEXT, [Place(0, 3), Place(2, 5)])
    assert batch.inputs["tokens"].shape == (2, 10)
    assert batch.inputs["tokens"].dtype == torch.int64
    assert torch.equal(batch.targets["tokens"], batch.inputs["tokens"] + 1)
    assert (batch.count, batch.tokens) == (20, 20)


def test_an_epoch_shows_each_window_once() -> None:
    seen = starts(task(), 0, 99)  # 99 windows fit at any phase
    assert len(set(seen)) == 99
    assert len({start % 10 for start in seen}) == 1
    assert max(seen) + 10 <= 1000


def test_a_step_needs_no_history_and_processes_take_slices_of_it() -> None:
    whole = starts(task(), 0, 320)
    assert [each for at in range(0, 320, 4) for each in starts(task(), at, at + 4)] == whole
    rows = [Place(0, index) for index in range(7)]
    assert [each for rank in range(3) for each in order.share(rows, rank, 3)] == rows


def test_seeds_and_epochs_differ() -> None:
    one, two = starts(task(seed=0), 0, 198, 0), starts(task(), 0, 198)
    assert one != two
    assert one[:99] != one[99:]


def test_the_shortest_text_has_one_window() -> None:
    short = table(np.arange(12, dtype=np.uint16))
    batch = task().batch(short, [Place(0, 0)])
    assert task().examples(short, 0) == 1
    assert torch.equal(batch.targets["tokens"], batch.inputs["tokens"] + 1)


def test_held_out_each_token_is_a_target_once() -> None:
    held = table(np.arange(996, dtype=np.uint16))
    made = task()
    batches = [made.batch(held, places) for places in order.held_out(made.examples(held, HELD_OUT), 7)]
    targets = torch.cat([batch.targets["tokens"].flatten() for batch in batches])
    assert targets[targets >= 0].tolist() == list(range(1, 996))
    assert sum(batch.count for batch in batches) == 995


def test_held_out_some_are_spread() -> None:
    chosen = [place.index for places in order.held_out(100, 3, most=5) for place in places]
    assert chosen == [0, 20, 40, 60, 80]


def test_smoothing_is_the_definition() -> None:
    torch.manual_seed(0)
    made, text = task(vocab=7, context=3, smoothing=0.1), table(np.arange(7, dtype=np.uint16))
    batch, logits = made.batch(text, [Place(HELD_OUT, 0), Place(HELD_OUT, 1)]), torch.randn(2, 3, 7)
    spread = torch.full((2, 3, 7), 0.1 / 7).scatter_add(
        2, batch.targets["tokens"][..., None], torch.full((2, 3, 1), 0.9)
    )
    by_hand = -(spread * logits.log_softmax(2)).sum()
    assert made.loss(lambda tokens: logits, batch).item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_a_measurement_weighs_each_token_the_same() -> None:
    torch.manual_seed(0)
    model = GPT(11).eval()
    text = np.random.default_rng(0).integers(0, 11, 75).astype(np.uint16)
    held, made = table(text), task(vocab=11, context=8)
    made.open(Prepared(held, held))
    batches = [made.batch(held, places) for places in order.held_out(made.examples(held, HELD_OUT), 3)]
    with torch.no_grad():
        measured = made.measure(model, batches, Processes())
        total = 0.0
        for start in range(0, 74, 8):
            window = torch.from_numpy(text[start : start + 9].astype(np.int64))
            logprob = model(window[None, :-1])[0].log_softmax(1)
            total -= sum(logprob[place, token].item() for place, token in enumerate(window[1:]))
    assert measured.count == 74
    assert measured.loss == pytest.approx(total / 74, rel=1e-5)
    assert measured.figures["bits a byte"] == pytest.approx(total / 74 / math.log(2) / 2.0, rel=1e-5)
    assert measured.figures["perplexity"] == pytest.approx(math.exp(total / 74), rel=1e-5)
