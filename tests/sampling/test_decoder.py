"""A causal model as a reader: prompts in pieces, scores of the last positions alone, places to go back to."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import tfdsl
from tests.six import spread
from tfdsl import heads
from tfdsl.sampling.decoder import Decoder
from tfdsl.sampling.kept import Kept

SPEC = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 50}}
outputs: {logits: [B, T, 50]}
model:
  - embed: {id: tok, from: tokens, width: 16}
  - residual: [norm, attention: {heads: 2, mask: MASK, position: rope}]
  - residual: [norm, MIXER]
  - unembed: {id: SCORES, width: 50}
  TAIL
"""
MIXERS = {"attention": "ffn: {hidden: 8}", "recurrent": "gated_delta: {heads: 2, key_dim: 4}", "conv": "short_conv: 3"}
TEXT = torch.randint(50, (3, 20), generator=torch.Generator().manual_seed(0))


@cache
def made(mixer: str = "attention", mask: str = "causal", capped: bool = False) -> tuple[Any, Decoder]:
    """Return a model, and what reads with it 4 positions at a time."""
    names = ("hidden", "- softcap: {id: logits, cap: 5}") if capped else ("logits", "")
    text = SPEC.replace("MASK", mask).replace("MIXER", MIXERS[mixer]).replace("SCORES", names[0])
    checked = tfdsl.check(text.replace("TAIL", names[1]))
    assert checked.ok, checked.diagnostics
    model: Any = spread(tfdsl.build(checked)).eval().requires_grad_(False)
    return model, Decoder(model, heads.leaving(model, heads.narrowed(checked)), prefill=4)


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("mask", ["causal", "{type: sliding, window: 3}"])
@pytest.mark.parametrize("last", [1, 3, 6])
def test_pieces_are_the_whole(mixer: str, mask: str, last: int) -> None:
    model, opener = made(mixer, mask)
    wanted = model(TEXT)
    reader, logits_BV = opener(TEXT[:, :7].tolist(), 20)
    torch.testing.assert_close(logits_BV, wanted[:, 6])
    torch.testing.assert_close(reader.read(TEXT[:, 7:16], last), wanted[:, 16 - last : 16])
    torch.testing.assert_close(reader.read(TEXT[:, 16:17]), wanted[:, 16:17])
    assert (reader.rows, reader.left) == (3, 3)


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("mask", ["causal", "{type: sliding, window: 3}"])
@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_what_is_forgotten_leaves_no_trace(mixer: str, mask: str, count: int) -> None:
    model, opener = made(mixer, mask)
    reader, _ = opener(TEXT[:, :5].tolist(), 20)
    reader.mark()
    reader.read(TEXT[:, 5:12] + 1 - 2 * (TEXT[:, 5:12] == 49).long(), 3)
    reader.read(TEXT[:, 12:13])
    reader.back(count)
    seen = torch.cat((TEXT[:, :5], TEXT[:, 5:12] + 1 - 2 * (TEXT[:, 5:12] == 49).long(), TEXT[:, 12:13]), 1)
    text = torch.cat((seen[:, : 13 - count], TEXT[:, :4]), 1)
    assert reader.left == 20 - 13 + count
    torch.testing.assert_close(reader.read(TEXT[:, :4], 4), model(text)[:, -4:])


@pytest.mark.parametrize("mixer", MIXERS)
def test_rows_are_picked_left_out_and_repeated(mixer: str) -> None:
    model, opener = made(mixer)
    reader, _ = opener(TEXT[:, :5].tolist(), 20)
    rows = torch.tensor([2, 0, 2, 2])
    reader.pick(rows)
    assert reader.rows == 4
    following_B1 = TEXT[[0, 1, 2, 0], 5:6]
    torch.testing.assert_close(reader.read(following_B1), model(torch.cat((TEXT[rows, :5], following_B1), 1))[:, -1:])


@pytest.mark.parametrize("capped", [False, True])
def test_scores_are_made_for_the_last_positions_alone(capped: bool) -> None:
    model, opener = made.__wrapped__(capped=capped)
    scored: list[tuple[int, ...]] = []
    linear = model.hidden if capped else model.logits
    linear.register_forward_hook(lambda *held: scored.append(tuple(held[2].shape)))
    reader, logits_BV = opener(TEXT[:, :10].tolist(), 20)
    reader.read(TEXT[:, 10:17], 2)
    assert scored == [(3, 1, 50), (3, 1, 50), (3, 1, 50), (3, 1, 50), (3, 2, 50)]
    torch.testing.assert_close(logits_BV, model(TEXT[:, :10])[:, -1])


def test_a_prefix_that_sees_all_of_itself_is_read_at_once() -> None:
    model, opener = made(mask="{type: prefix, length: 6}")
    reader, logits_BV = opener(TEXT[:, :9].tolist(), 20)
    torch.testing.assert_close(logits_BV, model(TEXT[:, :9])[:, -1])
    reader, logits_BV = opener(TEXT[:, :3].tolist(), 20)
    for end in range(4, 10):
        torch.testing.assert_close(reader.read(TEXT[:, end - 1 : end])[:, 0], model(TEXT[:, :end])[:, -1])


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_kept_reader_reads_what_is_new(mixer: str) -> None:
    model, opener = made.__wrapped__(mixer)
    read: list[int] = []
    forward = model.forward

    def counted(tokens_BT: Tensor, **rest: Any) -> Tensor:
        read.append(tokens_BT.size(1))
        return forward(tokens_BT, **rest)

    model.forward = counted
    kept, row = Kept(opener, 20), TEXT[0].tolist()
    for tokens, most in (
        (row[:12], 12),
        ([*row[:12], 3, 4], 2 + 8),
        ([*row[:9], 1, 2, 3, 4], 4 + 8),  # the last tokens of the text before are others now
        ([*row[:2], 7], 3),  # another text
        (row, 20),
    ):
        read.clear()
        reader, logits_BV = kept([tokens], len(tokens) + 1)
        assert sum(read) <= most
        torch.testing.assert_close(logits_BV[0], forward(torch.tensor([tokens]))[0, -1])
        following = reader.read(torch.tensor([[5]]))[0, 0] if len(tokens) < 20 else None
        if following is not None:
            torch.testing.assert_close(following, forward(torch.tensor([[*tokens, 5]]))[0, -1])
