"""What a sweep varies, as runs: products, pairs in step, seeds, the names of folders, and what is refused."""

from __future__ import annotations

import pytest

from tfdsl.sweeping import grid
from tfdsl.sweeping.grid import Combination


def made(vary: list[str], zipped: list[str] | None = None, seeds: int = 1) -> list[Combination]:
    axes, problems = grid.axes(vary, zipped or [])
    assert problems == []
    found, problems = grid.combinations(axes, seeds, 7)
    assert problems == []
    return found


def test_all_pairs_each_with_its_seeds() -> None:
    found = made(["dims.n_layers=2,4", "train.optimizer.lr=1e-3,3e-4"], seeds=2)
    assert [each.name for each in found][:3] == [
        "n_layers=2,lr=1e-3,seed=7",
        "n_layers=2,lr=1e-3,seed=8",
        "n_layers=2,lr=3e-4,seed=7",
    ]
    assert len(found) == 8
    assert found[-1].overrides == ("dims.n_layers=4", "train.optimizer.lr=3e-4", "train.seed=8")


def test_in_step_beside_what_varies() -> None:
    found = made(["train.batch=4,8"], ["dims.d_model=32,64", "dims.n_heads=2,4"])
    assert [each.values for each in found] == [
        (("train.batch", batch), ("dims.d_model", width), ("dims.n_heads", heads))
        for batch in ("4", "8")
        for width, heads in (("32", "2"), ("64", "4"))
    ]


def test_nothing_varies_but_the_seed() -> None:
    assert [(each.name, each.overrides) for each in made([], seeds=2)] == [
        ("seed=7", ("train.seed=7",)),
        ("seed=8", ("train.seed=8",)),
    ]
    assert [(each.name, each.overrides) for each in made([])] == [("run", ())]


def test_commas_within_a_value_part_nothing() -> None:
    (axis,), _ = grid.axes(["train.optimizer.betas=[0.9,0.95],[0.9,0.99]", ""][:1], [])
    assert axis.rows == (("[0.9,0.95]",), ("[0.9,0.99]",))
    assert grid.split("'a,b',{x: 1, y: 2},c") == ("'a,b'", "{x: 1, y: 2}", "c")


def test_names_are_as_long_as_they_must_be_and_no_two_folders_are_alike() -> None:
    assert grid.shorts(["train.optimizer.lr", "train.other.lr", "dims.n"]) == {
        "train.optimizer.lr": "optimizer.lr",
        "train.other.lr": "other.lr",
        "dims.n": "n",
    }
    names = [each.name for each in made(["train.data=a/b,a:b,A:b"])]
    assert names == ["data=a-b", "data=a-b-2", "data=A-b-3"]


def test_python_values_are_written_as_a_spec_would() -> None:
    assert grid.written({"dims.n": [2, 4], "train.optimizer.betas": [[0.9, 0.95]], "train.compile": [True, False]}) == [
        "dims.n=2,4",
        "train.optimizer.betas=[0.9, 0.95]",
        "train.compile=true,false",
    ]


@pytest.mark.parametrize(
    ("vary", "zipped", "said"),
    [
        (["n_layers=2"], [], "`n_layers=2` is not of the form `section.name=value,value`"),
        (["dims.n=2,,4"], [], "`dims.n=2,,4` leaves a value out"),
        (["dims.n=2,2"], [], "`dims.n=2,2` names a value twice"),
        (["dims.n=2", "dims.n=4"], [], "`dims.n` varies twice"),
        ([], ["dims.a=1,2", "dims.b=1"], "what goes in step has as many values each, and there are 2 of `dims.a`,"),
    ],
)
def test_what_cannot_vary_is_said(vary: list[str], zipped: list[str], said: str) -> None:
    _, problems = grid.axes(vary, zipped)
    assert [each.code for each in problems] == ["R777"]
    assert problems[0].message.startswith(said)


def test_a_seed_varies_one_way() -> None:
    axes, _ = grid.axes(["train.seed=1,2"], [])
    found, (problem,) = grid.combinations(axes, 2, 0)
    assert (found, problem.code) == ([], "R777")
