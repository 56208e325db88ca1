"""What cannot be asked of a run from Python is a RunError that says why, whatever is handed over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import tfdsl
from tests.sampling.written import run
from tfdsl.run import Run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("run") / "run")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"lenght": 3}, "unknown field `lenght` (did you mean `length`?)"),
        ({"length": 0}, "`length`: 0 is out of range (a whole number from 1 up)"),
        ({"top_p": 2}, "`top_p`: 2 is out of range (a number above 0 to 1)"),
        ({"temperature": None}, "`temperature`: nothing is not a number from 0 up"),
        ({"weights": "int4"}, "`weights`: unknown `weights`: `int4` (did you mean `int8`?)"),
        ({"weights": "half"}, "`weights`: unknown `weights`: `half` (`float32`, `bfloat16` or `int8`)"),
        ({"min_length": 9, "length": 2}, "`min_length` is 9, and `length` allows 2 tokens"),
        ({"logit_bias": {-1: 2.0}}, "`-1` is no text, no token (a whole number)"),
        ({"logit_bias": {True: 2.0}}, "`true` is no text, no token (a whole number)"),
        ({"logit_bias": {"a": math.nan}}, "out of range"),
        ({"prompts": "a", "prompt": "b"}, "`prompt` is given beside prompts"),
        ({"prompts": None}, "the prompt is to be a text, and is None"),
        ({"prompts": {"prompt": "a"}}, "the prompt is to be a text, and is {'prompt': 'a'}"),
        ({"prompts": 3}, "the prompt is to be a text, and is 3"),
        ({"prompts": b"x"}, "the prompt is to be a text, and is b'x'"),
        ({"prompts": ["a", None]}, "prompt 2 is to be a text, and is None"),
        ({"prompts": "\ud800"}, "the prompt holds what is no character"),
        ({"processors": print}, "`processors` is a list of functions"),
        ({"processors": ["shout"]}, "a processor is to be a function, and is 'shout'"),
        ({"beams": 2, "seed": 3}, "`seed` is of tokens that are drawn, and `beams` draws none"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_says_why(model: Run, chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(tfdsl.RunError) as raised:
        model.generate(**chosen)
    assert said in raised.value.diagnostics[0].message and raised.value.diagnostics[0].help


def infinite(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
    return logits_BV.index_fill(1, torch.tensor([3]), math.inf)


def nothing(tokens_BT: Tensor, logits_BV: Tensor) -> None:
    return None


def first(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
    return logits_BV[0]


def hopeless(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
    return logits_BV * math.nan


@pytest.mark.parametrize("way", [{}, {"greedy": True}, {"lookup": 2}, {"beams": 2}], ids=str)
@pytest.mark.parametrize(
    ("own", "said"),
    [
        (nothing, "`nothing` gives None, and was given logits ["),
        (first, "`first` gives numbers [257], and was given logits ["),
        (hopeless, "`hopeless` makes a score that is no number"),
    ],
)
def test_a_function_that_gives_no_scores_is_named(model: Run, own: Any, said: str, way: dict[str, Any]) -> None:
    with pytest.raises(tfdsl.RunError) as raised:
        model.generate("ab", processors=[own], length=4, **way).texts()
    assert [each.code for each in raised.value.diagnostics] == ["R817"]
    assert said in raised.value.diagnostics[0].message


def test_an_infinite_score_is_said_to_be_one(model: Run) -> None:
    asked: list[tuple[dict[str, Any], str]] = [
        ({"processors": [infinite]}, "infinite"),
        ({"logit_bias": {5: math.inf}}, "logit_bias of 1"),
    ]
    for chosen, name in asked:
        with pytest.raises(tfdsl.RunError, match=f"`{name}.*` makes a score that is infinite"):
            model.generate("ab", length=4, **chosen).texts()
    assert model.generate("ab", length=2, greedy=True, logit_bias={120: math.inf}).texts() == ["xx"]


@pytest.mark.parametrize("way", [{}, {"greedy": True}, {"lookup": 2}, {"beams": 2}], ids=str)
def test_that_every_token_is_ruled_out_is_said(model: Run, way: dict[str, Any]) -> None:
    with pytest.raises(tfdsl.RunError, match="no token can be drawn: every token is ruled out"):
        model.generate("ab", length=4, banned=list(range(257)), **way).texts()


def test_a_function_may_write_into_its_scores(model: Run) -> None:
    def shout(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
        logits_BV[:, 33] += 50
        return logits_BV

    pieces = list(model.generate("ab", processors=[shout], length=3, logprobs=1))
    assert [piece.text for piece in pieces] == ["!", "!", "!"]
    assert all(piece.logprob is not None and piece.logprob < -1 for piece in pieces)


def test_what_no_command_could_say_is_refused_too(model: Run) -> None:
    """The command line bounds its options; from Python anything may come."""
    anything: Any = model
    asked: list[tuple[Callable[[], Any], str]] = [
        (lambda: anything.generate("ab", draft=5), "`draft` is a run or its folder, and is 5"),
        (lambda: anything.score("ab", stride=0), "`stride` is 0"),
        (lambda: anything.score("ab", weights="int4"), "`weights` is 'int4'"),
        (lambda: anything.held_out(weights=["int8"]), "`weights` is ['int8']"),
    ]
    for call, said in asked:
        with pytest.raises(tfdsl.RunError) as raised:
            call()
        assert said in raised.value.diagnostics[0].message and raised.value.diagnostics[0].help
