"""Several texts at once: each is as it is alone, whatever is beside it, however it is read, and however long it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.sampling.written import SPEC, run
from tfdsl.faults import RunError
from tfdsl.run import Run
from tfdsl.sampling import Decoder

PROMPTS = ["the first of them", "a", "another one", "b", "as long as this!!"]
DRAWN: dict[str, Any] = {"length": 6, "temperature": 1.3, "top_k": 40, "seed": 11}
# Its angles depend on how long a row is, padding included.
DYNAMIC = SPEC.replace(
    "mask: MASK", "mask: MASK, position: {type: rope, scaling: {type: dynamic, factor: 2, length: 16}}"
)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("run") / "run")


def alone(held: Run, **chosen: Any) -> list[str]:
    """Return the text of each prompt, each written by itself."""
    return [held.generate(prompt, **chosen).texts()[0] for prompt in PROMPTS]


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"batch": 2},
        {"prefill": 3},
        {"prefill": 1},
        {"greedy": True},
        {"repetition_penalty": 1.5, "frequency_penalty": 0.3},
        {"banned": ["e", 97]},
        {"stop": ["a", "t"]},
        {"length": 60, "overflow": "slide"},
        {"length": 60, "overflow": "stop"},
        {"length": 60, "context": 60, "stop": ["é"]},
    ],
    ids=str,
)
def test_a_text_is_as_it_is_alone(held: Run, chosen: dict[str, Any]) -> None:
    chosen = chosen | {"length": 6} if "greedy" in chosen else DRAWN | chosen
    wanted = alone(held, **chosen)
    assert held.generate(PROMPTS, **chosen).texts() == wanted
    assert held.generate(PROMPTS[::-1], **chosen).texts() == wanted[::-1]
    if len(set(wanted)) > 1:
        assert wanted != alone(held, **chosen | {"seed": 12}) or chosen.get("greedy")


def test_samples_of_a_prompt_are_those_of_their_seeds(held: Run) -> None:
    found = held.generate(PROMPTS, n=3, **DRAWN).texts()
    each = [alone(held, **DRAWN | {"seed": 11 + sample}) for sample in range(3)]
    assert found == [each[sample][prompt] for prompt in range(5) for sample in range(3)]


def test_a_prompt_is_read_once_for_all_its_samples(held: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []
    model: Any = held.built()
    forward = type(model).forward

    def watched(self: Any, tokens_BT: Tensor, **rest: Any) -> Tensor:
        read.append(tuple(tokens_BT.shape))
        return forward(self, tokens_BT, **rest)

    monkeypatch.setattr(type(model), "forward", watched)
    held.generate("the first", n=4, length=3).texts()
    assert read == [(1, 9), (4, 1), (4, 1)]


def test_texts_that_end_are_dropped(held: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    model: Any = held.built()
    forward = type(model).forward

    def watched(self: Any, tokens_BT: Tensor, **rest: Any) -> Tensor:
        rows.append(len(tokens_BT))
        return forward(self, tokens_BT, **rest)

    monkeypatch.setattr(type(model), "forward", watched)
    pieces = list(held.generate(["one", "two", "six"], n=4, stop=["a", "e", "i", "o", "u"], **DRAWN))
    ended = [sum(piece.end == "stop" for piece in pieces), sum(piece.end == "length" for piece in pieces)]
    assert sum(ended) == 12 and ended[0] > 0
    assert rows[0] == 3 and rows[1:] == sorted(rows[1:], reverse=True)


def test_what_cannot_be_told_apart_is_written_by_length(tmp_path: Path) -> None:
    held = run(tmp_path / "run", spec=DYNAMIC)
    chosen = held.sample.model_copy(update=DRAWN)
    found, said = held.write(chosen, PROMPTS)
    assert found is not None
    assert found.texts() == alone(held, **DRAWN)
    assert [each.code for each in said] == ["I672"]


def test_the_weights_are_not_copied(held: Run) -> None:
    held.generate(PROMPTS, length=2).texts()
    opener = held.models().hasten(held.sample, 2, True).open
    assert isinstance(opener, Decoder) and opener.parted is not None
    parted: Any = opener.parted()[0]
    assert list(map(id, parted.parameters())) == list(map(id, held.built().parameters()))


def test_log_probabilities_are_the_models_own(held: Run) -> None:
    pieces = list(held.generate("ab", length=3, logprobs=2, temperature=0.3, repetition_penalty=3.0, top_k=2))
    text = [97, 98]
    for piece in pieces:
        log_V = held.built()(torch.tensor([text]))[0, -1].log_softmax(-1)
        assert piece.logprob == pytest.approx(float(log_V[piece.token]), abs=1e-5)
        values, places = log_V.topk(2)
        assert [token for token, _ in piece.likeliest] == places.tolist()
        assert [log for _, log in piece.likeliest] == pytest.approx(values.tolist(), abs=1e-5)
        text.append(piece.token)


def test_a_text_begins_with_what_is_forced_and_ends_before_what_it_stops_at(held: Run) -> None:
    generation = held.generate("ab", length=8, forced=["xé", 0x79], stop=["y"], logprobs=0)
    pieces = list(generation)
    assert "".join(piece.text for piece in pieces) == "xé"
    assert [piece.token for piece in pieces] == [*"xé".encode(), 0x79]
    assert pieces[-1].end == "stop" and all(piece.logprob is not None for piece in pieces)
    pieces = list(held.generate("ab", length=8, forced=["x"], stop=[0x78]))
    assert [(piece.token, piece.text, piece.end) for piece in pieces] == [(0x78, "", "stop")]
    pieces = list(held.generate("ab", length=8, forced=[[0x78, 256]]))
    assert [(piece.token, piece.text, piece.end) for piece in pieces] == [(0x78, "x", None), (256, "", "end")]


def test_a_function_of_the_users_own_is_a_processor(held: Run) -> None:
    seen: list[list[list[int]]] = []

    def vowels(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
        seen.append(tokens_BT.tolist())
        kept = torch.full_like(logits_BV, -torch.inf)
        kept[:, [97, 101]] = logits_BV[:, [97, 101]]
        return kept

    generation = held.generate(["xy", "z"], processors=[vowels], length=4)
    assert generation.chain == ("vowels", "temperature 1", "draw")
    texts = generation.texts()
    assert all(set(text) <= {"a", "e"} for text in texts)
    assert seen[1] == [[120, 121, ord(texts[0][0])], [-1, 122, ord(texts[1][0])]]


def test_scores_of_nothing_left_and_of_no_numbers_are_told(held: Run) -> None:
    def nothing(_: Tensor, logits_BV: Tensor) -> Tensor:
        return torch.full_like(logits_BV, -torch.inf)

    with pytest.raises(RunError, match="no token can be drawn: every token is ruled out"):
        held.generate("a", processors=[nothing]).texts()
    weight = held.built().get_parameter("norm_3.weight")
    kept = weight.clone()
    try:
        weight.fill_(torch.nan)
        with pytest.raises(RunError, match="no token can be drawn: the model's scores are no numbers"):
            held.generate("a", greedy=True).texts()
    finally:
        weight.copy_(kept)


def test_what_cannot_be_asked_is_told_before_a_token_is_drawn(held: Run) -> None:
    for chosen, code in (
        ({"banned": [257]}, "R811"),
        ({"stop": [300]}, "R811"),
        ({"logit_bias": {"ab": 1.0}}, "R812"),
        ({"context": 65}, "R813"),
        ({"forced": ["abc"], "length": 2}, "R814"),
        ({"top_k": "2 * n"}, "R814"),
        ({"overflow": "stop", "context": 1}, "R815"),
    ):
        with pytest.raises(RunError) as refused:
            held.generate("ab", **chosen)
        assert [each.code for each in refused.value.diagnostics] == [code]
    for chosen, codes in (
        ({"context": 60, "length": 5}, ["I673"]),
        ({"greedy": True, "n": 2, "length": 5}, ["W601"]),
        ({"length": 50}, ["I671"]),
    ):
        _, said = held.write(held.sample.model_copy(update=chosen), ["ab"])
        assert [each.code for each in said] == codes
