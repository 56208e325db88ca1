"""The loss that makes a head's scores in chunks: equal to the plain one, and where a head may be left to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import tfdsl
from tests.training.gpt import GPT
from tfdsl import heads
from tfdsl.heads import Head, Headed, Unscored
from tfdsl.training import crossentropy, head
from tfdsl.training.crossentropy import IGNORED, summed

SPECS = Path(__file__).parent.parent.parent / "specs"
HEAD = "dims: {words: 11, width: 8}\ninputs: {tokens: {shape: [B, T], vocab: words}}\nmodel:\n"


def weights(dtype: torch.dtype = torch.float64, bias: bool = True) -> tuple[Tensor, Tensor, Tensor | None]:
    draw = torch.Generator().manual_seed(0)
    x, weight, offset = (torch.randn(*size, generator=draw).to(dtype) for size in ((3, 7, 5), (11, 5), (11,)))
    return x.requires_grad_(), weight.requires_grad_(), offset.requires_grad_() if bias else None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_chunks_are_the_definition(
    monkeypatch: pytest.MonkeyPatch, bias: bool, smoothing: float, z_loss: float, share: float
) -> None:
    monkeypatch.setattr(crossentropy, "CHUNK", 44)  # four rows at a time
    x, weight, offset = weights(bias=bias)
    draw = torch.Generator().manual_seed(1)
    targets = torch.randint(11, (3, 7), generator=draw)
    targets[torch.rand(3, 7, generator=draw) < share] = IGNORED
    log = F.linear(x, weight, offset).log_softmax(-1)
    z = F.linear(x, weight, offset).logsumexp(-1)
    spread = torch.full((3, 7, 11), smoothing / 11, dtype=x.dtype)
    spread.scatter_add_(2, targets.clamp(min=0)[..., None], torch.full((3, 7, 1), 1 - smoothing, dtype=x.dtype))
    wanted = ((z_loss * z.square() - (spread * log).sum(-1)) * (targets != IGNORED)).sum()
    learnt = [each for each in (x, weight, offset) if each is not None]
    expected = torch.autograd.grad(0.3 * wanted, learnt)
    for given in (Unscored(x, weight, offset), Unscored(x, weight, offset).scores()):
        found = summed(given, targets, smoothing, z_loss)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        for own, theirs in zip(torch.autograd.grad(0.3 * found, learnt), expected, strict=True):
            torch.testing.assert_close(own, theirs, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert summed(Unscored(x, weight, offset), targets, smoothing, z_loss).item() == pytest.approx(wanted.item())


def test_in_bfloat16_chunks_round_as_the_plain_loss_does(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, offset = weights(torch.float32)
    assert offset is not None
    targets = torch.arange(21).view(3, 7) % 11
    found: list[tuple[Tensor, ...]] = []
    for chunk in (1 << 24, 44):
        monkeypatch.setattr(crossentropy, "CHUNK", chunk)
        with torch.autocast("cpu", torch.bfloat16):
            loss = summed(Unscored(x, weight, offset), targets)
        found.append((loss.detach(), *torch.autograd.grad(loss / 21, (x, weight, offset))))
        assert [each.dtype for each in found[-1]] == [torch.float32] * 4
    for plain, chunked in zip(*found, strict=True):
        torch.testing.assert_close(chunked, plain, rtol=0.01, atol=0.002)


def test_a_weight_that_is_not_trained_costs_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossentropy, "CHUNK", 44)
    x, weight, offset = weights()
    summed(Unscored(x, weight.detach(), offset), torch.zeros(3, 7, dtype=torch.long)).backward()
    assert x.grad is not None
    assert weight.grad is None


def test_a_second_pass_backward_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossentropy, "CHUNK", 44)
    loss = summed(Unscored(*weights()), torch.zeros(3, 7, dtype=torch.long))
    loss.backward(torch.tensor(2.0), retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def test_a_model_is_called_as_it_was_and_keeps_its_weights() -> None:
    model = GPT(11)
    names, inputs = list(model.state_dict()), torch.arange(10).view(2, 5)
    before = model(inputs)
    headed = heads.leave(model, Head("logits", "head"), model)
    assert isinstance(headed, Headed)
    given = head.given(headed, {"tokens": inputs}, "logits")
    assert isinstance(given, Unscored)
    assert given.weight_VD is model.tok.weight
    assert torch.equal(given.scores(), before)
    assert torch.equal(model(inputs), before)
    assert torch.equal(headed(inputs), before)
    assert list(model.state_dict()) == names
    assert heads.leave(model, None, model) is model
    assert heads.leave(model, Head("logits", "norm"), model) is model


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns of what it does itself
def test_a_compiled_model_leaves_its_head_too() -> None:
    model = GPT(11)
    called = torch.compile(model, backend="eager", fullgraph=True)
    headed = heads.leave(model, Head("logits", "head"), called)
    inputs = {"tokens": torch.arange(10).view(2, 5)}
    given = head.given(headed, inputs, "logits")
    assert isinstance(given, Unscored)
    torch.testing.assert_close(given.scores(), headed(*inputs.values()))


@pytest.mark.parametrize(
    ("pipe", "found"),
    [
        (["embed: {id: tok, from: tokens, width: width}", "unembed: {id: logits, tie: tok}"], True),
        (["embed: {from: tokens, width: width}", "unembed: {id: logits, width: words, bias: true}"], True),
        (["embed: {from: tokens, width: width}", "unembed: {width: words}", "softcap: {id: logits, cap: 30}"], False),
        (["embed: {from: tokens, width: width}", "linear: {id: logits, width: words}"], False),
        (["embed: {from: tokens, width: words}", "residual: {id: logits, body: [unembed: {width: words}]}"], False),
    ],
)
def test_a_head_is_an_unembedding_whose_result_is_the_output(pipe: list[str], found: bool) -> None:
    nodes = "".join(f"  - {each}\n" for each in pipe)
    checked = tfdsl.check(f"tfdsl: 1\nname: small\noutputs: {{logits: [B, T, words]}}\n{HEAD}{nodes}")
    assert checked.ok, [each.message for each in checked.diagnostics]
    assert heads.of(checked) == (Head("logits", "logits") if found else None)


def test_a_head_that_something_else_reads_is_kept() -> None:
    text = """
tfdsl: 1
name: small
inputs: {tokens: {shape: [B, T], vocab: 11}}
outputs: {logits: [B, T, 11], score: [B, T, 1]}
model:
  words:
    - embed: {from: tokens, width: 8}
    - unembed: {id: logits, width: 11}
  judge:
    - linear: {id: score, from: words, width: 1}
"""
    checked = tfdsl.check(text)
    assert checked.ok, [each.message for each in checked.diagnostics]
    assert heads.of(checked) is None


@pytest.mark.parametrize("name", ["gpt2", "bert", "t5", "gemma2_9b", "vit", "llama2_7b"])
def test_heads_of_published_specs(name: str) -> None:
    known = {"gpt2": "logits", "bert": "word.logits", "t5": "decoder.logits", "llama2_7b": "logits"}
    found = heads.of(tfdsl.check(SPECS / f"{name}.yaml"))
    assert (found and found.module) == known.get(name)
