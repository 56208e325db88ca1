"""Guessing ahead changes no chance: every fall of the dice is tried, and the texts' chances are summed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from tests.sampling import tables
from tfdsl.sampling.lookup import Lookup
from tfdsl.sampling.reader import Reader
from tfdsl.sampling.speculative import Draft, Law, Smaller, Tally, settle, speculate

Text = tuple[int, ...]


class Seeded:
    """Dice that fall as a seed says."""

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)

    def pick(self, weights_V: Tensor) -> int:
        return int(torch.multinomial(weights_V, 1, generator=self.random))

    def passes(self, chance: float) -> bool:
        return float(torch.rand((), generator=self.random)) < chance


def plain(_: Sequence[int], logits_V: Tensor) -> Tensor:
    return logits_V.double().softmax(0)


def greedy(_: Sequence[int], logits_V: Tensor) -> Tensor:
    return torch.zeros_like(logits_V, dtype=torch.float64).index_fill(0, logits_V.argmax(), 1)


def shy(text: Sequence[int], logits_V: Tensor) -> Tensor:
    """Temperature, a penalty on what the text holds, by how often, and the two likeliest."""
    logits_V = logits_V.double() / 0.8 - 0.7 * torch.bincount(torch.tensor(text), minlength=len(logits_V))
    return logits_V.masked_fill(logits_V < logits_V.topk(2).values[-1], -torch.inf).softmax(0)


def chances(table: Tensor, prompt: Text, law: Law, length: int) -> dict[Text, float]:
    """Return every text that may follow, and its chance, token by token."""
    found = {prompt: 1.0}
    for _ in range(length):
        found = {
            (*text, token): chance * more
            for text, chance in found.items()
            for token, more in enumerate(law(text, table[([len(table) - 1, *text])[-2], text[-1]]).tolist())
            if more
        }
    return {text[len(prompt) :]: chance for text, chance in found.items()}


def guessed(
    table: Tensor, prompt: Text, make: Callable[[tables.Every], Draft], law: Law, length: int, ahead: int
) -> dict[Text, float]:
    """Return every text that speculation may write, and its chance, over every fall of the dice."""
    dice = tables.Every()

    def run() -> Text:
        reader, logits_BV = tables.opener(table)([prompt], len(prompt) + length)
        written = speculate(
            reader, logits_BV[0], prompt, make(dice), law, dice, ahead=ahead, length=length, tally=Tally()
        )
        return tuple(token for token, _ in written)

    found: dict[Text, float] = defaultdict(float)
    for text, chance in dice.falls(run):
        found[text] += chance
    return dict(found)


def same(found: dict[Text, float], wanted: dict[Text, float]) -> None:
    assert sum(wanted.values()) == pytest.approx(1, abs=1e-12)
    assert {text for text, chance in found.items() if chance > 1e-14} <= set(wanted)
    for text, chance in wanted.items():
        assert found.get(text, 0.0) == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_a_settled_guess_has_the_chances_of_the_target(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    law, guess = (torch.randn(7, generator=random, dtype=torch.float64) * 2 for _ in range(2))
    if seed % 2:
        law[:3], guess[2:5] = -torch.inf, -torch.inf
    law_V, guess_V = law.softmax(0), guess.softmax(0)
    dice = tables.Every()

    def run() -> int:
        guess = dice.pick(guess_V)
        return settle(law_V, guess, guess_V, dice)

    found_V = torch.zeros(7, dtype=torch.float64)
    for token, chance in dice.falls(run):
        found_V[token] += chance
    assert torch.allclose(found_V, law_V, rtol=0, atol=1e-12)


@pytest.mark.parametrize("law", [plain, shy, greedy])
@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_a_smaller_model_changes_no_chance(law: Law, ahead: int) -> None:
    table, small = tables.table(3, 1), tables.table(3, 2)

    def make(dice: tables.Every) -> Draft:
        return Smaller(tables.opener(small), 6, law, dice)

    same(guessed(table, (1, 0), make, law, 3, ahead), chances(table, (1, 0), law, 3))


def test_a_draft_with_chances_of_its_own_changes_none() -> None:
    table, small = tables.table(3, 3), tables.table(3, 4)

    def make(dice: tables.Every) -> Draft:
        return Smaller(tables.opener(small), 6, plain, dice)

    same(guessed(table, (2,), make, shy, 3, 2), chances(table, (2,), shy, 3))


def test_a_draft_with_less_room_changes_no_chance() -> None:
    table, small = tables.table(2, 5), tables.table(2, 6)

    def make(dice: tables.Every) -> Draft:
        return Smaller(tables.opener(small), 3, plain, dice)

    same(guessed(table, (1, 0, 1), make, plain, 4, 2), chances(table, (1, 0, 1), plain, 4))


@pytest.mark.parametrize("law", [plain, shy, greedy])
@pytest.mark.parametrize("longest", [1, 3])
def test_looking_up_changes_no_chance(law: Law, longest: int) -> None:
    table = tables.table(3, 7)
    prompt = (0, 1, 2, 0, 1)
    same(guessed(table, prompt, lambda _: Lookup(longest), law, 4, 3), chances(table, prompt, law, 4))


@pytest.mark.parametrize("law", [plain, shy, greedy])
def test_of_itself_every_guess_is_right(law: Law) -> None:
    table, dice, tally = tables.table(4, 8), Seeded(0), Tally()
    reader, logits_BV = tables.opener(table)([(3,)], 100)
    drafts: list[tables.Table] = []

    def open_(prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        drafts.append(tables.Table(table, prompts, room))
        return drafts[-1], logits_BV

    draft = Smaller(open_, 100, law, dice)
    written = speculate(reader, logits_BV[0], (3,), draft, law, dice, ahead=3, length=61, tally=tally)
    text = [token for token, _ in written]
    assert (len(text), tally) == (61, Tally(reads=16, tokens=61, guessed=45, right=45))
    assert str(tally) == "45 of 45 guesses right (100%), 3.81 tokens a read"
    assert len(drafts) == 1 and set(drafts[0].reads) == {1, 2}


def test_what_was_wrong_is_forgotten() -> None:
    table, dice = tables.table(4, 9), Seeded(1)
    reader, logits_BV = tables.opener(table)([(3, 1)], 50)
    drafts: list[tables.Table] = []

    def open_(prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        drafts.append(tables.Table(tables.table(4, 10), prompts, room))
        return drafts[-1], logits_BV

    draft = Smaller(open_, 50, plain, dice)
    written = speculate(reader, logits_BV[0], (3, 1), draft, plain, dice, ahead=3, length=48, tally=Tally())
    text = [4, 3, 1, *(token for token, _ in written)]
    assert reader.read_so_far == [text[:-1]]
    (seen,) = drafts[0].read_so_far
    assert seen[:-3] == text[: len(seen) - 3]  # up to three guesses were read and not yet taken back


def test_greedy_reads_less_where_the_text_repeats() -> None:
    table = torch.full((5, 4, 4), -5.0)
    for token in range(4):
        table[:, token, (token + 1) % 4] = 5.0
    reader, logits_BV = tables.opener(table)([(0, 1, 2, 3, 0)], 100)
    tally = Tally()
    written = speculate(
        reader, logits_BV[0], (0, 1, 2, 3, 0), Lookup(2), greedy, Seeded(0), ahead=9, length=41, tally=tally
    )
    assert [token for token, _ in written] == [(place + 1) % 4 for place in range(41)]
    assert tally == Tally(reads=5, tokens=41, guessed=36, right=36)
