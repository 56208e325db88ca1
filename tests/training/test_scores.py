"""Figures of answers, against scikit-learn and against calculations by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, label_ranking_average_precision_score, top_k_accuracy_score

from tfdsl.training import scores


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_what_scikit_learn_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    true, said = random.integers(0, 5, 40), random.integers(0, 7, 40)
    counts = [torch.bincount(torch.from_numpy(each), minlength=9).double() for each in (true[true == said], said, true)]
    found = scores.classes(*counts)
    assert found["accuracy"] == pytest.approx(accuracy_score(true, said))
    assert found["F1"] == pytest.approx(f1_score(true, said, average="macro"))


def test_retrieval_is_what_scikit_learn_says() -> None:
    torch.manual_seed(0)
    table = torch.randn(40, 40)
    places = scores.ranks(table, torch.eye(40).bool())
    found = scores.found(scores.retrieval(places), 40)
    true, labels = np.arange(40), np.arange(40)
    for most in (1, 5, 10):
        wanted = top_k_accuracy_score(true, table.numpy(), k=most, labels=labels)
        assert found[f"recall at {most}"] == pytest.approx(wanted)
    wanted = label_ranking_average_precision_score(np.eye(40), table.numpy())
    assert found["mean reciprocal rank"] == pytest.approx(wanted)


def test_equal_scores_are_not_for_the_right_one() -> None:
    assert scores.ranks(torch.zeros(2, 5), torch.eye(5).bool()[:2]).tolist() == [5, 5]


def test_any_right_candidate_does() -> None:
    right = torch.tensor([[True, False, True]])
    assert scores.ranks(torch.tensor([[0.1, 0.5, 0.9]]), right).tolist() == [1]
    assert scores.ranks(torch.tensor([[0.1, 0.95, 0.9]]), right).tolist() == [2]


@pytest.mark.parametrize(
    "said, true, exact, overlap",
    [
        ("The cat!", "cat", 1.0, 1.0),
        ("a big black cat", "the black cat", 0.0, 0.8),  # 2 of 3 words are right, 2 of 2 were found
        ("dog", "cat", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("", "cat", 0.0, 0.0),
        ("cat cat", "cat", 0.0, 2 / 3),
        ("anthem", "them", 0.0, 0.0),  # `an` goes as a word only
    ],
)
def test_answers_as_squad_has_them(said: str, true: str, exact: float, overlap: float) -> None:
    assert scores.exact(said, true) == exact
    assert scores.overlap(said, true) == pytest.approx(overlap)
