"""masked_token and replaced_token: what is drawn, what counts, and the figures, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training import texts
from tfdsl import settings, tokens
from tfdsl.training import objectives, order
from tfdsl.training.objectives.masked_token import MaskedToken
from tfdsl.training.objectives.replaced_token import ReplacedToken
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place

TEXT = np.random.default_rng(0).choice([65, 65, 65, 66, 67, 68, 69, 70], 2000).tolist()
DATA = texts.prepared(("mask", "first", "separator"), text=[TEXT])
assert DATA.tokenizer is not None
MARKS = tokens.marks(DATA.tokenizer)


def masked(**fields: float) -> MaskedToken:
    train = settings.Train.read({"context": 22, "objective": {"type": "masked_token", **fields}})
    found, problems = objectives.bind(train, texts.signature("bert"))
    assert isinstance(found, MaskedToken), problems
    found.open(DATA)
    return found


def replaced(**fields: float) -> ReplacedToken:
    train = settings.Train.read({"context": 22, "objective": {"type": "replaced_token", **fields}})
    found, problems = objectives.bind(train, texts.signature("electra"))
    assert isinstance(found, ReplacedToken), problems
    found.open(DATA)
    return found


def test_a_share_of_each_window_is_hidden_between_its_marks() -> None:
    batch = masked(share=0.2, masked=1.0, random=0.0).batch(DATA.train, [Place(0, index) for index in range(8)])
    tokens_BT, targets_BT = batch.inputs["tokens"], batch.targets["tokens"]
    assert tokens_BT.shape == (8, 22)
    assert set(tokens_BT[:, 0].tolist()) == {MARKS.first}
    assert set(tokens_BT[:, -1].tolist()) == {MARKS.separator}
    assert (targets_BT != -100).sum(1).tolist() == [4] * 8
    assert torch.equal(tokens_BT == MARKS.mask, targets_BT != -100)
    assert batch.inputs["segments"].eq(0).all()
    assert batch.count == 32


def test_a_vocabulary_without_first_and_separator_has_windows_without_them() -> None:
    made = masked()
    assert set(made.wanted.marks) - set(made.wanted.spare) == {"mask"}
    made.open(texts.prepared(("mask",), text=[TEXT]))
    batch = made.batch(DATA.train, [Place(0, index) for index in range(3)])
    assert batch.inputs["tokens"].shape == batch.targets["tokens"].shape == (3, 20)
    assert set(replaced().wanted.marks) == set(replaced().wanted.spare)


def test_of_those_hidden_some_are_masked_some_replaced_and_some_stay() -> None:
    made = masked(share=0.5, masked=0.6, random=0.3)
    batch = made.batch(DATA.train, [Place(epoch, index) for epoch in range(20) for index in range(90)])
    tokens_N, targets_N = (
        each[batch.targets["tokens"] != -100] for each in (batch.inputs["tokens"], batch.targets["tokens"])
    )
    assert (tokens_N == MARKS.mask).float().mean().item() == pytest.approx(0.6, abs=0.02)
    stays = (tokens_N == targets_N).float().mean().item()
    assert stays == pytest.approx(0.1 + 0.3 / 256, abs=0.02)
    assert set(tokens_N[tokens_N != targets_N].tolist()) - {MARKS.mask} <= set(made.plain.tolist())


def test_what_is_drawn_is_a_function_of_seed_epoch_and_place() -> None:
    made = masked()
    whole = made.batch(DATA.train, [Place(1, index) for index in range(6)])
    parts = [made.batch(DATA.train, [Place(1, index)]) for index in range(6)]
    assert torch.equal(whole.inputs["tokens"], torch.cat([part.inputs["tokens"] for part in parts]))
    assert torch.equal(whole.targets["tokens"], torch.cat([part.targets["tokens"] for part in parts]))
    again = made.batch(DATA.train, [Place(2, index) for index in range(6)])
    assert not torch.equal(whole.targets["tokens"], again.targets["tokens"])


def test_held_out_no_word_is_hidden_twice() -> None:
    made = masked(share=0.9)
    count = made.examples(DATA.held_out, HELD_OUT)
    assert count == 100
    batch = made.batch(DATA.held_out, [Place(HELD_OUT, index) for index in range(count)])
    assert batch.count == count * 18
    odd = texts.prepared(("mask", "first", "separator"), text=[TEXT[:50]])
    last = made.batch(odd.held_out, [Place(HELD_OUT, 2)])
    assert last.inputs["tokens"][0, 1:-1].shape == (20,)
    assert (last.targets["tokens"][0, 1:11] == -100).all()


def test_the_loss_and_the_baseline_are_the_definition() -> None:
    torch.manual_seed(0)
    made, model = masked(), texts.build("bert")
    batches = [made.batch(DATA.held_out, rows) for rows in order.held_out(made.examples(DATA.held_out, HELD_OUT), 7)]
    with torch.no_grad():
        found = made.measure(model, batches, Processes())
        loss, right, count = 0.0, 0, 0
        common = [0] * 300
        for batch in batches:
            logits = model(*batch.inputs.values())["logits"].log_softmax(-1)
            for row, place in (batch.targets["tokens"] != -100).nonzero().tolist():
                word = int(batch.targets["tokens"][row, place])
                loss -= logits[row, place, word].item()
                right += int(logits[row, place].argmax()) == word
                common[word] += 1
                count += 1
    assert found.count == count == 300
    assert found.loss == pytest.approx(loss / count, rel=1e-5)
    assert found.figures["accuracy"] == pytest.approx(right / count)
    assert found.figures["times the unigram baseline"] == pytest.approx(right / max(common))


def test_replacements_follow_the_frequencies_and_only_another_word_is_one() -> None:
    made = replaced(share=0.5)
    batch = made.batch(DATA.train, [Place(epoch, index) for epoch in range(20) for index in range(90)])
    plain = replaced(share=0.001).windows
    rows, _ = plain.rows(DATA.train, [Place(epoch, index) for epoch in range(20) for index in range(90)])
    shown = batch.inputs["tokens"][:, 1:-1]
    told = batch.targets["replaced"]
    assert torch.equal(told[:, 1:-1] == 1, shown != torch.from_numpy(rows))
    assert (told[:, [0, -1]] == -1).all()
    alike = sum((count / 2000) ** 2 for count in made.often.tolist())
    assert (told == 1).sum().item() / (told >= 0).sum().item() == pytest.approx(0.5 * (1 - alike), abs=0.02)
    assert batch.count == 1800 * 20


def test_the_loss_of_replaced_words_is_the_definition() -> None:
    torch.manual_seed(0)
    made, model = replaced(), texts.build("electra")
    batch = made.batch(DATA.held_out, [Place(HELD_OUT, index) for index in range(5)])
    with torch.no_grad():
        found = made.measure(model, [batch], Processes())
        chance = model(*batch.inputs.values())[:, 1:-1].sigmoid()
    told = batch.targets["replaced"][:, 1:-1] == 1
    by_hand = -torch.where(told, chance, 1 - chance).log().mean().item()
    said = chance > 0.5
    assert found.loss == pytest.approx(by_hand, rel=1e-5)
    assert found.figures["accuracy"] == pytest.approx((said == told).float().mean().item())
    assert found.figures["F1"] == pytest.approx(2 * (said & told).sum().item() / (said.sum() + told.sum()).item())
