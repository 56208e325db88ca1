"""score: the loss by the definition, windows as the trainer's and as written by hand, and the library's own loss."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import tfdsl
from tests import foreign
from tests.reading.models import GPT, PAIRS, WORDS, asked
from tests.training.runs import chosen
from tfdsl.reading.score import Scored, score, total, windows
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


def test_what_cannot_be_scored_is_told() -> None:
    for spec, given, settings, code in (
        (WORDS, "text", {}, "R839"),
        (GPT, "text", {"window": 41}, "R840"),
        (GPT, "text", {"window": 8, "stride": 9}, "R840"),
        (GPT, "t", {}, "R841"),
        (GPT, ("a", "b"), {}, "R836"),
        (PAIRS, "text", {}, "R836"),
        (PAIRS, ("a", "b"), {"window": 8}, "R836"),
        (PAIRS, ("a" * 40, "b"), {}, "R793"),
    ):
        found, said = score(asked(spec), [given], **settings)  # type: ignore[arg-type]
        assert (found, [each.code for each in said]) == ((), [code])
