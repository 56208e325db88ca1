"""The emitted text of a model whose rows hold several documents."""

from __future__ import annotations

from pathlib import Path

import tfdsl

GOLDEN = Path(__file__).parent / "golden" / "packed.py"
SPEC = """tfdsl: 1
name: packed
about: A decoder whose rows hold several documents
dims: {d_model: 64, vocab: 256}
inputs:
  tokens: {shape: [B, T], vocab: vocab}
  documents: {shape: [B, T], parts: tokens}
outputs: {logits: [B, T, vocab]}
blocks:
  layer:
    params: {mask: causal}
    body:
      - residual: [norm: rms, attention: {heads: 4, mask: $mask, position: rope}]
      - residual: [norm: rms, ffn: {hidden: 4 * d_model}]
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - position: {type: learned, length: 128}
  - repeat: {block: layer, times: 2, vary: {mask: {cycle: [{type: chunked, size: 16}, causal]}}}
  - norm: rms
  - unembed: {id: logits, tie: tok}
"""


def test_golden(accept: bool) -> None:
    checked = tfdsl.check(SPEC)
    assert not checked.diagnostics
    text = tfdsl.compile(checked)
    if accept:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
