"""contrastive: its loss by hand, over processes, and recall over all that is held out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.training.records import BERT, END, START, bound, model, numbers, prepared, summed, texts, told
from tfdsl import settings, tokens
from tfdsl.training import order
from tfdsl.training.objectives.contrastive import choices, pairs
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place

CLIP = """
tfdsl: 1
name: match
inputs:
  tokens: {shape: [N, T], vocab: 261}
  pixels: {shape: [M, 1, 4, 4], dtype: float}
outputs: {logits: [N, M]}
model:
  text:
    - embed: {from: tokens, width: 8}
    - position: {type: learned, length: 12}
    - residual: [norm: layer, attention: {heads: 2, mask: causal}]
    - pool: {type: at, of: tokens, token: highest}
    - norm: l2
  picture: [patch: {from: pixels, size: 2, width: 8}, pool: mean, norm: l2]
  match: [einsum: {id: logits, from: [text, picture], pattern: "n d, m d -> n m"}]
"""
WORDS = ["red", "green", "blue", "black", "white", "grey", "pink"]
DATA = prepared(query=texts(*WORDS), positive=texts(*(word[::-1] for word in WORDS)))
HARD = prepared(query=texts("a", "b", "c"), positive=texts("A", "B", "C"), negative=texts("B", "x", "y"))
PICTURES = prepared(
    caption=texts(*WORDS[:6], "red"),
    image=numbers(np.random.default_rng(0).integers(0, 256, (7, 1, 4, 4)), np.uint8),
)


def places(*indices: int) -> list[Place]:
    return [Place(0, index) for index in indices]


def test_the_loss_is_half_of_either_way() -> None:
    torch.manual_seed(0)
    vectors = F.normalize(torch.randn(5, 2, 4, dtype=torch.float64), dim=-1)
    keys = torch.arange(10).view(5, 2)
    scores = vectors[:, 0] @ vectors[:, 1].T / 0.05
    own = torch.arange(5)
    wanted = 0.5 * (F.cross_entropy(scores, own, reduction="none") + F.cross_entropy(scores.T, own, reduction="none"))
    assert torch.allclose(pairs(vectors, keys, 0.05), wanted, rtol=1e-12)


def test_equal_texts_are_right_too() -> None:
    torch.manual_seed(0)
    vectors = F.normalize(torch.randn(3, 2, 4, dtype=torch.float64), dim=-1)
    keys = torch.tensor([[1, 10], [2, 10], [3, 30]])  # the first two have one positive
    logs = (vectors[:, 0] @ vectors[:, 1].T / 0.1).log_softmax(1)
    backs = (vectors[:, 1] @ vectors[:, 0].T / 0.1).log_softmax(1)
    both = [(table[row, 0] + table[row, 1]) / 2 for table in (logs, backs) for row in (0, 1)]
    wanted = -0.5 * torch.stack([both[0] + both[2], both[1] + both[3], logs[2, 2] + backs[2, 2]])
    assert torch.allclose(pairs(vectors, keys, 0.1), wanted, rtol=1e-12)


def test_negatives_stand_among_the_candidates_but_not_where_they_are_right() -> None:
    task, net = bound(BERT, objective="contrastive", output="pooled"), model(BERT)
    task.open(HARD)
    batch = task.batch(HARD.train, places(0, 1, 2))
    found = task.loss(net, batch).item()
    vectors = F.normalize(net(*batch.inputs.values())["pooled"], dim=-1).view(3, 3, 8)
    ahead = vectors[0] @ torch.cat([vectors[1], vectors[2]]).T / 0.05
    ahead[1, 3] = -torch.inf  # the first one's negative is the second one's positive
    wanted = 0.5 * F.cross_entropy(ahead, torch.arange(3), reduction="sum")
    wanted += 0.5 * F.cross_entropy(vectors[1] @ vectors[0].T / 0.05, torch.arange(3), reduction="sum")
    assert found == pytest.approx(wanted.item(), rel=1e-12)


@pytest.mark.parametrize("sizes", [(3, 4), (2, 0, 5), (1, 1, 1, 4)])
@pytest.mark.parametrize("kind", ["vectors", "scores"])
def test_any_number_of_processes_have_one_loss_and_one_gradient(kind: str, sizes: tuple[int, ...]) -> None:
    spec, data = (BERT, DATA) if kind == "vectors" else (CLIP, PICTURES)
    output = {"output": "pooled"} if kind == "vectors" else {"context": 8}
    task, net = bound(spec, objective="contrastive", **output), model(spec)
    task.open(data)
    ends = np.cumsum([0, *sizes])
    shares = [places(*range(first, last)) for first, last in zip(ends, ends[1:], strict=False)]

    def act(task: object, rank: int) -> torch.Tensor:
        batch = bind.batch(data.train, shares[rank])
        batch = batch.__class__(
            {name: each.double() if each.is_floating_point() else each for name, each in batch.inputs.items()},
            batch.targets,
            batch.count,
            batch.tokens,
        )
        loss = bind.loss(net, batch)
        net.zero_grad()
        if loss.requires_grad:
            loss.backward()
        grads = [weight.grad.flatten() for weight in net.parameters() if weight.grad is not None]
        return torch.cat([loss.detach()[None], *grads]) if grads else loss.detach()[None]

    bind = task
    apart = summed(task, net, data.train, shares, act)
    width = max(len(each) for each in apart)
    total = sum(F.pad(each, (0, width - len(each))) for each in apart)
    shares = [places(*range(7))]
    whole = summed(task, net, data.train, shares, act)[0]
    assert torch.allclose(total, whole, rtol=1e-9, atol=1e-12)


def test_recall_is_over_all_that_is_held_out() -> None:
    task, net = bound(BERT, objective="contrastive", output="pooled"), model(BERT)
    task.open(DATA)
    with torch.no_grad():
        batches = [task.batch(DATA.held_out, each) for each in order.held_out(7, 3)]
        found = task.measure(net, batches, Processes())
        one = task.batch(DATA.held_out, [Place(HELD_OUT, index) for index in range(7)])
        queries, positives = F.normalize(net(*one.inputs.values())["pooled"], dim=-1).view(2, 7, 8)
        ranks = 1 + ((queries @ positives.T) > (queries * positives).sum(1, keepdim=True) + 1e-12).sum(1)
        losses = sum(task.loss(net, batch).item() for batch in batches)
    assert found.count == 7
    assert found.loss == pytest.approx(losses / 7)
    assert found.figures["recall at 1"] == pytest.approx((ranks == 1).double().mean().item())
    assert found.figures["recall at 5"] == pytest.approx((ranks <= 5).double().mean().item())
    assert found.figures["recall at 10"] == 1
    assert found.figures["mean reciprocal rank"] == pytest.approx((1 / ranks.double()).mean().item())


def test_recall_counts_each_negative_once_among_the_candidates() -> None:
    """`B` is a positive of another query, and so no further candidate; `x` and `y` are."""
    task, net = bound(BERT, objective="contrastive", output="pooled"), model(BERT)
    task.open(HARD)
    with torch.no_grad():
        found = task.measure(net, [task.batch(HARD.held_out, each) for each in order.held_out(3, 2)], Processes())
        one = task.batch(HARD.held_out, [Place(HELD_OUT, index) for index in range(3)])
        vectors = F.normalize(net(*one.inputs.values())["pooled"], dim=-1).view(3, 3, 8)
    all_ = torch.cat([vectors[1], vectors[2, 1:]])  # A, B, C; x, y
    scores = vectors[0] @ all_.T
    ranks = 1 + (scores > scores.diagonal().unsqueeze(1) + 1e-12).sum(1)
    assert found.figures["recall at 1"] == pytest.approx((ranks == 1).double().mean().item())
    assert found.figures["mean reciprocal rank"] == pytest.approx((1 / ranks.double()).mean().item())
    keys = torch.tensor([[0, 10, 20], [1, 11, 10], [2, 12, 20]])
    candidates, more = choices(torch.arange(6.0).view(3, 2, 1), keys)
    assert (candidates.flatten().tolist(), more) == ([0, 2, 4, 1], 1)


def test_scores_are_the_models_own() -> None:
    task, net = bound(CLIP, objective="contrastive", context=8), model(CLIP).float()
    task.open(PICTURES)
    assert task.wanted.marks == ("start", "end")
    batch = task.batch(PICTURES.train, places(0, 1, 6))
    assert batch.inputs["tokens"][0].tolist() == [START, *b"red", END, 256, 256, 256]
    scores = net(*batch.inputs.values())
    target = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])  # the first and the last have one caption
    wanted = -0.5 * (target * (scores.log_softmax(1) + scores.T.log_softmax(1))).sum()
    assert task.loss(net, batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_recall_of_scores() -> None:
    task, net = bound(CLIP, objective="contrastive", context=8), model(CLIP).float()
    task.open(PICTURES)
    with torch.no_grad():
        found = task.measure(net, [task.batch(PICTURES.held_out, each) for each in order.held_out(7, 3)], Processes())
        one = task.batch(PICTURES.held_out, [Place(HELD_OUT, index) for index in range(7)])
        scores = net(*one.inputs.values())
    right = torch.eye(7).bool()
    right[0, 6] = right[6, 0] = True
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    ranks = 1 + ((scores > best) & ~right).sum(1)
    assert found.figures["mean reciprocal rank"] == pytest.approx((1 / ranks.double()).mean().item())


@pytest.mark.parametrize(
    "spec, train, where, code",
    [
        (BERT, {}, "outputs", "R803"),
        (CLIP, {"objective": {"type": "contrastive", "temperature": 0.1}}, "train.objective.temperature", "R807"),
        (
            CLIP.replace("pixels: {shape: [M,", "pixels: {shape: [N,")
            .replace("[N, M]", "[N, N]")
            .replace("m d ->", "m d ->"),
            {},
            "outputs",
            "R801",
        ),
    ],
)
def test_what_does_not_fit(spec: str, train: dict[str, object], where: str, code: str) -> None:
    task, problems = told(spec, **{"objective": "contrastive", "context": 8, **train})
    assert task is None
    assert [(at, each.code) for at, each in problems] == [(where, code)]


def test_a_pool_at_a_token_that_is_in_no_text() -> None:
    """Of a vocabulary that was trained the highest token is a piece of a word; of bytes with marks, the last mark."""
    task = bound(CLIP, objective="contrastive", context=12)
    assert task.against(PICTURES) == []
    made = tokens.make(settings.Tokenizer(type="bpe"), WORDS, 261, ("start", "end"))
    ((where, said),) = task.against(replace(PICTURES, tokenizer=made))
    assert (where, said.code) == ("train.tokenizer", "R872")
    end = tokens.marks(made).end
    assert said.help == f"write `token: {end}` at the pool"
    shown = bound(CLIP.replace("highest", str(end)), objective="contrastive", context=12)
    assert shown.against(replace(PICTURES, tokenizer=made)) == []
    assert [each.code for _, each in shown.against(PICTURES)] == ["R872"]


def test_texts_that_are_cut_are_told() -> None:
    task = bound(BERT, objective="contrastive", output="pooled")
    data = prepared(query=texts("a", "b" * 20), positive=texts("c" * 30, "d" * 14))
    task.open(data)
    ((where, said),) = task.remarks(data)
    assert (where, said.code) == ("train.context", "W621")
    assert said.message == "4 of 8 texts do not fit 16 positions and are cut"
    assert said.notes[0].message == "too long are 2 `query`, 2 `positive`; the longest, with its marks, has 32 tokens"


@pytest.mark.parametrize(
    ("rows", "positive", "codes"), [(1, WORDS, ["R758"]), (2, ["x"] * 7, ["R758"]), (2, WORDS, [])]
)
def test_what_nothing_is_told_from_is_refused(rows: int, positive: list[str], codes: list[str]) -> None:
    """A pass of one example has no other; where all texts are equal, each belongs to all. A `negative` is enough."""
    task = bound(BERT, objective="contrastive", output="pooled", batch=rows)
    data = prepared(query=texts(*WORDS), positive=texts(*positive))
    assert [said.code for _, said in task.against(data)] == codes
    assert task.against(HARD) == []


def test_a_pass_of_one_text_and_its_image_is_refused() -> None:
    task = bound(CLIP, objective="contrastive", context=12, batch=1)
    assert [(where, said.code) for where, said in task.against(PICTURES)] == [("train.batch", "R758")]
