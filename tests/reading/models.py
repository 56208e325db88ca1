"""Small models to ask, their weights drawn and not trained, in float64 so that a mistake shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import tfdsl
from tfdsl import settings, tokens
from tfdsl.reading.trained import Trained
from tfdsl.run import Run
from tfdsl.training import subject
from tfdsl.training.fill import fill

WORDS = """
tfdsl: 1
name: words
inputs: {tokens: {shape: [B, T], vocab: 270, pad: 256}, segments: {shape: [B, T], vocab: 2}}
outputs: {logits: [B, T, 270]}
model:
  - sum: [[embed: {id: tok, from: tokens, width: 16}], [embed: {from: segments, width: 16}]]
  - position: {type: learned, length: 40}
  - residual: [norm: layer, attention: {heads: 2}]
  - residual: [norm: layer, ffn: {hidden: 32}]
  - unembed: {id: logits, tie: tok}
train: {objective: masked_token, context: 40}
"""
GPT = """
tfdsl: 1
name: gpt
inputs: {tokens: {shape: [B, T], vocab: 270}}
outputs: {logits: [B, T, 270]}
model:
  - embed: {id: tok, from: tokens, width: 16}
  - position: {type: learned, length: 40}
  - residual: [norm: layer, attention: {heads: 2, mask: causal}]
  - unembed: {id: logits, tie: tok}
train: {context: 8}
"""
PAIRS = """
tfdsl: 1
name: pairs
inputs:
  source: {shape: [B, S], vocab: 270, pad: 256}
  target: {shape: [B, T], vocab: 270, pad: 256}
outputs: {logits: [B, T, 270]}
defaults: {norm: rms, attention: {heads: 2}}
model:
  encoder:
    - embed: {id: tok, from: source, width: 16}
    - residual: [norm, attention: {position: rope}]
  decoder:
    - embed: {from: target, tie: tok}
    - residual: [norm, attention: {mask: causal, position: rope}]
    - residual: [norm, attention: {kv: encoder}]
    - unembed: {id: logits, tie: tok}
train: {objective: seq2seq, context: 30}
"""
CLASSES = """
tfdsl: 1
name: classes
inputs: {tokens: {shape: [B, T], vocab: 270, pad: 256}}
outputs: {scores: [B, 3]}
model:
  - embed: {from: tokens, width: 16}
  - residual: [norm: layer, attention: {heads: 2, position: rope}]
  - pool: mean
  - linear: {id: scores, width: 3}
train: {objective: classify, context: 12}
"""
PICTURES = """
tfdsl: 1
name: pictures
inputs: {pixels: {shape: [B, 3, 4, 4], dtype: float}}
outputs: {scores: [B, 3]}
model:
  - patch: {from: pixels, size: 2, width: 8}
  - pool: mean
  - linear: {id: scores, width: 3}
train: {objective: classify}
"""
MATCHED = """
tfdsl: 1
name: matched
inputs:
  tokens: {shape: [N, T], vocab: 270}
  pixels: {shape: [M, 1, 4, 4], dtype: float}
outputs: {logits: [N, M]}
model:
  words:
    - embed: {from: tokens, width: 8}
    - position: {type: learned, length: 12}
    - residual: [norm: layer, attention: {heads: 2, mask: causal}]
    - pool: {type: at, of: tokens, token: highest}
    - norm: l2
  picture: [patch: {from: pixels, size: 2, width: 8}, pool: mean, norm: l2]
  match: [einsum: {id: logits, from: [words, picture], pattern: "n d, m d -> n m"}]
train: {objective: contrastive, context: 12}
"""
MARKS = ("pad", "mask", "first", "separator", "start", "end")


def asked(spec: str, marks: Sequence[str] = MARKS, pad: int | None = None, **about: Any) -> Trained:
    """Return a spec's model with drawn weights and a tokenizer of bytes that has the marks."""
    torch.manual_seed(0)
    checked = tfdsl.check(spec)
    assert checked.ok, checked.diagnostics
    model = tfdsl.build(checked).double().eval().requires_grad_(False)
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight) * 0.3)
    tokenizer = tokens.make(settings.Tokenizer(), (), 270, marks, pad=pad)
    return Trained(checked, model, checked.train, tokenizer, True, about)


def kept(folder: Path, spec: str, marks: Sequence[str] = MARKS, pad: int | None = None, **about: Any) -> Run:
    """Return a run of a spec's model as it is, with what its settings would say of the data."""
    folder.mkdir()
    trained = asked(spec, marks, pad)
    fill(
        folder, subject.of(trained.checked), trained.train, settings.Sample(), trained.tokenizer, trained.model.float()
    )
    said = json.loads((folder / "settings.json").read_text())
    said["model"] |= about
    (folder / "settings.json").write_text(json.dumps(said))
    return tfdsl.open_run(folder)
