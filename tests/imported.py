"""Checkpoints of other libraries, imported by what their files say, and compared with the models that wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

import tfdsl
from tests import foreign
from tests.six import first
from tfdsl.report import render
from tfdsl.weights import files, recognise

FIXTURES = Path(__file__).parent / "families"
CLASSES = {
    "albert": "AlbertForMaskedLM",
    "bart": "BartForConditionalGeneration",
    "bert": "BertForMaskedLM",
    "bloom": "BloomForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_neox": "GPTNeoXForCausalLM",
    "llama": "LlamaForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "t5": "T5ForConditionalGeneration",
    "vit": "ViTForImageClassification",
    "whisper": "WhisperForConditionalGeneration",
}


def ours(folder: Path) -> nn.Module:
    """Return the model that a checkpoint is, in float64: no tensor missing, none left over."""
    tensors, problems = files.tensors(folder)
    assert tensors is not None, render(problems, {})
    spec, problems = recognise(json.loads((folder / "config.json").read_text()), tensors.files)
    assert spec is not None, render(problems, {})
    checked = tfdsl.check(spec.to_yaml())
    assert checked.diagnostics == (), spec.to_yaml() + render(checked.diagnostics, checked.document.texts)
    return tfdsl.load_weights(checked, folder, tfdsl.build(checked).double()).eval()


def theirs(folder: Path, name: str, config: Mapping[str, Any], attention: str = "eager") -> Any:
    """Return a random model of `transformers` with this config, and save it as a checkpoint in `folder`."""
    kind = foreign.config_class(config["model_type"])
    model = foreign.tiny(name, kind.from_dict(dict(config)), attention=attention)
    foreign.disk(model, folder)
    return model


def pieces(folder: Path) -> None:
    """Put a tokenizer of a few pieces of words into a checkpoint's folder: the marks of BERT are its first tokens."""
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c", "walk", "##ing", ".")
    made = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    made.add_special_tokens(list(words[:5]))
    made.save(str(folder / "tokenizer.json"))


def changed(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a config with one setting changed; `a.b` is the setting `b` in the mapping `a`."""
    outer, _, inner = key.partition(".")
    return {**config, outer: {**config[outer], inner: value} if inner else value}


def difference(model: nn.Module, inputs: tuple[Tensor, ...], wanted: Tensor, valid: Tensor | None = None) -> float:
    """Return how far a model's first result is from `wanted`, where it is valid."""
    with torch.no_grad():
        found = first(model(*(each.double() if each.is_floating_point() else each for each in inputs)))
    assert found.shape == wanted.shape, f"ours is {tuple(found.shape)}, theirs {tuple(wanted.shape)}"
    apart = (found - wanted).abs()
    return float((apart if valid is None else apart[valid]).max())


def greedy(model: nn.Module, prompt: Tensor, length: int, cached: bool) -> Tensor:
    """Return `prompt` with the likeliest tokens behind it, up to `length` in all."""
    anything: Any = model
    cache, found, unread = anything.new_cache(length) if cached else None, prompt, prompt
    with torch.inference_mode():
        while found.size(1) < length:
            logits = anything(unread, cache=cache) if cached else anything(found)
            unread = logits[:, -1:].argmax(dim=-1)
            found = torch.cat((found, unread), dim=1)
    return found


def round_trip(folder: Path, aside: Path) -> None:
    """Import a checkpoint, export the run, and compare: the same tensors, bit by bit, and the same settings."""
    tfdsl.import_checkpoint(folder, aside / "run")
    tfdsl.export_checkpoint(aside / "run", aside / "out")
    before, after = load_file(folder / "model.safetensors"), load_file(aside / "out" / "model.safetensors")
    assert before.keys() == after.keys()
    assert [name for name in after if not torch.equal(after[name], before[name])] == []
    settings = [json.loads((each / "config.json").read_text()) for each in (folder, aside / "out")]
    assert {**settings[0], "dtype": "float32"} == settings[1]


def size(model: nn.Module) -> int:
    """Return the number of a model's parameters, a tied one once."""
    return sum(weight.numel() for weight in model.parameters())
