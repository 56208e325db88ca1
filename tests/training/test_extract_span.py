"""extract_span: rows, windows, the loss by hand, and answers as SQuAD counts them."""

import numpy as np
import pytest
import torch

from tests.training.records import BERT, FIRST, SEPARATOR, bound, model, numbers, prepared, texts, told
from tfdsl.training import order
from tfdsl.training.objectives.extract_span import best
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place

LONG = "abcdefghijklmnopqrstuvwxyz"
DATA = prepared(
    question=texts("who", "what", "where is it"),
    passage=texts("it is Ann", LONG, "here"),
    answer=numbers([[6, 8], [11, 13], [0, 3]]),
)


def task(**train: object):
    made = bound(BERT, objective="extract_span", output="ends", **train)
    made.open(DATA)
    return made


def test_a_row_is_the_question_and_the_passage() -> None:
    batch = task().batch(DATA.train, [Place(0, 0)])
    assert batch.inputs["tokens"].tolist() == [[FIRST, *b"who", SEPARATOR, *b"it is Ann", SEPARATOR]]
    assert batch.targets["ends"].tolist() == [[11, 13]]
    assert batch.targets["inside"][0].nonzero().flatten().tolist() == list(range(5, 14))


def test_long_passages_are_read_in_windows_that_overlap() -> None:
    made = task(context=16)
    count = made.examples(DATA.train, 0)
    rows = [made.batch(DATA.train, [Place(0, index)]) for index in range(count)]
    cut = [bytes(each.inputs["tokens"][0, 6:-1].tolist()).decode() for each in rows[1:-1]]
    assert cut == ["abcdefghi", "efghijklm", "ijklmnopq", "mnopqrstu", "qrstuvwxy", "rstuvwxyz"]
    ends = [each.targets["ends"][0].tolist() for each in rows[1:-1]]
    assert ends == [[0, 0], [0, 0], [9, 11], [0, 0], [0, 0], [0, 0]]
    held = made.batch(DATA.held_out, [Place(HELD_OUT, 1)])
    assert held.count == 6
    assert held.targets["example"].tolist() == [1] * 6


def test_a_long_question_leaves_half_to_the_passage() -> None:
    made = task(context=16)
    batch = made.batch(DATA.train, [Place(0, made.examples(DATA.train, 0) - 1)])
    assert bytes(batch.inputs["tokens"][0, 1:6].tolist()) == b"where"
    assert batch.inputs["tokens"].shape == (1, 12)


def test_questions_that_are_cut_are_told() -> None:
    ((where, said),) = task(context=16).remarks(DATA)
    assert (where, said.code) == ("train.context", "W621")
    assert said.message == "2 of 6 questions have more than 5 tokens and are cut"
    assert task(context=32).remarks(DATA) == []


def test_the_loss_is_half_of_either_end_and_filling_changes_nothing() -> None:
    made, net = task(), model(BERT)
    batch = made.batch(DATA.train, [Place(0, 0), Place(0, made.examples(DATA.train, 0) - 1)])
    ends = net(*batch.inputs.values())["ends"]
    by_hand = 0.0
    for row in range(2):
        real = int(batch.targets["keep"][row].sum())
        for which in (0, 1):
            by_hand -= 0.5 * ends[row, :real, which].log_softmax(0)[batch.targets["ends"][row, which]].item()
    assert made.loss(net, batch).item() == pytest.approx(by_hand, rel=1e-12)
    alone = sum(
        made.loss(net, made.batch(DATA.train, [Place(0, at)])).item() for at in (0, made.examples(DATA.train, 0) - 1)
    )
    assert made.loss(net, batch).item() == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_stretch_is_what_trying_all_finds(longest: int) -> None:
    torch.manual_seed(longest)
    ends, inside = torch.randn(4, 9, 2), torch.zeros(4, 9).bool()
    inside[:, 2:8] = True
    score, first, last = best(ends, inside, longest)
    for row in range(4):
        tried = {
            (one, two): (ends[row, one, 0] + ends[row, two, 1]).item()
            for one in range(2, 8)
            for two in range(one, min(8, one + longest))
        }
        wanted = max(tried, key=lambda pair: tried[pair])
        assert (first[row].item(), last[row].item()) == wanted
        assert score[row].item() == pytest.approx(tried[wanted])


def test_answers_are_the_best_of_all_windows() -> None:
    """A model that knows the letters of each answer finds it in whatever window it stands."""
    made = task(context=16)

    def knowing(tokens: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        starts = sum((tokens == letter).float() * weight for letter, weight in zip(b"Alh", (9, 9, 9), strict=True))
        ends = sum((tokens == letter).float() * weight for letter, weight in zip(b"nne", (9, 0, 9), strict=True))
        return torch.stack([starts * segments, ends * segments + 0.01 * torch.arange(tokens.shape[1])], 2)

    batches = [made.batch(DATA.held_out, each) for each in order.held_out(3, 2)]
    found = made.measure(knowing, batches, Processes())
    assert found.count == 8
    assert found.figures["exact match"] == 1
    assert found.figures["F1"] == 1


@pytest.mark.parametrize(
    "spec, train, where, code",
    [
        (BERT, {}, "outputs", "R803"),
        (BERT, {"output": "scores"}, "outputs", "R801"),
    ],
)
def test_what_does_not_fit(spec: str, train: dict[str, object], where: str, code: str) -> None:
    made, problems = told(spec, **{"objective": "extract_span", **train})
    assert made is None
    assert [(at, each.code) for at, each in problems] == [(where, code)]


def test_too_few_positions_for_an_answer() -> None:
    ((where, said),) = bound(BERT, objective="extract_span", output="ends", context=4).against(DATA)
    assert (where, said.code) == ("train.context", "R808")
    assert np.all(DATA.train.columns["answer"].values >= 0)
