"""A run of random weights, for tests of what is written with it and not of what it says."""

from __future__ import annotations

from pathlib import Path

from torch import nn

import tfdsl
from tests.six import spread
from tfdsl import tokens
from tfdsl.run import Run
from tfdsl.settings import Sample, Tokenizer, Train
from tfdsl.training import subject
from tfdsl.training.fill import fill

SPEC = """
tfdsl: 1
name: written
dims: {vocab: 257, width: 16}
inputs: {tokens: {shape: [B, T], vocab: vocab}}
outputs: {logits: [B, T, vocab]}
defaults: {attention: {heads: 2, mask: MASK}}
model:
  - embed: {id: tok, from: tokens, width: width}
  - position: {type: learned, length: 64}
  - residual: [norm, attention]
  - residual: [norm, ffn: {hidden: 32}]
  - norm
  - unembed: {id: logits, tie: tok}
"""


def run(folder: Path, mask: str = "causal", context: int = 24, spec: str = SPEC) -> Run:
    """Return a run of random weights that reads bytes; the token behind them ends a text."""
    checked = tfdsl.check(spec.replace("MASK", mask))
    assert checked.ok, checked.diagnostics
    model: nn.Module = spread(tfdsl.build(checked), seed=3)
    tokenizer = tokens.make(Tokenizer(type="bytes"), [], 257, ["end"])
    folder.mkdir(parents=True)
    fill(folder, subject.of(checked), Train(data="stdlib", context=context), Sample(prompt="a"), tokenizer, model)
    return tfdsl.open_run(folder)
