"""The published models of specs/: checked without a warning, and as large, to the unit, as `transformers` builds them.

The configurations are those that were published with the weights, written out here; nothing is fetched.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import tfdsl
from tests import foreign, measure
from tfdsl import building
from tfdsl.checking import Checked

SPECS = Path(__file__).parents[1] / "specs"
OURS = {"bert", "gpt2", "hybrid", "nanogpt_char", "stdlib", "t5", "transformer", "vit"}  # which other tests compare
NAMES = sorted({path.stem for path in SPECS.glob("*.yaml")} - OURS)

GPT2 = {"vocab_size": 50257, "n_positions": 1024}
LLAMA = {"vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
BERT = {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2}

THEIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt1": ("OpenAIGPTLMHeadModel", {"vocab_size": 40478, "n_positions": 512, "n_embd": 768, "n_layer": 12, "n_head": 12}),
}
