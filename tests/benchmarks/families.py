"""Published families beside `transformers`: one config as its model and as our spec; forward, training, decoding."""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

import tfdsl
from tfdsl.sampling import ready
from tfdsl.weights import families, recognise

LAYERS, WIDTH, HEADS, HIDDEN, VOCAB = 4, 256, 8, 768, 4096
BATCH, LENGTH, PROMPT, DECODED = 2, 256, 64, 24
ROUNDS = 7
Run = Callable[[], object]
# Each family has its own words for the same sizes; a config class takes those that it knows.
SIZES = {
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model"), WIDTH),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), HEADS),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "decoder_ffn_dim"), HIDDEN),
    **dict.fromkeys(("encoder_layers", "num_decoder_layers"), LAYERS),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 8),
    **{"vocab_size": VOCAB, "num_key_value_heads": 4, "head_dim": 32, "rotary_dim": 16, "moe_intermediate_size": 256},
    **{"max_position_embeddings": 512, "n_positions": 512, "pad_token_id": 0, "d_kv": 32, "image_size": 128},
    **{"encoder_attention_heads": HEADS, "encoder_ffn_dim": HIDDEN, "ffn_hidden_size": HIDDEN},
}
OWN: dict[str, dict[str, Any]] = {"bloom": {"hidden_size": WIDTH}, "gpt2": {"n_inner": HIDDEN}}


def pair(family: str) -> tuple[nn.Module, nn.Module]:
    """Return our model and theirs of a family, with the same sizes and weights of their own."""
    transformers: Any = importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    kind = transformers.AutoConfig.for_model(family)
    fixed = {name for name in SIZES if isinstance(getattr(type(kind), name, None), property)}
    known = {name: value for name, value in SIZES.items() if hasattr(kind, name) and name not in fixed}
    config = transformers.AutoConfig.for_model(family, **{**known, **OWN.get(family, {})})
    theirs = _automatic(transformers, family).from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            spec, problems = recognise(json.loads((Path(folder) / "config.json").read_text()), set(file.keys()))
    assert spec is not None, problems
    return tfdsl.build(spec), theirs


def _automatic(transformers: Any, family: str) -> Any:
    for task in ("CausalLM", "Seq2SeqLM", "MaskedLM", "ImageClassification"):
        table = getattr(transformers.models.auto.modeling_auto, f"MODEL_FOR_{_snake(task)}_MAPPING_NAMES")
        if family in table:
            return getattr(transformers, f"AutoModelFor{task}")
    raise ValueError(f"no model of `{family}` with a head")


def _snake(task: str) -> str:
    names = {"CausalLM": "CAUSAL_LM", "Seq2SeqLM": "SEQ_TO_SEQ_CAUSAL_LM", "MaskedLM": "MASKED_LM"}
    return names.get(task, "IMAGE_CLASSIFICATION")


def ours_and_theirs(family: str, work: str) -> tuple[Run, Run] | None:
    """Return what runs a work once, ours and theirs; None where the family does not do it."""
    ours, theirs = pair(family)
    takes = inspect.signature(theirs.forward).parameters
    names = [name for name in ("input_ids", "pixel_values") if name in takes]
    given: dict[str, Tensor] = {names[0]: torch.randint(3, VOCAB, (BATCH, LENGTH))}
    if names[0] == "pixel_values":
        given = {"pixel_values": torch.randn(BATCH * 2, 3, 128, 128)}
    elif theirs.config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.randint(3, VOCAB, (BATCH, LENGTH // 2))
    mine = list(given.values())
    if "segments" in inspect.signature(ours.forward).parameters:
        mine.append(torch.zeros_like(mine[0]))
    caches = {"use_cache": False} if hasattr(theirs.config, "use_cache") else {}
    if work == "decode":
        return _decoders(ours, theirs) if hasattr(ours, "new_cache") and len(mine) == 1 else None
    if work == "forward":
        ours.eval()
        theirs.eval()
        return (lambda: _still(ours, *mine)), (lambda: _still(theirs, **caches, **given))
    return (lambda: _step(ours, ours(*mine))), (lambda: _step(theirs, theirs(**caches, **given).logits))


def _still(model: nn.Module, *given: Tensor, **named: Any) -> object:
    with torch.inference_mode():
        return model(*given, **named)


def _step(model: nn.Module, logits: Any) -> None:
    logits = logits["logits"] if isinstance(logits, dict) else logits
    logits.square().mean().backward()
    model.zero_grad(set_to_none=True)


def _decoders(ours: Any, theirs: Any) -> tuple[Run, Run]:
    prompt = torch.randint(3, VOCAB, (1, PROMPT))
    ready(ours)
    theirs.eval()

    @torch.inference_mode()
    def our_own() -> None:
        cache, ids = ours.new_cache(PROMPT + DECODED), prompt
        for _ in range(DECODED):
            ids = ours(ids, cache=cache)[:, -1].argmax(-1, keepdim=True)

    @torch.inference_mode()
    def their_own() -> None:
        past, ids = None, prompt
        for _ in range(DECODED):
            out = theirs(input_ids=ids, past_key_values=past, use_cache=True)
            past, ids = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)

    return our_own, their_own


def ratio(one: Run, other: Run, rounds: int = ROUNDS) -> float:
    """Return how many times as much CPU time `other` takes as `one`: the median over rounds, in turn."""
    found: list[float] = []
    for place in itertools.count():
        spent: list[float] = []
        for run in (one, other):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        if place > 1:
            found.append(spent[1] / spent[0])
        if len(found) == rounds:
            return statistics.median(found)
    raise AssertionError


def table(names: tuple[str, ...] = ()) -> str:
    """Return how many times as fast as `transformers` each family's spec is, as Markdown."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lines = ["| family | forward | training | decoding |", "|---|---|---|---|"]
    for family in names or families.known():
        cells = []
        for work in ("forward", "train", "decode"):
            runs = ours_and_theirs(family, work)
            cells.append(f"{ratio(*runs):.2f}" if runs else "")
        lines.append(f"| {family} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    table(tuple(sys.argv[1:]))
