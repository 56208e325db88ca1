"""Instruction tuning and preferences: what counts, the definitions by hand, and a reference that stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.training import texts
from tests.training.gpt import GPT
from tests.training.runs import signature
from tfdsl import settings, tokens
from tfdsl.data.manifest import Damaged
from tfdsl.training import objectives
from tfdsl.training.objectives.preference import Preference
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place, Task

PROMPTS, ANSWERS, WORSE = [[65, 66, 67], [68]], [[70], [71, 72, 73]], [[74, 75], [76]]
DATA = texts.prepared(("end",), prompt=PROMPTS, answer=ANSWERS)
PAIRS = texts.prepared(("end",), prompt=PROMPTS, chosen=ANSWERS, rejected=WORSE)
assert DATA.tokenizer is not None
END = tokens.marks(DATA.tokenizer).end


def task(objective: str = "next_token") -> Task:
    train = settings.Train.read({"context": 12, "objective": objective})
    found, problems = objectives.bind(train, signature(300))
    assert found is not None, problems
    return found


def test_answers_alone_count_with_the_mark_at_their_end() -> None:
    made = task()
    made.open(DATA)
    batch = made.batch(DATA.train, [Place(0, 0), Place(0, 1)])
    assert batch.inputs["tokens"].tolist() == [[65, 66, 67, 70], [68, 71, 72, 73]]
    assert batch.targets["tokens"].tolist() == [[-100, -100, 70, END], [71, 72, 73, END]]
    assert batch.count == 6
    assert made.examples(DATA.train, 3) == 2


def test_an_exact_match_is_what_greedy_decoding_writes() -> None:
    torch.manual_seed(0)
    made, model = task(), GPT(300)
    made.open(DATA)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch = made.batch(DATA.train, [Place(0, 0), Place(0, 1)])
    seen = set()
    for _ in range(60):
        found = made.measure(model, [batch], Processes())
        exact = 0
        for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
            row = list(prompt)
            while len(row) < 8 and row[-1] != END:
                row.append(int(model(torch.tensor([row]))[0, -1].argmax()))
            exact += row[len(prompt) :] == [*answer, END]
        assert found.figures["exact match"] == exact / 2
        seen.add(exact)
        optimizer.zero_grad()
        made.loss(model, batch).backward()
        optimizer.step()
    assert seen >= {0, 2}


def test_without_an_end_or_room_answers_are_refused() -> None:
    bare = texts.prepared((), prompt=[[65] * 10], answer=[[66] * 5])
    assert [(where, each.code) for where, each in task().against(bare)] == [
        ("train.tokenizer", "R795"),
        ("train.context", "R793"),
    ]


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "none"])
def test_what_the_first_model_said_is_not_read_where_it_is_damaged(tmp_path: Path, damage: str) -> None:
    made, path = task("preference"), tmp_path / "reference.npy"
    made.open(PAIRS)
    made.begin(GPT(300).eval(), PAIRS, tmp_path, fresh=True)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.unlink()
    if damage != "gone":
        path.write_bytes({"cut": content[:150], "flipped": content, "none": b"x"}[damage])
    with pytest.raises(Damaged):
        made.begin(GPT(300).eval(), PAIRS, tmp_path, fresh=False)


def test_preference_is_the_definition(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, first = task("preference"), GPT(300).eval()
    assert isinstance(made, Preference)
    made.open(PAIRS)
    made.begin(first, PAIRS, tmp_path, fresh=True)
    model = GPT(300).eval()

    def log(model: GPT, prompt: list[int], answer: list[int]) -> torch.Tensor:
        row = torch.tensor([[*prompt, *answer, END]])
        logs = model(row[:, :-1]).log_softmax(-1)[0]
        return sum(logs[at - 1, row[0, at]] for at in range(len(prompt), row.shape[1]))  # type: ignore[return-value]

    margins = [
        0.1 * (log(model, p, c) - log(first, p, c) - log(model, p, r) + log(first, p, r)).item()
        for p, c, r in zip(PROMPTS, ANSWERS, WORSE, strict=True)
    ]
    again = task("preference")
    assert isinstance(again, Preference)
    again.open(PAIRS)
    again.begin(model, PAIRS, tmp_path, fresh=False)  # a run that is taken up again keeps its first model's word
    with torch.no_grad():
        batch = again.batch(PAIRS.held_out, [Place(HELD_OUT, 0), Place(HELD_OUT, 1)])
        loss = again.loss(model, batch).item()
        found = again.measure(model, [batch], Processes())
        start = made.measure(first, [batch], Processes())
    assert loss == pytest.approx(-F.logsigmoid(torch.tensor(margins)).sum().item(), rel=1e-4)
    assert found.figures["margin"] == pytest.approx(sum(margins) / 2, rel=1e-3)
    assert found.figures["accuracy"] == sum(each > 0 for each in margins) / 2
    assert start.loss == pytest.approx(0.6931, abs=1e-4)
    assert batch.count == 2
