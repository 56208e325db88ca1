"""Train from Python: a byte model learns from this project's own pages for some seconds, then writes a line."""

import tempfile
from pathlib import Path

import tfdsl

DOCS = Path(__file__).parent.parent / "docs"
SPEC = """
tfdsl: 1
name: pages
dims: {context: 64, d_model: 64}
inputs:  {tokens: {shape: [B, T], vocab: 257}}
outputs: {logits: [B, T, 257]}
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - position: {type: learned, length: context}
  - residual: [norm, attention: {heads: 4, mask: causal}]
  - residual: [norm, ffn: {hidden: 4 * d_model}]
  - norm
  - unembed: {id: logits, tie: tok}
train:
  tokenizer: {type: bytes}
  data: {source: ., files: "*.md"}
  steps: 150
  batch: 8
  threads: 1
  optimizer: {lr: 5e-3}
  schedule: {warmup: 20}
  evaluate: {final: false, batches: 4}
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run = tfdsl.train(SPEC, Path(folder, "run"), [f"train.data.source={DOCS}"])
        print(f"after step {run.checkpoint.step}:")
        print("# The " + "".join(tfdsl.sample(run, "# The ", length=120, temperature=0.7)))
