"""Two rows that hold documents, of which the n-th of one reads the n-th of the other: encoder and decoder, packed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tfdsl
from tests.six import spread

SPEC = """
tfdsl: 1
name: pairs
inputs:
  source: {{shape: [B, S], vocab: 40{pad}}}
  target: {{shape: [B, T], vocab: 40}}
{documents}
outputs: {{logits: [B, T, 40]}}
model:
  encoder:
    - embed: {{id: tok, from: source, width: 16}}
    - residual: [norm, attention: {{heads: 4, position: {{type: t5, share: encoder}}}}]
    - residual: [norm, attention: {{heads: 4, position: rope}}]
  decoder:
    - embed: {{from: target, tie: tok}}
    - residual: [norm, attention: {{heads: 4, mask: causal, position: {{type: t5, share: decoder}}}}]
    - residual: [norm, attention: {{heads: 4, kv: encoder{cross}}}]
    - residual: [norm, ffn: 24]
    - unembed: {{id: logits, tie: tok}}
"""
DOCUMENTS = "  chapters: {shape: [B, S], parts: source}\n  answers: {shape: [B, T], parts: target}"
CROSS = {"plain": "", "softcap": ", softcap: 5", "sinks": ", sinks: zero", "grouped": ", kv_heads: 2"}
PAIRS = [[(3, 5), (7, 2), (1, 4)], [(6, 1), (4, 9)]]  # the lengths of source and target, in each of two rows


def models(cross: str, pad: str = "") -> tuple[Any, Any]:
    """Return a model with documents and one without, of the same weights."""
    texts = [SPEC.format(cross=CROSS[cross], pad=pad, documents=each) for each in (DOCUMENTS, "")]
    packed, plain = (spread(tfdsl.build(tfdsl.check(text))).double().eval() for text in texts)
    plain.load_state_dict(packed.state_dict())
    return packed, plain


def rows() -> tuple[torch.Tensor, ...]:
    """Return sources and targets in rows of 12, and the numbers of their documents; 0 is the filling behind them."""
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randint(1, 40, (2, 12), generator=generator) for _ in range(2))
    chapters, answers = torch.zeros_like(source), torch.zeros_like(target)
    for row, pairs in enumerate(PAIRS):
        for side, numbers in enumerate((chapters, answers)):
            sizes = torch.tensor([pair[side] for pair in pairs])
            numbers[row, : sizes.sum()] = torch.arange(1, len(pairs) + 1).repeat_interleave(sizes)
    return source * (chapters > 0), target * (answers > 0), chapters, answers


@pytest.mark.parametrize("pad", ["", ", pad: 0"])
@pytest.mark.parametrize("cross", CROSS)
def test_each_pair_gives_and_teaches_what_it_does_alone(cross: str, pad: str) -> None:
    packed, plain = models(cross, pad)
    source, target, chapters, answers = rows()
    together = packed(source, target, chapters, answers)
    assert together.isfinite().all()
    (together.square() * (answers > 0).unsqueeze(-1)).sum().backward()
    for row, pairs in enumerate(PAIRS):
        for number in range(1, len(pairs) + 1):
            here = answers[row] == number
            alone = plain(source[row : row + 1, chapters[row] == number], target[row : row + 1, here])
            torch.testing.assert_close(together[row : row + 1, here], alone, rtol=1e-11, atol=1e-11)
            alone.square().sum().backward()
    for ours, theirs in zip(packed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-10)


@torch.no_grad()
def test_pairs_go_on_with_a_cache_and_are_told_of_on_both_sides() -> None:
    packed, plain = models("plain", ", pad: 0")
    source, target, chapters, answers = rows()
    together, kept = packed(source, target, chapters, answers), packed.new_cache(12)
    pieces = zip(target.split([5, 1, 6], 1), answers.split([5, 1, 6], 1), strict=True)
    found = [packed(source, part, chapters, told, cache=kept) for part, told in pieces]
    torch.testing.assert_close(torch.cat(found, 1), together, rtol=1e-11, atol=1e-11)
    assert torch.equal(packed(source, target), plain(source, target))
    with pytest.raises(ValueError, match="on both sides, or on none"):
        packed(source, target, None, answers)


def test_one_side_alone_is_refused() -> None:
    for side in DOCUMENTS.split("\n"):
        found = tfdsl.check(SPEC.format(cross="", pad="", documents=side))
        assert [each.code for each in found.diagnostics if each.severity == "error"] == ["T283"]
