"""Compiling: when it is done, that a compiled run is the run, and what becomes of one that cannot be compiled."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import compiling, guards, train
from tfdsl.training.compiling import Compiled
from tfdsl.training.log import read

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns of what it does itself


def test_it_is_done_on_a_gpu_or_where_it_is_asked_for() -> None:
    assert settings.Train().compile == "auto"
    found = {
        (asked, device): compiling.pays(asked, device) for asked in ("auto", True, False) for device in ("cpu", "cuda")
    }
    assert [pair for pair, compiled in found.items() if compiled] == [("auto", "cuda"), (True, "cpu"), (True, "cuda")]


def test_a_compiled_call_is_the_call_and_tells_what_it_cost() -> None:
    model, said, inputs = GPT(11), list[Diagnostic](), torch.arange(10).view(2, 5)
    call = Compiled(model, said.append, "eager")
    torch.testing.assert_close(call(inputs), model(inputs))
    cost = call.seconds
    assert cost > 0
    call(inputs)
    assert (call.seconds, said) == (cost, [])


def test_a_model_that_cannot_be_compiled_is_called_as_it_is() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("no C++ compiler")

    model, said, inputs = GPT(11), list[Diagnostic](), torch.arange(10).view(2, 5)
    call = Compiled(model, said.append, broken)  # type: ignore[arg-type]
    for _ in range(2):
        assert torch.equal(call(inputs), model(inputs))
    assert [(each.code, each.severity) for each in said] == [("W581", "warning")]
    assert "no C++ compiler" in said[0].message


def test_a_run_says_what_compiling_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, backend: whole(call, backend="eager"))
    plain, _ = train(subject(dropout=0.0), chosen(tmp_path, steps=2, schedule={"warmup": 1}), tmp_path / "plain")
    monkeypatch.setattr(compiling, "missing", lambda: None)
    own, problems = train(
        subject(dropout=0.0), chosen(tmp_path, steps=2, compile=True, schedule={"warmup": 1}), tmp_path / "run"
    )
    assert problems == []
    assert own is not None
    assert plain is not None
    assert own.loss == pytest.approx(plain.loss, abs=1e-4)
    assert [entry["compiling"] > 0 for entry in read(tmp_path / "run" / "log.jsonl") if "loss" in entry] == [True] * 2


class DropAttention(nn.Module):
    """Attention with dropout, as an emitted model has it."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout, self.weight = dropout, nn.Parameter(torch.ones(1))


def test_dropout_in_attention_is_said_once() -> None:
    model = nn.ModuleList([DropAttention(0.1), DropAttention(0.1), DropAttention(0.0)])
    said = guards.first(model, 1 if torch.get_num_threads() == 1 else "auto")
    assert [(each.code, each.message.split(" keeps")[0]) for each in said] == [("W581", "dropout in `0` and 1 more")]
    assert guards.first(nn.ModuleList([DropAttention(0.0)]), "auto") == []


@pytest.mark.parametrize(("load", "asked", "count"), [(9.0, None, 1), (9.0, "auto", 0), (1.0, None, 0)])
def test_threads_that_would_wait_for_each_other_are_said(
    monkeypatch: pytest.MonkeyPatch, load: float, asked: Any, count: int
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert [each.code for each in guards.first(nn.Linear(2, 2), asked)] == ["W581"] * count
