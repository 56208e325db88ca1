"""Ways to write on compiled models: what guesses and beams give, for every kind of cache, beside plain reading."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests import shrunk
from tfdsl import settings
from tfdsl.sampling import Decoder, ways
from tfdsl.sampling.beam import Beams, search
from tfdsl.sampling.draw import Stream
from tfdsl.sampling.generate import Plan, Text, generate
from tfdsl.sampling.speculative import Guessing

# Keys and values, a window, chunks and a window, latents, states of three kinds, convolutions.
MODELS = ["gpt2", "mistral_7b", "gemma3_1b", "deepseek_v2_lite", "mamba2", "jamba", "qwen3_next", "hybrid"]
PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6]


@cache
def decoder(name: str, prefill: int = 7) -> Decoder:
    """Return a model that reads seven positions at a time, so that windows are laid anew on the way."""
    model: Any = shrunk.model(name)
    return Decoder(model, None, prefill)


def written(name: str, write: Any, **plan: Any) -> list[int]:
    texts = [Text(0, list(PROMPT), Stream(5))]
    with torch.no_grad():
        return [drawn.token for drawn in write(decoder(name), texts, Plan(14, **plan))]


@pytest.mark.parametrize("name", MODELS)
def test_guesses_change_no_text(name: str) -> None:
    wanted, drawn = written(name, generate, greedy=True), written(name, generate)
    draft = Guessing(ways.smaller(decoder("mpt_7b"), 64), 3)
    of_itself = Guessing(ways.smaller(decoder(name), None), 4)
    looked_up = ways.way(settings.Sample(lookup=2, ahead=5))
    assert written(name, draft, greedy=True) == wanted
    assert written(name, of_itself, greedy=True) == wanted
    assert written(name, looked_up, greedy=True) == wanted
    assert written(name, looked_up) == drawn
    assert draft.tally.guessed > draft.tally.right
    assert of_itself.tally.right == of_itself.tally.guessed


@pytest.mark.parametrize("name", MODELS)
def test_a_draft_that_goes_back_is_as_one_that_read_anew(name: str) -> None:
    """A model guesses for another: what it guesses is what it would, had it read the text alone."""
    wanted, guessing = written("gpt2", generate, greedy=True), Guessing(ways.smaller(decoder(name), None), 3)
    assert written("gpt2", guessing, greedy=True) == wanted
    tally, text = guessing.tally, PROMPT + wanted
    right = reads = 0
    place, size = len(PROMPT) + 1, 3
    while place < len(text):
        reads, before = reads + 1, right
        tokens, most = text[:place], min(size, len(text) - place - 1)
        for _ in range(most):
            with torch.no_grad():
                _, logits_BV = decoder(name, 512)([tokens], 64)
            tokens = [*tokens, int(logits_BV[0].argmax())]
            if tokens[-1] != text[len(tokens) - 1]:
                break
            right += 1
            place += 1
        place += 1
        if most:
            size = min(3, 2 * size if right - before == most else right - before + 1)
    assert (tally.reads, tally.right) == (reads + 1, right)


@pytest.mark.parametrize("name", MODELS)
def test_beams_are_those_of_whole_forwards(name: str) -> None:
    """Rows are picked from caches of every kind; the scores are those of each text read anew."""
    with torch.no_grad():
        (found,) = search(decoder(name), [PROMPT], lambda _, __, x: x, Beams(3), room=64, length=6, ends={7})
        assert len(found) == 3
        for each in found:
            text = [*each.tokens, *([] if each.ended is None else [each.ended])]
            logits_TV = shrunk.model(name)(torch.tensor([PROMPT + text]))[0, len(PROMPT) - 1 : -1]
            logprob = logits_TV.double().log_softmax(-1).gather(1, torch.tensor(text)[:, None]).sum()
            assert each.logprob == pytest.approx(float(logprob), abs=1e-5)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"draft": "small", "lookup": 2}, "`draft` and `lookup` are two ways to write a text"),
        ({"lookup": 3, "beams": 2}, "`lookup` and `beams` are two ways to write a text"),
        ({"ahead": 3}, "`ahead` belongs to `draft` or `lookup`, and nothing is guessed here"),
        ({"ahead": 3, "beams": 2}, "`ahead` belongs to `draft` or `lookup`, and nothing is guessed here"),
        ({"length_penalty": 0}, "`length_penalty` belongs to `beams`, and nothing is searched here"),
        ({"early_stopping": "never", "draft": "small"}, "`early_stopping` belongs to `beams`, and nothing is searched"),
        ({"beams": 2, "temperature": 0.7}, "`temperature` is of tokens that are drawn, and `beams` draws none"),
        ({"beams": 2, "top_k": 7}, "`top_k` is of tokens that are drawn, and `beams` draws none"),
        ({"beams": 2, "seed": 0}, "`seed` is of tokens that are drawn, and `beams` draws none"),
        ({"beams": 2, "greedy": False}, "`greedy` is of tokens that are drawn, and `beams` draws none"),
        ({"ahead": 8}, "`ahead` belongs to `draft` or `lookup`, and nothing is guessed here"),
        ({"length_penalty": 1}, "`length_penalty` belongs to `beams`, and nothing is searched here"),
        ({"beams": 2, "logprobs": 0}, "`logprobs` looks at a text while it is written"),
        ({"beams": 2, "stop": ["a"]}, "`stop` looks at a text while it is written"),
        ({"beams": 2, "n": 3}, "`n` asks for 3 texts, and 2 beams find 2"),
        (
            {"beams": 2, "overflow": "slide"},
            "`overflow: slide` reads one text again, and `beams` has several beginnings",
        ),
        (
            {"greedy": True, "temperature": 0.9},
            "`temperature` is of tokens that are drawn, and `greedy: true` takes the",
        ),
        (
            {"temperature": 0, "top_k": 5},
            "`top_k` is of tokens that are drawn, and `temperature: 0` takes the likeliest",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings.Sample.model_validate(chosen)
    (error,) = caught.value.errors()
    assert error["type"] == "D129"
    assert message in error["msg"]


def test_a_way_that_is_asked_for_now_leaves_another_behind() -> None:
    kept = settings.Sample.model_validate({"temperature": 0.7, "top_k": 5, "lookup": 2, "banned": ["a"]})
    found = settings.Sample.read(settings.anew(kept, {"beams": 3}))
    assert found.given() == {"banned": ("a",), "beams": 3}
    found = settings.Sample.read(settings.anew(found, {"draft": "small", "top_k": 4}))
    assert found.given() == {"banned": ("a",), "draft": "small", "top_k": 4}
    searched = settings.Sample.model_validate({"beams": 3, "length_penalty": 1, "banned": ["a"]})
    assert settings.Sample.read(settings.anew(searched, {"seed": 0})).given() == {"banned": ("a",), "seed": 0}
    sliding = settings.Sample.model_validate({"overflow": "slide"})
    assert settings.anew(sliding, {"beams": 2}) == {"beams": 2}
    with pytest.raises(ValidationError, match="two ways"):
        settings.Sample.read(settings.anew(kept, {"beams": 3, "draft": "small"}))


@pytest.mark.parametrize(
    ("kept", "chosen", "left"),
    [
        ({"greedy": True}, {"temperature": 0.9}, {"temperature": 0.9}),
        ({"greedy": True}, {"top_k": 5}, {"top_k": 5}),
        ({"greedy": True}, {"seed": 5, "length": 3}, {"greedy": True, "seed": 5, "length": 3}),
        ({"temperature": 0}, {"top_k": 5}, {"top_k": 5}),
        ({"temperature": 0, "length": 3}, {"greedy": False}, {"length": 3, "greedy": False}),
        ({"temperature": 0.5, "top_k": 5}, {"top_p": 0.5}, {"temperature": 0.5, "top_k": 5, "top_p": 0.5}),
        ({"temperature": 0.5, "top_k": 5, "typical_p": 0.5, "n": 2}, {"greedy": True}, {"n": 2, "greedy": True}),
        ({"greedy": False, "top_p": 0.5}, {"temperature": 0}, {"temperature": 0}),
    ],
    ids=str,
)
def test_the_likeliest_token_and_a_drawn_one_leave_each_other_behind(
    kept: dict[str, Any], chosen: dict[str, Any], left: dict[str, Any]
) -> None:
    found = settings.anew(settings.Sample.model_validate(kept), chosen)
    assert found == settings.Sample.read(found).given() == left
