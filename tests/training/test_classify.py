"""classify: images and texts, the loss and the figures by hand, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from tests.training.records import BERT, FIRST, PAD, SEPARATOR, VIT, bound, model, numbers, prepared, texts, told
from tfdsl import settings, tokens
from tfdsl.training import order
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place

RANDOM = np.random.default_rng(0)
NAMES = tuple("abcdefghij")
IMAGES = prepared(
    NAMES,
    image=numbers(RANDOM.integers(0, 256, (30, 1, 8, 8)), np.uint8),
    label=numbers(RANDOM.integers(0, 10, 30)),
)
PAIRS = prepared(
    ("no", "yes", "maybe"), text=texts("one", "three", ""), second=texts("2", "4", "five"), label=numbers([0, 2, 1])
)


def test_texts_and_pairs_become_rows() -> None:
    task = bound(BERT, objective="classify", output="scores")
    task.open(PAIRS)
    batch = task.batch(PAIRS.train, [Place(0, 1), Place(0, 2)])
    assert list(batch.inputs) == ["tokens", "segments"]
    assert batch.inputs["tokens"][1].tolist() == [FIRST, SEPARATOR, *b"five", SEPARATOR, PAD, PAD]
    assert batch.inputs["segments"][1].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    assert batch.targets["label"].tolist() == [2, 1]
    assert (batch.count, batch.tokens) == (2, 18)
    assert [[field.name for field in way] for way in task.wanted.ways] == [["text", "second", "label"]]
    assert task.wanted.marks == ("first", "separator")


def test_filling_changes_nothing() -> None:
    task, net = bound(BERT, objective="classify", output="scores"), model(BERT)
    task.open(PAIRS)
    together = task.loss(net, task.batch(PAIRS.train, [Place(0, index) for index in range(3)])).item()
    alone = sum(task.loss(net, task.batch(PAIRS.train, [Place(0, index)])).item() for index in range(3))
    assert together == pytest.approx(alone, rel=1e-12)


def test_smoothing_is_the_definition() -> None:
    task = bound(VIT, objective="classify", label_smoothing=0.1)
    task.open(IMAGES)
    batch = task.batch(IMAGES.train, [Place(0, index) for index in range(4)])
    torch.manual_seed(0)
    logits = torch.randn(4, 10)
    spread = torch.full((4, 10), 0.01)
    spread[torch.arange(4), batch.targets["label"]] += 0.9
    assert task.loss(lambda *_: logits, batch).item() == pytest.approx(
        -(spread * logits.log_softmax(1)).sum().item(), rel=1e-6
    )


def test_figures_are_over_all_that_is_held_out() -> None:
    task, net = bound(VIT, objective="classify", label_smoothing=0.1), model(VIT).float()
    task.open(IMAGES)
    batches = [task.batch(IMAGES.held_out, each) for each in order.held_out(30, 7)]
    with torch.no_grad():
        found = task.measure(net, batches, Processes())
        pixels = torch.cat([each.inputs["pixels"] for each in batches])
        logits = net(pixels)
    true = torch.from_numpy(IMAGES.train.columns["label"].values)
    said = logits.argmax(1)
    assert found.count == 30
    assert found.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, true).item(), rel=1e-5)
    assert found.figures["accuracy"] == pytest.approx((said == true).float().mean().item())
    assert found.figures["F1"] == pytest.approx(f1_score(true, said, average="macro"))
    assert found.figures["majority"] == pytest.approx(true.bincount().max().item() / 30)


def test_a_run_keeps_how_its_images_were_normalised() -> None:
    task = bound(VIT, objective={"type": "classify", "shift": 1})
    task.open(IMAGES)
    values = IMAGES.train.columns["image"].values
    assert task.about()["image"]["mean"] == pytest.approx([values.mean()])
    assert task.batch(IMAGES.held_out, [Place(HELD_OUT, 0)]).inputs["pixels"].shape == (1, 3, 8, 8)


def test_too_many_classes() -> None:
    task = bound(VIT, objective="classify")
    many = prepared((*NAMES, "k"), image=IMAGES.train.columns["image"], label=IMAGES.train.columns["label"])
    ((where, said),) = task.against(many)
    assert (where, said.code) == ("outputs.logits", "R804")
    assert task.against(IMAGES) == []


def test_images_of_another_size() -> None:
    other = prepared(NAMES, image=numbers(np.zeros((3, 1, 9, 9)), np.uint8), label=numbers([0, 1, 2]))
    ((where, said),) = bound(VIT, objective="classify").against(other)
    assert (where, said.code) == ("inputs.pixels", "R805")


def test_of_several_outputs_none_is_guessed() -> None:
    task, ((where, said),) = told(BERT, objective="classify")
    assert (task, where, said.code) == (None, "outputs", "R803")
    assert "`pooled` [B, 8], `scores` [B, 3], `ends` [B, T, 2]" in said.message
    assert "`train.output` says which: `pooled` or `scores`" in said.help
    assert "linear" in said.help


@pytest.mark.parametrize(
    "spec, train, where, code",
    [
        (BERT, {"output": "score"}, "train.output", "R802"),
        (BERT, {"output": "ends"}, "outputs", "R801"),
        (BERT, {"output": "scores", "inputs": {"kinds": "segments"}}, "train.inputs.kinds", "R802"),
        (BERT, {"output": "scores", "inputs": {"tokens": "source"}}, "train.inputs.tokens", "R806"),
        (BERT, {"output": "scores", "objective": {"type": "classify", "flip": True}}, "train.objective.flip", "R807"),
        (BERT.replace(", pad: 256", ""), {"output": "scores"}, "inputs.tokens", "R809"),
        (BERT, {"output": "scores", "context": 64}, "train.context", "R705"),
        (BERT.replace("segments", "kinds"), {"output": "scores"}, "inputs.kinds", "R710"),
    ],
)
def test_what_does_not_fit(spec: str, train: dict[str, object], where: str, code: str) -> None:
    task, problems = told(spec, **{"objective": "classify", **train})
    assert task is None
    assert [(at, each.code) for at, each in problems] == [(where, code)]


def test_inputs_of_other_names_are_fed_as_settings_say() -> None:
    spec = BERT.replace("segments", "kinds")
    task = bound(spec, objective="classify", output="scores", inputs={"kinds": "segments"})
    task.open(PAIRS)
    batch = task.batch(PAIRS.train, [Place(0, 2)])
    assert batch.inputs["kinds"].tolist() == [[0, 0, 1, 1, 1, 1, 1]]


def test_of_two_texts_settings_say_which_is_which() -> None:
    pair = """
tfdsl: 1
name: pair
inputs: {one: {shape: [B, S], vocab: 300, pad: 256}, two: {shape: [B, T], vocab: 300, pad: 256}}
outputs: {logits: [B, T, 300]}
model:
  encoder: [embed: {from: one, width: 8}]
  decoder: [embed: {from: two, width: 8}, attention: {heads: 2, kv: encoder}, linear: {id: logits, width: 300}]
"""
    assert told(pair, objective="seq2seq", inputs={"one": "source", "two": "target"})[0] is not None
    task, ((_, said),) = told(pair, objective="seq2seq", inputs={"one": "target", "two": "source"})
    assert (task, said.code) == (None, "R710")


def test_a_vector_is_chosen_for_texts_with_a_mask_of_another_name() -> None:
    spec = BERT.replace(", pad: 256", "").replace(
        "segments: {shape: [B, T], vocab: 2}", "real: {shape: [B, T], keeps: tokens}"
    )
    spec = spec.replace(
        "sum: [[embed: {from: tokens, width: 8}], [embed: {from: segments, width: 8}]]",
        "embed: {from: tokens, width: 8}",
    )
    task = bound(spec, objective="classify", output="scores")
    task.open(PAIRS)
    batch = task.batch(PAIRS.train, [Place(0, 2), Place(0, 0)])
    assert batch.inputs["real"].tolist() == [[1] * 7, [1] * 7]


LOADED = tokens.make(settings.Tokenizer(), [], 261, ("pad", "end"))  # as GPT-2's: neither first nor separator


def test_a_vocabulary_without_marks_is_enough_for_a_text_alone() -> None:
    task = bound(BERT, objective="classify", output="scores")
    assert task.wanted.spare == ("first", "separator")
    data = replace(
        prepared(("no", "yes", "perhaps"), text=texts("one", "", "two"), label=numbers([0, 1, 0])), tokenizer=LOADED
    )
    assert task.against(data) == []
    task.open(data)
    rows = task.batch(data.train, [Place(0, index) for index in range(3)]).inputs["tokens"]
    assert rows.tolist() == [[*b"one"], [256] * 3, [*b"two"]]
    assert task.batch(data.train, [Place(0, 1)]).inputs["tokens"].shape == (1, 1)
    ((where, said),) = task.against(replace(PAIRS, tokenizer=LOADED))
    assert (where, said.code) == ("train.tokenizer", "R751")


def test_what_is_cut_is_told() -> None:
    """Rows of 16: `one` alone takes 5, and with its second text 3 more and a mark."""
    task = bound(BERT, objective="classify", output="scores")
    data = prepared(("no", "yes", "perhaps"), text=texts("one", "x" * 14, "x" * 15), label=numbers([0, 0, 0]))
    task.open(data)
    ((where, said),) = task.remarks(data)
    assert (where, said.code) == ("train.context", "W621")
    assert said.message == "2 of 6 texts do not fit 16 positions and are cut"
    assert "17 tokens" in said.notes[0].message
    paired = prepared(("no", "yes", "perhaps"), text=texts("x" * 8), second=texts("y" * 5), label=numbers([0]))
    assert task.remarks(paired) == []
    paired = prepared(("no", "yes", "perhaps"), text=texts("x" * 8), second=texts("y" * 6), label=numbers([0]))
    assert task.remarks(paired)[0][1].message == "2 of 2 texts do not fit 16 positions and are cut"


def test_classes_that_are_held_out_alone_are_told() -> None:
    task = bound(BERT, objective="classify", output="scores")
    train = prepared(("a", "b", "c"), text=texts("x", "y"), label=numbers([1, 1]))
    data = replace(train, held_out=prepared(text=texts("x", "y", "z"), label=numbers([2, 0, 1])).train)
    task.open(data)
    ((where, said),) = task.remarks(data)
    assert (where, said.code) == ("train.data", "W622")
    assert said.message == "2 classes are among the held-out examples alone, and cannot be learnt: `a`, `c`"


def test_one_class_alone_and_classes_that_are_too_many_or_alike_are_told() -> None:
    task = bound(BERT, objective="classify", output="scores")
    one = prepared(("a", "b", "c"), text=texts("x", "y"), label=numbers([1, 1]))
    ((where, said),) = task.against(one)
    assert (where, said.code, said.help) == ("train.data.source", "R758", "give examples of another class too")
    apart = replace(one, held_out=prepared(text=texts("x"), label=numbers([0])).train)
    assert task.against(apart)[0][1].help == (
        "another class is among the held-out examples alone: hold less out, or give more examples of it"
    )
    counted = prepared(tuple("01234567"), text=texts("x", "y"), label=numbers([5, 7]))
    ((_, said),) = task.against(counted)
    assert said.notes[0].message == (
        "labels that are whole numbers are taken as the numbers of classes, from 0: `5`, `7`"
    )
    two = prepared(("Dog ", "dog"), text=texts("x", "y"), label=numbers([0, 1]))
    assert task.against(two) == []
    assert [said.code for _, said in task.remarks(two)] == ["W630", "W631"]
    many = prepared(("a", "b", "c", " a"), text=texts("x", "y"), label=numbers([0, 1]))
    ((where, said),) = task.against(many)
    assert (where, said.notes[0].message) == ("outputs.scores", "the classes are `a`, `b`, `c`, ` a`")
    assert said.help == "did you mean `a` and ` a` to be one class? Else make the last dimension of `scores` 4"
