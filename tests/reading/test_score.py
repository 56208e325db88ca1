"""score: the loss by the definition, windows as the trainer's and as written by hand, and the library's own loss."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import tfdsl
from tests import foreign, imported
from tests.reading.models import CLASSES, GPT, PAIRS, WORDS, asked, kept
from tests.training.runs import chosen
from tfdsl.reading.masked import hidden
from tfdsl.reading.score import Scored, score, total, windows
from tfdsl.sampling import small as small_
from tfdsl.training import subject, train

TEXT = "the quick brown fox jumps"


def test_each_token_counts_once_with_all_that_its_window_holds() -> None:
    trained = asked(GPT)
    row = list(TEXT.encode())
    for size, step in ((8, 8), (8, 3), (8, 1), (30, 30), (1, 1)):
        (found,), said = score(trained, [TEXT], window=size, stride=step)
        assert said == []
        wanted: dict[int, float] = {}
        for each in windows(0, len(row), size, step):
            logits = trained.model(torch.tensor([row[each.first : each.last]]))[0]
            for at in range(each.new, each.last):
                wanted[at + 1] = F.cross_entropy(logits[at - each.first], torch.tensor(row[at + 1])).item()
        assert list(wanted) == list(range(1, len(row)))
        assert [one.nats for one in found.tokens] == [None, *(pytest.approx(each) for each in wanted.values())]
        assert found.loss == pytest.approx(np.mean(list(wanted.values())))
        assert (found.count, found.bytes) == (len(row) - 1, len(row))
        assert found.bits_a_byte == pytest.approx(found.nats / math.log(2) / len(row))
        assert found.perplexity == pytest.approx(math.exp(found.loss))


def test_windows_slide_by_their_stride() -> None:
    assert [(each.first, each.last, each.new) for each in windows(0, 12, 6, 2)] == [
        (0, 6, 0),
        (2, 8, 6),
        (4, 10, 8),
        (6, 11, 10),
    ]
    assert windows(0, 1, 6, 2) == []


def test_a_batch_gives_what_each_gives_alone_and_all_tokens_weigh_alike() -> None:
    trained = asked(GPT)
    texts = [TEXT, "a", "bc", TEXT[::-1]]
    together, _ = score(trained, texts)
    for text, found in zip(texts, together, strict=True):
        if found.count:
            (alone,), _ = score(trained, [text])
            assert alone.loss == pytest.approx(found.loss, rel=1e-9)
    whole = total(together)
    assert (whole.count, whole.loss) == (49, pytest.approx(sum(each.nats for each in together) / 49))
    assert total([]) == Scored("all", 0.0, 0, 0)


def test_a_run_scores_as_its_trainer_measured(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("the lazy fox jumps over the dog\n" * 9)
    spec = tfdsl.check(GPT)
    held_out = {"source": str(tmp_path / "text.txt"), "held_out": str(tmp_path / "held.txt")}
    set_ = chosen(tmp_path, tokenizer="characters", context=8, steps=2, data=held_out)
    outcome, _ = train(subject.of(spec), set_, tmp_path / "run")
    assert outcome is not None and outcome.held_out is not None
    run = tfdsl.open_run(tmp_path / "run")
    measured = run.held_out()
    (found,) = run.score((tmp_path / "held.txt").read_text())
    assert found.loss == pytest.approx(outcome.held_out.loss, rel=1e-6)
    assert (measured.loss, measured.count) == (pytest.approx(outcome.held_out.loss, rel=1e-6), found.count)
    assert found.bits_a_byte == pytest.approx(measured.figures["bits a byte"], rel=1e-6)


def test_a_causal_model_scores_as_transformers_does(tmp_path: Path) -> None:
    config = foreign.config("GPT2Config", vocab_size=97, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    theirs = foreign.tiny("GPT2LMHeadModel", config)
    run = tfdsl.import_checkpoint(foreign.disk(theirs, tmp_path / "in"), tmp_path / "run")
    tokens = foreign.tokens(97, 1, 20)
    wanted = foreign.run(theirs, {"input_ids": tokens, "labels": tokens}).loss.item()
    run.trained().model.double()
    from tfdsl.reading import score as scoring

    bound, _ = scoring.bind(run.trained())
    assert bound is not None
    (nats,) = scoring.told(run.trained(), bound, [tokens[0].numpy()], 32, 32)
    assert nats.mean().item() == pytest.approx(wanted, rel=1e-9)


def test_a_target_is_scored_given_its_source_as_transformers_does_it(tmp_path: Path) -> None:
    trained = asked(PAIRS, pad=256)
    (one, two), said = score(trained, [("abc", "x"), ("d", "yz")])
    assert said == []
    start, end = trained.mark("start"), trained.mark("end")
    source = torch.tensor([[*b"abc", end]])
    logits = trained.model(source, torch.tensor([[start, *b"x"]]))[0]
    wanted = F.cross_entropy(logits, torch.tensor([*b"x", end]), reduction="sum").item()
    assert (one.nats, one.count, one.bytes) == (pytest.approx(wanted), 2, 1)
    (alone,), _ = score(trained, [("d", "yz")])
    assert alone.nats == pytest.approx(two.nats, rel=1e-9)


def test_a_model_of_masked_words_judges_each_token_by_all_others_of_its_window() -> None:
    trained = asked(WORDS)
    row = list(TEXT.encode())
    first, mask, separator = (trained.mark(name) for name in ("first", "mask", "separator"))
    for window, stride in ((None, None), (6, 6), (6, 2), (1, 1)):
        (found,), said = score(trained, [TEXT], window=window, stride=stride)
        assert said == [] and found.pseudo
        wanted: list[float] = []
        for at, token in enumerate(row):
            size, step = window or 38, stride or window or 38
            start = next(start for start in range(0, len(row), step) if at < start + size)
            read = [first, *row[start : start + size], separator]
            read[1 + at - start] = mask
            logits = trained.model(torch.tensor([read]), torch.zeros(1, len(read), dtype=torch.long))[0, 1 + at - start]
            wanted.append(-logits.log_softmax(0)[token].item())
        assert [one.token for one in found.tokens] == row
        assert [one.nats for one in found.tokens] == pytest.approx(wanted, rel=1e-12)
        assert (found.count, found.loss) == (len(row), pytest.approx(np.mean(wanted)))
    assert [(one.first, one.place) for one in hidden(0, 5, 3, 2)] == [(0, 0), (0, 1), (0, 2), (2, 3), (2, 4)]
    together, _ = score(trained, [TEXT, "a", TEXT[:9]])
    alone = [score(trained, [text])[0][0].nats for text in (TEXT, "a", TEXT[:9])]
    assert [each.nats for each in together] == pytest.approx(alone, rel=1e-9) and total(together).pseudo


def test_an_imported_bert_scores_as_a_loop_with_transformers_does(tmp_path: Path) -> None:
    """Salazar et al., 2020, section 2.1, a token at a time."""
    config = json.loads((imported.FIXTURES / "bert" / "config.json").read_text())
    theirs = imported.theirs(tmp_path / "in", "BertForMaskedLM", config)
    imported.pieces(tmp_path / "in")
    run = tfdsl.import_checkpoint(tmp_path / "in", tmp_path / "run")
    run.trained().model.double()
    run.trained().model.double()
    rows = [[2, 5, 6, 8, 9, 10, 3], [2, 8, 6, 7, 5, 3]]
    for row, found in zip(rows, run.score(["a b walking.", "walk bc a"]), strict=True):
        wanted = 0.0
        for at in range(1, len(row) - 1):
            hidden_ = torch.tensor([[*row[:at], 4, *row[at + 1 :]]])
            logits = foreign.run(theirs, {"input_ids": hidden_}).logits[0, at]
            wanted -= logits.log_softmax(0)[row[at]].item()
        assert (found.nats, found.count) == (pytest.approx(wanted, rel=1e-6), len(row) - 2)
        assert found.perplexity == pytest.approx(math.exp(wanted / (len(row) - 2)))


def test_what_cannot_be_read_is_left_aside() -> None:
    found, said = score(asked(GPT), ["ab", "\ud800", "cd"], names=["one", "two", "three"])
    assert [each.name for each in found] == ["one", "three"]
    assert [(each.code, each.message) for each in said] == [
        ("R831", "text 2 holds half of a character, or bytes that are no UTF-8")
    ]
    found, said = score(asked(PAIRS), [("a", "b"), ("c" * 30, "d"), ("e", "f" * 30), ("g", "h")])
    assert [each.name for each in found] == ["a → b", "g → h"]
    assert [each.message for each in said] == [
        "the source of pair 2 has 31 tokens with its mark, the model reads 30",
        "the target of pair 3 has 31 tokens with its mark, the model reads 30",
    ]


def test_small_weights_are_those_of_the_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_, "LEAST", 1)  # no matrix of it is rounded else
    spec = GPT.replace("width: 16", "width: 64")
    run = kept(tmp_path / "run", spec)
    wide, small = run.score(TEXT)[0], run.score(TEXT, weights="int8")[0]
    assert wide.loss != small.loss and wide.loss == pytest.approx(small.loss, rel=0.05)
    assert run.score(TEXT)[0] == wide


def test_what_cannot_be_scored_is_told() -> None:
    for spec, given, settings, code in (
        (CLASSES, "text", {}, "R839"),
        (WORDS, "", {}, "R841"),
        (WORDS, "text", {"window": 39}, "R840"),
        (GPT, "text", {"window": 41}, "R840"),
        (GPT, "text", {"window": 8, "stride": 9}, "R840"),
        (GPT, "t", {}, "R841"),
        (GPT, ("a", "b"), {}, "R836"),
        (PAIRS, "text", {}, "R836"),
        (PAIRS, ("a", "b"), {"window": 8}, "R836"),
        (PAIRS, ("a" * 40, "b"), {}, "R845"),
    ):
        found, said = score(asked(spec), [given], **settings)  # type: ignore[arg-type]
        assert (found, [each.code for each in said]) == ((), [code])


@pytest.mark.parametrize("name", ["window", "stride"])
@pytest.mark.parametrize("value", [0, -3, 2.5, "a", True])
def test_windows_are_as_many_tokens_as_can_be_counted(name: str, value: Any) -> None:
    for trained, given in ((asked(GPT), TEXT), (asked(WORDS), TEXT), (asked(PAIRS), ("a", "b"))):
        found, said = score(trained, [given], **{name: value})
        assert found == () and [each.code for each in said] == ["R840"]
        assert said[0].message == f"`{name}` is {value!r}, and is to be a whole number from 1 up"
