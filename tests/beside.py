"""The files that the pages of errors speak of, and the commands that they run."""

from __future__ import annotations

import io
import os
import re
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from tfdsl import cli

HEAD = "tfdsl: 1\nname: {}\ndims: {{vocab: 256, d_model: 64}}\n"
MODEL = """\
inputs: {tokens: {shape: [B, T], vocab: vocab}}
outputs: {logits: [B, T, vocab]}
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - position: {type: learned, length: 32}
  - residual: [norm: rms, attention: {heads: 4, mask: causal}]
  - unembed: {id: logits, tie: tok}
"""
TRAIN = "train: {data: text.txt, steps: 2, batch: 2, context: 16, threads: 1, evaluate: {batches: 1}, clip: 0}\n"
IMAGES = """\
tfdsl: 1
name: images
inputs: {pixels: {shape: [B, 3, 8, 8], dtype: float}}
outputs: {logits: [B, 10]}
model:
  - patch: {from: pixels, size: 4, width: 16}
  - pool: mean
  - linear: {id: logits, width: 10}
train: {data: text.txt}
"""
BRANCH = "    - residual: [norm: rms, ffn: {hidden: 256, activation: gelu}]\n"
FILES = {
    "base.yaml": HEAD.format("base") + MODEL,
    "parts.yaml": "tfdsl: 1\nname: parts\nblocks:\n  branch:\n" + BRANCH,
    "gpt2.yaml": "tfdsl: 1\n",
    "gpt.yaml": HEAD.format("gpt") + MODEL + TRAIN,
    "images.yaml": IMAGES,
    "text.txt": "The quick brown fox jumps over the lazy dog.\n" * 40,
    "short.txt": "The quick brown fox.\n",
}
SAID = re.compile(r"^(?:error|warning|note)\[[A-Z]\d{3}\].*?(?=^\n|\Z|^[a-z]+ after )", re.MULTILINE | re.DOTALL)


def lay(folder: Path) -> None:
    """Write the files into `folder`."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "latin.txt").write_bytes("Montréal".encode("latin-1"))


def run(script: str, folder: Path) -> str:
    """Run the lines of `script` in `folder`, `tfdsl` in this process, and return what the last says of errors."""
    said = ""
    with chdir(folder):
        for line in script.splitlines():
            command, words = line.split(" ", 1)[0], _words(line)
            if command != "tfdsl":
                subprocess.run(line, shell=True, check=True, env=dict(os.environ))
                continue
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                cli.main(words)
            said = "".join(SAID.findall(err.getvalue() or out.getvalue()))
    return said


def _words(line: str) -> list[str]:
    return [word.strip("'\"") for word in re.findall(r"\"[^\"]*\"|'[^']*'|\S+", line)][1:]
