"""Guessing ahead changes no chance: every fall of the dice is tried, and the texts' chances are summed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.sampling import tables
from tfdsl.sampling.draw import Stream
from tfdsl.sampling.generate import Plan, generate
from tfdsl.sampling.generate import Text as Writer
from tfdsl.sampling.lookup import Lookup
from tfdsl.sampling.reader import Opener, Reader
from tfdsl.sampling.smaller import Smaller
from tfdsl.sampling.speculative import Dice, Drafting, Falls, Guessing, Law, Tally, Writing, settle

Text = tuple[int, ...]


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


def write(
    target: Opener, prompt: Text, drafting: Drafting, law: Law, length: int, ahead: int, dice: Dice, tally: Tally
) -> list[int]:
    """Return the tokens that are written behind the prompt."""
    text = Writer(0, list(prompt), Stream(0))
    written = Writing(target, text, Plan(length), law, dice, Guessing(drafting, ahead, tally))
    return [drawn.token for drawn in written.run()]


def guessed(table: Tensor, prompt: Text, drafting: Drafting, law: Law, length: int, ahead: int) -> dict[Text, float]:
    """Return every text that speculation may write, and its chance, over every fall of the dice."""
    dice = tables.Every()

    def run() -> Text:
        return tuple(write(tables.opener(table), prompt, drafting, law, length, ahead, dice, Tally()))

    found: dict[Text, float] = defaultdict(float)
    for text, chance in dice.falls(run):
        found[text] += chance
    return dict(found)


def smaller(
    table: Tensor, room: int = 100, own: Law | None = None, opened: list[tables.Table] | None = None
) -> Drafting:
    """Return what makes a draft of a table, with room for `room` positions, perhaps by a law of its own."""

    def open_(prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        reader, logits_BV = tables.opener(table)(prompts, room)
        if opened is not None:
            opened.append(reader)
        return reader, logits_BV

    return lambda wanted, vocab, law, dice: Smaller(open_, min(room, wanted), vocab, own or law, dice)


def looked_up(longest: int) -> Drafting:
    return lambda *_: Lookup(longest)


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
    same(guessed(table, (1, 0), smaller(small), law, 4, ahead), chances(table, (1, 0), law, 4))


def test_a_draft_with_chances_of_its_own_changes_none() -> None:
    table, small = tables.table(3, 3), tables.table(3, 4)
    same(guessed(table, (2,), smaller(small, own=plain), shy, 3, 2), chances(table, (2,), shy, 3))


@pytest.mark.parametrize("room", [1, 2, 3, 5])
def test_a_draft_with_less_room_changes_no_chance(room: int) -> None:
    table, small = tables.table(2, 5), tables.table(2, 6)
    same(guessed(table, (1, 0, 1), smaller(small, room), plain, 5, 2), chances(table, (1, 0, 1), plain, 5))


@pytest.mark.parametrize("vocab", [2, 4])
def test_a_draft_of_more_or_fewer_tokens_changes_no_chance(vocab: int) -> None:
    table, small = tables.table(3, 3), tables.table(4, 4)[[0, 1, 2, 4] if vocab < 4 else slice(None), :, :vocab]
    same(guessed(table, (1, 0), smaller(small), plain, 3, 2), chances(table, (1, 0), plain, 3))


@pytest.mark.parametrize("law", [plain, shy, greedy])
@pytest.mark.parametrize("longest", [1, 3])
def test_looking_up_changes_no_chance(law: Law, longest: int) -> None:
    table, prompt = tables.table(3, 7), (0, 1, 2, 0, 1)
    same(guessed(table, prompt, looked_up(longest), law, 4, 3), chances(table, prompt, law, 4))


@pytest.mark.parametrize("law", [plain, shy, greedy])
def test_of_itself_every_guess_is_right(law: Law) -> None:
    table, tally, opened = tables.table(4, 8), Tally(), list[tables.Table]()
    text = write(tables.opener(table), (3,), smaller(table, opened=opened), law, 61, 3, Falls(Stream(0)), tally)
    assert (len(text), tally) == (61, Tally(reads=16, tokens=61, guessed=45, right=45))
    assert str(tally) == "45 of 45 guesses right (100%), 3.81 tokens a read"
    assert len(opened) == 1 and set(opened[0].reads) == {1, 2}


def test_what_was_wrong_is_forgotten() -> None:
    table, opened, targets = tables.table(4, 9), list[tables.Table](), list[tables.Table]()

    def open_(prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        reader, logits_BV = tables.opener(table)(prompts, room)
        targets.append(reader)
        return reader, logits_BV

    draft = smaller(tables.table(4, 10), opened=opened)
    text = [4, 3, 1, *write(open_, (3, 1), draft, plain, 48, 3, Falls(Stream(1)), Tally())]
    assert [reader.read_so_far for reader in targets] == [[text[:-1]]]
    (seen,) = opened[0].read_so_far
    assert seen[:-3] == text[: len(seen) - 3]  # up to three guesses were read and not yet taken back


def test_what_repeats_is_read_at_once() -> None:
    table, tally = torch.full((5, 4, 4), -5.0), Tally()
    for token in range(4):
        table[:, token, (token + 1) % 4] = 5.0
    text = write(tables.opener(table), (0, 1, 2, 3, 0), looked_up(2), greedy, 41, 9, Falls(Stream(0)), tally)
    assert text == [(place + 1) % 4 for place in range(41)]
    assert tally == Tally(reads=5, tokens=41, guessed=36, right=36)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("context", [None, 6, 1])
@pytest.mark.parametrize("slide", [False, True])
def test_looking_up_changes_no_text(seed: int, context: int | None, slide: bool) -> None:
    """A guess of a text is kept where it is what is drawn, so that the same seed writes the same text."""
    opener = tables.opener(tables.table(3, seed, spread=3.0))
    plan = Plan(30, end=frozenset({2}) if seed % 2 else frozenset(), context=context, slide=slide, logprobs=2)
    wanted = list(generate(opener, [Writer(0, [1, 0, 1], Stream(seed))], plan))
    found = list(Guessing(looked_up(2), 4)(opener, [Writer(0, [1, 0, 1], Stream(seed))], plan))
    assert found == wanted


@pytest.mark.parametrize("context", [None, 5, 1])
@pytest.mark.parametrize("slide", [False, True])
def test_greedy_with_a_draft_changes_no_text(context: int | None, slide: bool) -> None:
    opener, draft = tables.opener(tables.table(5, 1)), smaller(tables.table(5, 2), 4)
    plan = Plan(30, greedy=True, context=context, slide=slide)
    wanted = list(generate(opener, [Writer(0, [1, 0, 1], Stream(0))], plan))
    assert list(Guessing(draft, 4)(opener, [Writer(0, [1, 0, 1], Stream(0))], plan)) == wanted
