"""A text for a source: rows of many lengths as each alone, picked, gone back, without a cache, and as transformers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as tree

import tfdsl
from tests import foreign, imported
from tests.reading.models import PAIRS, asked
from tests.training.test_sound_to_text import EAR
from tfdsl import settings
from tfdsl.reading import answers
from tfdsl.sampling import begin, processors, step
from tfdsl.sampling.answering import Answer, Answering, ordered
from tfdsl.sampling.begin import Author
from tfdsl.sampling.greedy import greedy
from tfdsl.sampling.talk import Talk

PROMPTS = ["abc", "a much longer source", "x", ""]


def author(spec: str = PAIRS) -> Author:
    """Return a small model of pairs as one that writes."""
    found, said = answers.author(asked(spec, pad=None))
    assert found is not None and said == []
    return found


def opened(spec: str = PAIRS, prompts: list[str] = PROMPTS, length: int = 6) -> tuple[Answer, torch.Tensor]:
    """Return a reader of the sources, and its first logits."""
    writes = author(spec)
    assert writes.sources is not None and isinstance(writes.open, Answering)
    found, faults = writes.sources(prompts, prompts)
    assert faults == {} and list(found) == list(range(len(prompts)))
    starts = list(found.values())
    return writes.open(starts, max(map(len, starts)) + length - 1)


STEPS = torch.tensor([[65, 66, 67], [70, 71, 72], [80, 81, 82], [90, 91, 92]])


def test_rows_of_many_lengths_give_what_each_gives_alone() -> None:
    reader, first_BV = opened()
    together = torch.cat([first_BV[:, None], *(reader.read(STEPS[:, [at]]) for at in range(3))], 1)
    for row, prompt in enumerate(PROMPTS):
        alone, first_1V = opened(prompts=[prompt])
        chunks = torch.cat([first_1V[:, None], alone.read(STEPS[[row]], last=3)], 1)
        assert torch.allclose(chunks[0], together[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cached", [True, False])
def test_rows_are_picked_and_places_gone_back_to(cached: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _ = opened()
    if not cached:
        monkeypatch.setattr(reader.held, "made", None)
        reader = Answer(reader.held, 6)
        reader.begin()
    reader.mark()
    reader.read(STEPS[:, :2], last=2)
    reader.back(2)
    told_BV = reader.read(STEPS[:, :1])[:, -1]
    rows_N = torch.tensor([2, 0, 0])
    reader.pick(rows_N)
    assert (reader.rows, reader.left) == (3, 4)
    next_NV = reader.read(STEPS[rows_N, 1:2])[:, -1]
    plain, _ = opened()
    assert torch.allclose(plain.read(STEPS[:, :1])[:, -1], told_BV, atol=1e-6)
    assert torch.allclose(plain.read(STEPS[:, 1:2])[rows_N, -1], next_NV, atol=1e-6)


def test_a_text_for_a_source_is_the_same_in_any_batch_and_holds_no_padding() -> None:
    writes, chosen = author(), settings.Sample(length=8, seed=3, temperature=2.0)

    def texts(prompts: list[str]) -> list[list[int]]:
        found, said = begin(writes, chosen, prompts)
        assert found is not None and said == []
        rows: list[list[int]] = [[] for _ in prompts]
        for piece in found:
            rows[piece.row].append(piece.token)
        return rows

    together = texts(PROMPTS)
    assert together == [texts([prompt])[0] for prompt in PROMPTS]
    assert all(256 not in row for row in together)


@pytest.mark.parametrize("way", [{"greedy": True}, {"beams": 1}, {"lookup": 2, "greedy": True}], ids=str)
def test_what_is_written_alone_is_judged_for_repeating(way: dict[str, Any]) -> None:
    """Not the source: an answer may well repeat words of it."""
    writes = author()
    assert writes.sources is not None and isinstance(writes.open, Answering)
    writes = replace(writes, sources=lambda prompts, _: ({0: [3, 99, 3, 99, 3]}, {}))
    chosen = settings.Sample.model_validate({"length": 8, "repetition_penalty": 3.0, "no_repeat_ngram": 2, **way})
    generation, said = begin(writes, chosen, ["source"])
    assert generation is not None and said == []
    text = [piece.token for piece in generation]
    reader, logits_BV = writes.open([[3, 99, 3, 99, 3]], 20)
    for at, token in enumerate(text):
        so_far = torch.tensor([text[:at]], dtype=torch.long)
        scores_BV = processors.forbid_repeats(processors.repetition(logits_BV, so_far, 3.0), so_far, 2)
        assert int(scores_BV.argmax()) == token
        logits_BV = reader.read(torch.tensor([[token]]))[:, -1]


def test_settings_that_are_none_for_a_source_are_told() -> None:
    table = "tie: tok}\n    - position: {type: learned, length: 5}\n    - res"
    short = author(PAIRS.replace("tie: tok}\n    - res", table))
    asked = [
        (settings.Sample(context=4), "R843"),
        (settings.Sample(overflow="stop"), "R843"),
        (settings.Sample(overflow="slide"), "R843"),
        (settings.Sample(prefill=512), "R843"),
        (settings.Sample(length=9), "I678"),
    ]
    for chosen, code in asked:
        _, said = begin(short, chosen, ["a"])
        assert [each.code for each in said] == [code]
    (wrong,) = Talk(short, settings.Sample()).said
    assert wrong.code == "R843" and "a conversation goes on from what was said" in wrong.message
    found, _ = begin(short, settings.Sample(length=9, greedy=True, logit_bias={260: -100.0, 261: -100.0}), ["a"])
    assert found is not None
    assert [piece.end for piece in found] == [None] * 4 + ["context"]


@pytest.mark.parametrize(("family", "kind"), [("t5", "T5"), ("bart", "Bart")])
def test_greedy_texts_are_those_of_transformers(family: str, kind: str, tmp_path: Path) -> None:
    config = json.loads((imported.FIXTURES / family / "config.json").read_text())
    config |= {"num_decoder_layers": config["num_layers"], "tie_word_embeddings": False} if family == "t5" else {}
    theirs = imported.theirs(tmp_path / "in", f"{kind}ForConditionalGeneration", config)
    writes = tfdsl.import_checkpoint(tmp_path / "in", tmp_path / "run").author(settings.Sample())
    assert isinstance(writes.open, Answering)
    writes.open.model.double()
    draws = np.random.default_rng(3)
    sources = [draws.integers(5, writes.vocab, size).tolist() for size in (7, 3, 11, 1)]
    pad = config["pad_token_id"]
    ids = torch.tensor([row + [pad] * (11 - len(row)) for row in sources])
    wanted_BT, logits_BTV = foreign.written(theirs, ids, (ids != pad).long(), 10)
    reader, first_BV = writes.open(sources, 11 + 9)
    assert torch.allclose(first_BV.double(), logits_BTV[:, 0], rtol=1e-6, atol=1e-6)
    assert greedy(reader, first_BV, end=-1, length=10).tolist() == wanted_BT.tolist()
    reader, _ = writes.open(sources, 11 + 9)
    assert torch.allclose(reader.read(wanted_BT[:, :-1], last=9).double(), logits_BTV[:, 1:], rtol=1e-6, atol=1e-6)
    traced(writes.open, sources, step.FEW)


def traced(opener: Answering, sources: list[list[int]], kind: str) -> None:
    """Compare the traced step of a model in float64 with the model, over positions from the third on."""
    program, form, put = step.trace(opener.model, kind, opener.call)
    run = program.module()
    reader, _ = opener(sources, max(map(len, sources)) + 12)
    held, cache = reader.held, reader.cache
    reader.read(torch.full((len(sources), 1), 7))
    with torch.inference_mode():
        leaves = [leaf.clone() for leaf in step.whole(cache)]  # what the step leaves there it goes on from
        while cache.position < 11:
            tokens = torch.randint(5, 30, (len(sources), 1))
            inputs = ordered(held.task, held.source, tokens, cache.position)
            assert form.takes([*inputs, *leaves])
            entries = tree.tree_unflatten(leaves, tree.tree_structure(cache.entries))
            given, new = run(inputs, torch.empty(cache.position), entries)
            found = held.model(*inputs, cache=cache)
            wanted = found[held.task.output] if isinstance(found, dict) else found
            torch.testing.assert_close(given, wanted, rtol=1e-10, atol=1e-10)
            for place, tensor in zip(put, new, strict=True):
                leaves[place] = tensor


@pytest.mark.parametrize("kind", [step.ONE, step.FEW])
def test_a_traced_step_of_text_to_text_gives_what_the_model_gives(kind: str) -> None:
    writes = author()
    assert writes.sources is not None and isinstance(writes.open, Answering)
    writes.open.model.double()
    some = PROMPTS[:1] if kind == step.ONE else PROMPTS
    traced(writes.open, list(writes.sources(some, some)[0].values()), kind)


def test_a_sound_is_read_from_its_file(tmp_path: Path) -> None:
    writes = author(EAR.replace("261", "270"))
    assert writes.sources is not None and isinstance(writes.open, Answering)
    sounds = np.random.default_rng(0).normal(size=(2, 4, 6))
    for at, sound in enumerate(sounds):
        np.save(tmp_path / f"{at}.npy", sound)
    np.save(tmp_path / "other.npy", sounds)
    (tmp_path / "text.npy").write_text("text")
    named = [str(tmp_path / f"{at}.npy") for at in (0, 1, 0)]
    found, faults = writes.sources(named, named)
    assert faults == {}
    starts = list(found.values())
    writes.open.model.float()
    _, logits_BV = writes.open(starts, 8)
    start = torch.full((2, 1), starts[0][0])
    wanted = writes.open.model(torch.from_numpy(sounds.astype(np.float32)), start)[:, -1]
    assert torch.allclose(logits_BV, wanted[[0, 1, 0]].float(), atol=1e-5)
    named = [str(tmp_path / name) for name in ("none.npy", "0.npy", "text.npy", "other.npy")]
    found, faults = writes.sources(named, named)
    assert list(found) == [1] and {at: each.code for at, each in faults.items()} == dict.fromkeys((0, 2, 3), "R846")


def test_a_source_that_is_longer_than_those_of_training_is_told() -> None:
    said = [begin(author(), settings.Sample(length=2), ["a" * size])[1] for size in (29, 40)]
    assert [[each.code for each in some] for some in said] == [[], ["I673"]]
    assert said[1][0].message == "a source has 41 tokens with its mark, and the model was trained on 30"
