"""The files that the pages of errors speak of, and the commands that they run."""

from __future__ import annotations

import atexit
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np

from tfdsl import cli, settings, tokens

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
TOKENS = "inputs: {tokens: {shape: [B, T], vocab: vocab}}\n"
PACKED = TOKENS.replace("}}", "}, documents: {shape: [B, T], parts: tokens}}")
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
PAIRS = """\
tfdsl: 1
name: pairs
dims: {vocab: 262}
inputs:
  source: {shape: [B, S], vocab: vocab, pad: 0}
  target: {shape: [B, T], vocab: vocab, pad: 0}
outputs: {logits: [B, T, vocab]}
defaults: {norm: rms, attention: {heads: 2}}
model:
  encoder:
    - embed: {id: tok, from: source, width: 16}
    - residual: [norm, attention]
  decoder:
    - embed: {from: target, tie: tok}
    - residual: [norm, attention: {mask: causal}]
    - residual: [norm, attention: {kv: encoder}]
    - unembed: {id: logits, tie: tok}
train:
  objective: seq2seq
  data: pairs.jsonl
  steps: 2
  batch: 2
  context: 32
  threads: 1
  clip: 0
"""
MARKED = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": at, "content": piece, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for at, piece in enumerate(("<pad>", "</s>", "<extra_id_0>"))
    ],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "BPE",
        "vocab": {piece: at for at, piece in enumerate(("<pad>", "</s>", "<extra_id_0>", *"abcdefghij"))},
        "merges": [],
    },
}
BRANCH = "    - residual: [norm: rms, ffn: {hidden: 256, activation: gelu}]\n"
LLAMA = """\
tfdsl: 1
name: small
dims: {vocab: 256, d_model: 8, d_ff: 16}
inputs: {tokens: {shape: [B, T], vocab: vocab}}
outputs: {logits: [B, T, vocab]}
defaults:
  norm: {type: rms, eps: 1e-6}
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - residual: [norm: {id: before}, attention: {heads: 2, mask: causal, position: rope}]
  - residual: [norm: {id: between}, ffn: {hidden: d_ff, activation: swiglu}]
  - norm: {id: last}
  - unembed: {id: logits, width: vocab}
weights:
  map:
    tok.weight: model.embed_tokens.weight
    before.weight: model.layers.0.input_layernorm.weight
    attention.qkv.weight:
      - model.layers.0.self_attn.q_proj.weight
      - model.layers.0.self_attn.k_proj.weight
      - model.layers.0.self_attn.v_proj.weight
    attention.out.weight: model.layers.0.self_attn.o_proj.weight
    between.weight: model.layers.0.post_attention_layernorm.weight
    ffn.up.weight: [model.layers.0.mlp.gate_proj.weight, model.layers.0.mlp.up_proj.weight]
    ffn.down.weight: model.layers.0.mlp.down_proj.weight
    last.weight: model.norm.weight
    logits.weight: lm_head.weight
"""
BERT = """\
tfdsl: 1
name: bert
inputs: {tokens: {shape: [B, T], vocab: 259, pad: 256}}
outputs: {scores: [B, 2], pooled: [B, 16]}
model:
  body:
    - embed: {from: tokens, width: 16}
    - position: {type: learned, length: 32}
    - pool: {id: pooled, type: first}
  head: [linear: {id: scores, from: pooled, width: 2}]
train:
  {objective: classify, output: scores, data: pets.jsonl, steps: 2, batch: 2, context: 16, threads: 1, clip: 0}
"""
MASKED_WORDS = """\
tfdsl: 1
name: words
inputs: {tokens: {shape: [B, T], vocab: 260, pad: 256}}
outputs: {logits: [B, T, 260]}
model:
  - embed: {id: tok, from: tokens, width: 16}
  - residual: [norm: rms, attention: {heads: 2, position: rope}]
  - unembed: {id: logits, tie: tok}
train: {objective: masked_token, data: text.txt, steps: 2, batch: 2, context: 16, threads: 1, evaluate: {batches: 1}}
"""
MATCHED = """\
tfdsl: 1
name: matched
inputs:
  tokens: {shape: [N, T], vocab: 259}
  pixels: {shape: [M, 1, 16, 16], dtype: float}
outputs: {logits: [N, M]}
model:
  words:
    - embed: {from: tokens, width: 8}
    - pool: first
  picture:
    - patch: {from: pixels, size: 8, width: 8}
    - pool: first
  match:
    - einsum: {id: logits, from: [words, picture], pattern: "n d, m d -> n m"}
train: {objective: contrastive, data: {source: captions, size: 20}, steps: 2, batch: 2, context: 8, threads: 1}
"""
TONES = """\
tfdsl: 1
name: tones
inputs:
  sound:  {shape: [B, 80, 64], dtype: float}
  target: {shape: [B, T], vocab: 262}
outputs: {logits: [B, T, 262]}
model:
  encoder: [rearrange: {from: sound, pattern: b c t -> b t c}, linear: 16]
  decoder:
    - embed: {from: target, width: 16}
    - residual: [attention: {heads: 2, mask: causal}]
    - residual: [attention: {heads: 2, kv: encoder}]
    - linear: {id: logits, width: 262}
train: {objective: seq2seq, data: {source: tones, size: 20}, steps: 2, batch: 2, context: 16, threads: 1}
"""
PETS = ({"text": "It barks.", "label": "dog"}, {"text": "It purrs.", "label": "cat"})
ASIDE = """\
tfdsl: 1
name: aside
dims: {vocab: 256, d_model: 32}
inputs: {tokens: {shape: [B, T], vocab: vocab}}
outputs: {logits: [B, T, vocab], score: [B, T, 1]}
blocks:
  layer:
    - residual: [norm: rms, attention: {heads: 2, mask: causal}]
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - repeat: {block: layer, times: 2}
  - norm: {id: last, type: rms}
  - unembed: {id: logits, tie: tok}
  - linear: {id: score, from: last, width: 1}
"""
FILES = {
    "bert.yaml": BERT,
    "pets.jsonl": "".join(json.dumps(each) + "\n" for each in PETS * 10),
    "beasts.jsonl": "".join(json.dumps(each) + "\n" for each in (*PETS, {"text": "It sings.", "label": "bird"}) * 10),
    "words.yaml": MASKED_WORDS,
    "matched.yaml": MATCHED,
    "tones.yaml": TONES,
    "aside.yaml": ASIDE + TRAIN,
    "base.yaml": HEAD.format("base") + MODEL,
    "parts.yaml": "tfdsl: 1\nname: parts\nblocks:\n  branch:\n" + BRANCH,
    "gpt2.yaml": "tfdsl: 1\n",
    "gpt.yaml": HEAD.format("gpt") + MODEL + TRAIN,
    "packed.yaml": HEAD.format("packed") + MODEL.replace(TOKENS, PACKED) + TRAIN,
    "images.yaml": IMAGES,
    "text.txt": "The quick brown fox jumps over the lazy dog.\n" * 40,
    "llama.yaml": LLAMA,
    "pairs.yaml": PAIRS,
    "no_pad.yaml": PAIRS.replace(
        "source: {shape: [B, S], vocab: vocab, pad: 0}", "source: {shape: [B, S], vocab: vocab}"
    ),
    "one_pad.yaml": PAIRS.replace(
        "target: {shape: [B, T], vocab: vocab, pad: 0}", "target: {shape: [B, T], vocab: vocab}"
    ),
    "pairs.jsonl": "".join(
        json.dumps({"source": word, "target": word[1::-1]}) + "\n"
        for word in ("ace", "bead", "cab", "dig", "egg", "fade")
    ),
    "answers.jsonl": "".join(
        json.dumps({"prompt": f"{each} and 1 are ", "answer": str(each + 1)}) + "\n" for each in range(9)
    ),
    "marked.json": json.dumps(MARKED),
    "dynamic.yaml": HEAD.format("dynamic")
    + MODEL.replace(
        "mask: causal", "mask: causal, position: {type: rope, scaling: {type: dynamic, factor: 2, length: 16}}"
    )
    + TRAIN,
    "prompts.txt": "The\nThe quick\n",
    "prompts.jsonl": '{"prompt": "The", "length": 8}\n{"prompt": "fox", "length": 4, "greedy": true}\n',
    "wrong.jsonl": '{"prompt": "The", "lenght": 8}\n',
    "big.jsonl": '{"prompt": "The", "length": 8, "banned": [300]}\n',
    "none.jsonl": json.dumps({"prompt": "The", "length": 8, "banned": list(range(256))}) + "\n",
    "short.txt": "The quick brown fox.\n",
}
CONFIG = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_act": "silu",
}
SHAPES = {
    "model.embed_tokens.weight": [256, 8],
    "model.layers.0.input_layernorm.weight": [8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
    "model.layers.0.self_attn.k_proj.weight": [8, 8],
    "model.layers.0.self_attn.v_proj.weight": [8, 8],
    "model.layers.0.self_attn.o_proj.weight": [8, 8],
    "model.layers.0.post_attention_layernorm.weight": [8],
    "model.layers.0.mlp.gate_proj.weight": [16, 8],
    "model.layers.0.mlp.up_proj.weight": [16, 8],
    "model.layers.0.mlp.down_proj.weight": [8, 16],
    "model.norm.weight": [8],
    "lm_head.weight": [256, 8],
}
FLOATS = {"F32": np.float32, "F64": np.float64}
PLAIN = re.compile(r"tfdsl train (\w+\.yaml) -o run")
SAID = re.compile(r"^(?:error|warning|note)\[[A-Z]\d{3}\].*?(?=^\n|\Z|^[a-z]+ after )", re.MULTILINE | re.DOTALL)


def lay(folder: Path) -> None:
    """Write the files into `folder`."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "latin.txt").write_bytes("Montréal".encode("latin-1"))
    for kind, files in (("llama", checkpoint()), ("wide", checkpoint("F64")), ("large", checkpoint(times=1e6))):
        (folder / kind).mkdir()
        for name, content in files.items():
            (folder / kind / name).write_bytes(content)


@cache
def checkpoint(dtype: str = "F32", times: float = 1.0) -> dict[str, bytes]:
    """Return the files of a checkpoint: a small Llama of bytes, each tensor of another number throughout."""
    header: dict[str, object] = {}
    data = b""
    for index, (name, shape) in enumerate(SHAPES.items(), 1):
        tensor = np.full(shape, times * index / 16, FLOATS[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(tensor)]}
        data += tensor
    head = json.dumps(header).encode()
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": len(head).to_bytes(8, "little") + head + data,
        "tokenizer.json": tokens.make(settings.Tokenizer(), [], 256).to_str().encode(),
    }


def run(script: str, folder: Path) -> str:
    """Run the lines of `script` in `folder`, `tfdsl` in this process, and return what the last says of errors."""
    said = ""
    lines = script.splitlines()
    trains = PLAIN.fullmatch(lines[0])
    if trains is not None and len(lines) > 1:  # many pages begin with the same run
        shutil.copytree(trained(trains[1]), folder / "run")
        lines = lines[1:]
    with chdir(folder):
        for line in lines:
            command, words = line.split(" ", 1)[0], _words(line)
            if command == "torchrun":
                said = _several(_words(line))
                continue
            if command != "tfdsl":
                subprocess.run(line, shell=True, check=True, env=dict(os.environ))
                continue
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err), machine(words[0]):
                cli.main(words)
            said = "".join(SAID.findall(err.getvalue() or out.getvalue()))
    return said


@cache
def trained(spec: str) -> Path:
    """Return the folder of a run of one of the specs, trained once for all pages."""
    folder = Path(tempfile.mkdtemp(prefix="tfdsl-pages-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lay(folder)
    with chdir(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), machine("train"):
        assert cli.main(["train", spec, "-o", "run"]) == 0
    return folder / "run"


@contextmanager
def machine(command: str) -> Generator[None]:
    """Be the machine of the pages: 128 MiB free, no `wandb`, no C++ compiler; the runs of a sweep have their tests."""
    if command == "sample":
        with patch("tfdsl.sampling.quick.compiler", lambda: False):
            yield
        return
    if command not in ("train", "sweep"):
        yield
        return
    with (
        patch("tfdsl.training.reports.find_spec", lambda _: None),
        patch("tfdsl.training.room.free", lambda *_: 128 << 20),
        patch("tfdsl.training.room.whole", lambda *_: 256 << 20),
        patch("tfdsl.sweeping.work.run_all", lambda *_: True),
    ):
        yield


def _several(words: list[str]) -> str:
    """Run a command in several processes, and return what they say of errors, without what torchrun says of them."""
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    told = re.split(r"^[EW]\d{4} ", done.stderr, maxsplit=1, flags=re.MULTILINE)[0]
    return "".join(SAID.findall(told))


def _words(line: str) -> list[str]:
    return [word.strip("'\"") for word in re.findall(r"\"[^\"]*\"|'[^']*'|\S+", line)][1:]
