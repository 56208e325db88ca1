"""Longformer and BigBird beside those of `transformers`, Linformer and Performer beside their equations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

import tfdsl
from tests import foreign
from tfdsl.layers.plan import sparse_plan

SPECS = Path(__file__).parents[1] / "specs"
SIZES = {"vocab_size": 60, "context": 320, "n_layers": 2, "d_model": 24, "n_heads": 3, "d_ff": 40, "p": 0}
THEIRS = {
    "vocab_size": 60,
    "num_hidden_layers": 2,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def ours(name: str, **dims: float) -> Any:
    checked = tfdsl.check(SPECS / f"{name}.yaml", [f"dims.{dim}={value}" for dim, value in {**SIZES, **dims}.items()])
    assert checked.ok, checked.diagnostics
    return tfdsl.build(checked).double().eval()


def encoder(theirs: str, where: str = "") -> dict[str, foreign.Given]:
    """Return where the weights of our layers are in an encoder of BERT's kind."""
    layer, inner = f"{theirs}encoder.layer.{{i}}", f"{where}layers.{{i}}"
    found: dict[str, foreign.Given] = {}
    for part in ("weight", "bias"):
        found |= {
            f"{inner}.attention.qkv.{part}": [f"{layer}.attention.self.{p}.{part}" for p in ("query", "key", "value")],
            f"{inner}.attention.out.{part}": f"{layer}.attention.output.dense.{part}",
            f"{inner}.norm_1.{part}": f"{layer}.attention.output.LayerNorm.{part}",
            f"{inner}.ffn.up.{part}": f"{layer}.intermediate.dense.{part}",
            f"{inner}.ffn.down.{part}": f"{layer}.output.dense.{part}",
            f"{inner}.norm_2.{part}": f"{layer}.output.LayerNorm.{part}",
        }
    return found


def padded(length: int, pad: int, many: int) -> Tensor:
    """Return ids of two rows, the second with padding behind."""
    ids = foreign.tokens(60, 2, length)
    ids[1, length - many :] = pad
    return ids


@pytest.mark.parametrize("length", [21, 301])
def test_longformer(length: int) -> None:
    settings = {
        **THEIRS,
        "max_position_embeddings": 322,
        "type_vocab_size": 1,
        "attention_window": [8, 8],
        "layer_norm_eps": 1e-5,
    }
    theirs = foreign.tiny("LongformerForMaskedLM", foreign.config("LongformerConfig", **settings, pad_token_id=1))
    model = ours("longformer", window=5)
    given: dict[str, foreign.Given] = {
        **encoder("longformer."),
        "tok.weight": "longformer.embeddings.word_embeddings.weight",
        "segment.weight": lambda w: w["longformer.embeddings.token_type_embeddings.weight"][0],
        "position.weight": "longformer.embeddings.position_embeddings.weight",
        "logits.bias": "lm_head.bias",
    }
    for part in ("weight", "bias"):
        inner, self_ = "layers.{i}.attention.first", "longformer.encoder.layer.{i}.attention.self"
        given |= {
            f"norm_1.{part}": f"longformer.embeddings.LayerNorm.{part}",
            f"linear.{part}": f"lm_head.dense.{part}",
            f"norm_2.{part}": f"lm_head.layer_norm.{part}",
            f"{inner}.q.{part}": f"{self_}.query_global.{part}",
            f"{inner}.kv.{part}": [f"{self_}.key_global.{part}", f"{self_}.value_global.{part}"],
        }
    foreign.fill(model, theirs.state_dict(), given, "position_ids")
    ids = padded(length, 1, 6)
    first = torch.zeros_like(ids)
    first[:, 0] = 1
    inputs = {"input_ids": ids, "attention_mask": (ids != 1).long(), "global_attention_mask": first}
    wanted = foreign.run(theirs, inputs).logits
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[ids != 1], wanted[ids != 1], rtol=1e-9, atol=1e-9)


def bigbird(**dims: float) -> tuple[Any, Any]:
    """Return our model and theirs with the same weights; blocks of four, and one that is drawn."""
    settings = {**THEIRS, "max_position_embeddings": 320, "block_size": 4, "num_random_blocks": 1}
    theirs = foreign.tiny("BigBirdForMaskedLM", foreign.config("BigBirdConfig", **settings))
    given: dict[str, foreign.Given] = {
        **encoder("bert.", "encoder."),
        "encoder.tok.weight": "bert.embeddings.word_embeddings.weight",
        "encoder.embed.weight": "bert.embeddings.token_type_embeddings.weight",
        "encoder.position.weight": "bert.embeddings.position_embeddings.weight",
        "word.logits.bias": "cls.predictions.bias",
    }
    for part in ("weight", "bias"):
        given |= {
            f"encoder.norm.{part}": f"bert.embeddings.LayerNorm.{part}",
            f"word.linear.{part}": f"cls.predictions.transform.dense.{part}",
            f"word.norm.{part}": f"cls.predictions.transform.LayerNorm.{part}",
            f"sentence.linear.{part}": f"bert.pooler.{part}",
        }
    model = ours("bigbird", block=4, random=1, **dims)
    foreign.fill(model, theirs.state_dict(), given, "position_ids")
    return model, theirs


def plans(layer: int, length: int) -> list[Any]:
    """Return, for each head, the block that each inner block drew: what their attention takes for its plan."""
    blocks = -(-length // 4)
    plan = sparse_plan(blocks, 3, 3, 1, 1, layer, False, torch.zeros(1))
    sure = sparse_plan(blocks, 3, 3, 1, 0, layer, False, torch.zeros(1))
    return [each[1:-1].int().argmax(-1, keepdim=True).numpy() for each in plan & ~sure]


@pytest.mark.parametrize("length", [23, 64, 301])
def test_bigbird_with_our_draw(length: int) -> None:
    """Their draw, which follows numpy's generator, is replaced by ours; up to seven blocks they see all, as we do."""
    model, theirs = bigbird()
    theirs.train()
    ids = padded(length, 0, 6)
    inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    drawn = {id(each.attention.self): plans(index, length) for index, each in enumerate(theirs.bert.encoder.layer)}
    kind = type(theirs.bert.encoder.layer[0].attention.self)

    def plan(self: Any, **_: Any) -> list[Any]:
        return drawn[id(self)]

    with mock.patch.object(kind, "_bigbird_block_rand_mask_with_head", plan):
        wanted = foreign.run(theirs, inputs).logits
    with torch.no_grad():
        found = model(ids, torch.zeros_like(ids))["logits"]
    torch.testing.assert_close(found[ids != 0], wanted[ids != 0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [23, 64, 301])
def test_bigbird_as_they_run_it_when_it_does_not_train(length: int) -> None:
    """Then they draw nothing, and read the first block once more for each block that is not drawn."""
    text = (SPECS / "bigbird.yaml").read_text().replace("seed: $seed}", "seed: $seed, draw: false}")
    sizes = {**SIZES, "block": 4, "random": 1}
    checked = tfdsl.check(text, [f"dims.{dim}={value}" for dim, value in sizes.items()])
    model = tfdsl.build(checked).double().eval()
    drawing, theirs = bigbird()
    model.load_state_dict(drawing.state_dict())
    ids = padded(length, 0, 6)
    wanted = foreign.run(theirs, {"input_ids": ids, "attention_mask": (ids != 0).long()}).logits
    with torch.no_grad():
        found = model(ids, torch.zeros_like(ids))["logits"]
    torch.testing.assert_close(found[ids != 0], wanted[ids != 0], rtol=1e-9, atol=1e-9)


def test_sizes_are_those_of_transformers() -> None:
    longformer = foreign.config(
        "LongformerConfig",
        vocab_size=50265,
        max_position_embeddings=4098,
        type_vocab_size=1,
        attention_window=[512] * 12,
        pad_token_id=1,
    )
    for name, kind, config in (
        ("longformer", "LongformerForMaskedLM", longformer),
        ("bigbird", "BigBirdForMaskedLM", foreign.config("BigBirdConfig")),
    ):
        theirs = foreign.empty(kind, config)
        checked = tfdsl.check(SPECS / f"{name}.yaml")
        assert tfdsl.cost(checked).parameters == sum(each.numel() for each in theirs.parameters())
        assert checked.spec is not None
        assert f"{tfdsl.cost(checked).parameters:,} parameters" in checked.spec.about


def random(model: Any) -> dict[str, Tensor]:
    """Make every weight of a model random and return them all by name."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return dict(model.state_dict())


def normed(x: Tensor, w: dict[str, Tensor], name: str, eps: float) -> Tensor:
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def linear(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", torch.zeros(1))


def heads(x: Tensor, w: dict[str, Tensor], name: str) -> list[Tensor]:
    """Return queries, keys and values (B, H, T, K)."""
    return [each.unflatten(-1, (3, -1)).transpose(1, 2) for each in linear(x, w, name).chunk(3, dim=-1)]


@torch.no_grad()
def test_linformer_is_its_equations() -> None:
    """Wang et al. 2020, equation 7, in RoBERTa's layers (post-norm), with one matrix for all."""
    model = ours("linformer", context=40, rank=6)
    w, ids = random(model), padded(17, 1, 4)
    keep = (ids != 1).double()
    place = (keep.cumsum(1) * keep).long() + 1
    x = normed(w["tok.weight"][ids] + w["segment.weight"] + w["position.weight"][place], w, "norm_1", 1e-5)
    sums = next(each for name, each in w.items() if name.startswith("sums"))[:, :17]
    for layer in (f"layers.{index}" for index in range(2)):
        q, k, v = heads(x, w, f"{layer}.attention.qkv")
        k, v = (sums @ (each * keep[:, None, :, None]) for each in (k, v))
        y = (q @ k.transpose(2, 3) / math.sqrt(8)).softmax(-1) @ v
        x = normed(x + linear(y.transpose(1, 2).flatten(2), w, f"{layer}.attention.out"), w, f"{layer}.norm_1", 1e-5)
        y = linear(gelu(linear(x, w, f"{layer}.ffn.up")), w, f"{layer}.ffn.down")
        x = normed(x + y, w, f"{layer}.norm_2", 1e-5)
    x = normed(gelu(linear(x, w, "linear")), w, "norm_2", 1e-5) @ w["tok.weight"].T + w["logits.bias"]
    torch.testing.assert_close(model(ids)[ids != 1], x[ids != 1], rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_performer_is_its_equations() -> None:
    """Choromanski et al. 2021, section 2.3: features relu(w · x / d^(1/4)) + 1e-3, summed up to each position."""
    model = ours("performer", features=10)
    w, ids = random(model), foreign.tokens(60, 2, 17)
    x = w["tok.weight"][ids] + w["position.weight"][:17]
    for layer in (f"layers.{index}" for index in range(2)):
        q, k, v = heads(normed(x, w, f"{layer}.norm_1", 1e-6), w, f"{layer}.attention.qkv")
        rows = w[f"{layer}.attention.method.features.projection"]
        q, k = ((each * 8**-0.25 @ rows.T).clamp(min=0) + 1e-3 for each in (q, k))
        weights = (q @ k.transpose(2, 3)).tril()
        y = weights / weights.sum(-1, keepdim=True) @ v
        x = x + linear(y.transpose(1, 2).flatten(2), w, f"{layer}.attention.out")
        x = x + linear(
            gelu(linear(normed(x, w, f"{layer}.norm_2", 1e-6), w, f"{layer}.ffn.up")), w, f"{layer}.ffn.down"
        )
    wanted = normed(x, w, "norm", 1e-6) @ w["tok.weight"].T
    torch.testing.assert_close(model(ids), wanted, rtol=1e-9, atol=1e-9)
