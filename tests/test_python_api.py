"""Models made of Python objects: the same as those in YAML, and errors that a Python user can read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import tfdsl
from tests import measure
from tfdsl import Block, Init, Input, Spec, SpecError, nodes
from tfdsl.node import kinds, lookup
from tfdsl.nodes import (
    Activation,
    Attention,
    Dropout,
    Embed,
    FeedForward,
    First,
    LayerNorm,
    Learned,
    Linear,
    MixtureOfExperts,
    Patch,
    Prepend,
    Repeat,
    Residual,
    RMSNorm,
    Sinusoidal,
    Sum,
    Unembed,
    Use,
)
from tfdsl.nodes.attention.masks import Sliding
from tfdsl.nodes.attention.positions import Rotary
from tfdsl.settings import Train

SPECS = Path(__file__).parents[1] / "specs"


def gpt2() -> Spec:
    """Return GPT-2 with the blocks of its YAML."""
    return Spec(
        name="gpt2",
        about="GPT-2 small, 124,439,808 parameters",
        dims={
            "vocab_size": 50257,
            "context": 1024,
            "n_layers": 12,
            "d_model": 768,
            "n_heads": 12,
            "d_ff": "4 * d_model",
            "p": 0.1,
        },
        inputs={"tokens": Input(shape=["B", "T"], vocab="vocab_size")},
        outputs={"logits": ["B", "T", "vocab_size"]},
        defaults={
            "norm": LayerNorm(eps=1e-5),
            "attention": Attention(heads="n_heads", mask="causal", bias=True, dropout="p"),
            "ffn": FeedForward(hidden="d_ff", activation="gelu_tanh", bias=True),
            "residual": {"dropout": "p"},
        },
        blocks={"layer": [Residual(body=["norm", "attention"]), Residual(body=["norm", "ffn"])]},
        model=[
            Embed(id="tok", source="tokens", width="d_model"),
            Learned(length="context"),
            Dropout(p="p"),
            Repeat(block="layer", times="n_layers"),
            "norm",
            Unembed(id="logits", tie="tok"),
        ],
        init=Init(std=0.02, residual_scale="1 / sqrt(2 * n_layers)"),
    )


def vit() -> Spec:
    """Return ViT-B/16, its layer written as a Python function."""

    def branch(*body: object) -> Residual:
        return Residual(body=["norm", *body])

    return Spec(
        name="vit",
        about="ViT-B/16, 86,567,656 parameters with 1,000 classes",
        dims={
            "image": 224,
            "patch": 16,
            "classes": 1000,
            "n_layers": 12,
            "d_model": 768,
            "n_heads": 12,
            "d_ff": 3072,
            "p": 0.0,
        },
        inputs={"pixels": Input(shape=["B", 3, "image", "image"], dtype="float")},
        outputs={"logits": ["B", "classes"]},
        defaults={
            "norm": LayerNorm(eps=1e-6),
            "attention": Attention(heads="n_heads", bias=True),
            "ffn": FeedForward(hidden="d_ff", activation="gelu", bias=True),
        },
        blocks={"layer": Block(body=[branch("attention"), branch("ffn")])},
        model=[
            Patch(source="pixels", size="patch", width="d_model", expect=["B", "(image / patch) ** 2", "d_model"]),
            Prepend(id="cls", tokens=1),
            Learned(),
            Dropout(p="p"),
            Repeat(block="layer", times="n_layers"),
            "norm",
            First(),
            Linear(id="logits", width="classes", bias=True),
        ],
        train=Train(objective="classify"),
    )


def hybrid() -> Spec:
    """Return the hybrid, whose layers differ."""
    dims = {"vocab_size": 32000, "n_layers": 24, "d_model": 1024, "n_heads": 16, "n_kv_heads": 4, "window": 1024}
    expert = MixtureOfExperts(experts="n_experts", top_k=2, hidden="d_expert", activation="swiglu")
    return Spec(
        name="hybrid",
        about="Five sliding layers to one global, grouped queries, sandwich norms, "
        "a mixture of experts in every other layer",
        dims={**dims, "n_experts": 8, "d_ff": "4 * d_model", "d_expert": "2 * d_model"},
        inputs={"tokens": Input(shape=["B", "T"], vocab="vocab_size")},
        outputs={"logits": ["B", "T", "vocab_size"]},
        defaults={
            "norm": RMSNorm(eps=1e-6),
            "attention": Attention(heads="n_heads", kv_heads="n_kv_heads", position=Rotary(), qk_norm="rms"),
        },
        blocks={
            "local": [Attention(mask=Sliding(window="window"))],
            "global": [Attention(mask="causal")],
            "dense": [FeedForward(hidden="d_ff", activation="swiglu")],
            "sparse": [expert],
            "layer": Block(
                params={"mix": "local", "mlp": "dense"},
                body=[
                    Residual(body=["norm", Use(block="$mix"), "norm"]),
                    Residual(body=["norm", Use(block="$mlp"), "norm"]),
                ],
            ),
        },
        model=[
            Embed(id="tok", source="tokens", width="d_model"),
            Repeat(
                block="layer",
                times="n_layers",
                vary={"mix": {"cycle": ["local"] * 5 + ["global"]}, "mlp": {"cycle": ["dense", "sparse"]}},
            ),
            "norm",
            Unembed(id="logits", tie="tok"),
        ],
    )


def spoken() -> Spec:
    """Return a small encoder and decoder, with what the others do not have."""
    return Spec(
        name="translate",
        inputs={
            "source": Input(shape=["B", "S"], vocab=29, pad=0),
            "target": Input(shape=["B", "T"], vocab=29, pad=0),
        },
        model={
            "encoder": [
                Embed(id="tok", source="source", width=16),
                Sinusoidal(),
                Repeat(body=[Residual(body=[RMSNorm(), Attention(heads=2)])], times=2),
            ],
            "decoder": [
                Sum(pipes=[[Embed(source="target", tie="tok")], [Embed(source="target", width=16)]]),
                Residual(body=[Attention(heads=2, mask="causal")]),
                Residual(body=[Attention(heads=2, kv="encoder")]),
                Activation(type="relu2"),
                Unembed(id="logits", tie="tok"),
            ],
        },
    )


@pytest.mark.parametrize("spec", [gpt2(), vit(), hybrid()], ids=lambda spec: spec.name)
def test_objects_make_the_spec_that_yaml_makes(spec: Spec) -> None:
    assert spec == tfdsl.load(SPECS / f"{spec.name}.yaml")
    assert tfdsl.load(spec) == spec
    assert tfdsl.load(spec.to_yaml()) == spec


def test_a_model_of_objects_is_used_as_any_other() -> None:
    spec = spoken()
    checked = tfdsl.check(spec)
    assert checked.diagnostics == ()
    assert tfdsl.draw(spec) == tfdsl.draw(spec.to_yaml())
    model = tfdsl.build(spec)
    assert tfdsl.cost(spec).parameters == sum(weight.numel() for weight in model.parameters())
    (found,) = measure.results(model, measure.inputs(checked, {"B": 2, "S": 3, "T": 5})).values()
    assert found.shape == torch.Size([2, 5, 29])


def test_a_wrong_field_is_told_in_our_words() -> None:
    with pytest.raises(ValidationError) as error:
        Attention(head=8, dropout=2)  # pyright: ignore[reportCallIssue]
    assert str(error.value) == (
        "2 validation errors for Attention\n"
        "dropout\n"
        "  2 is out of range [type=E405, input_value=2, input_type=int]\n"
        "head\n"
        "  unknown field `head` [type=D102, input_value=8, input_type=int]"
    )


def test_a_mistake_is_shown_in_the_yaml_that_the_objects_say() -> None:
    spec = Spec(
        name="wrong",
        inputs={"tokens": Input(shape=["B", "T"], vocab=11)},
        model=[Embed(source="tokens", width=12), Residual(body=["norm", Attention(heads=5)]), Linear(width="d_modle")],
    )
    with pytest.raises(SpecError) as error:
        tfdsl.build(spec)
    assert [each.code for each in error.value.diagnostics] == ["T211", "E402"]
    assert (
        str(error.value)
        == """
error[T211]: 12 features do not divide among 5 heads: 2 are left over
 --> <wrong>:7:33
  |
7 |   - residual: [norm, attention: 5]
  |                                 ^
note: the width is 12 here
 --> <wrong>:6:34
help: change one of the two, or give `head_dim`

error[E402]: unknown name `d_modle`
 --> <wrong>:8:13
  |
8 |   - linear: d_modle
  |             ^^^^^^^

2 errors in <wrong>
"""
    )


def test_a_bare_word_within_a_node_takes_the_type_of_the_defaults() -> None:
    branch = Residual(body=["norm", LayerNorm(bias=False), {"norm": {"eps": 0.1}}])
    x = {"x": Input(shape=["B", 8], dtype="float")}
    spec = Spec(
        name="late", inputs=x, defaults={"norm": "rms"}, blocks={"one": [branch]}, model=[Use(source="x", block="one")]
    )
    (adopted,) = spec.blocks["one"].body
    assert adopted == Residual(body=[RMSNorm(), LayerNorm(bias=False), RMSNorm(eps=0.1)])
    assert branch == Residual(body=[LayerNorm(), LayerNorm(bias=False), LayerNorm(eps=0.1)])
    assert tfdsl.load(spec) == spec


def test_specs_are_values() -> None:
    one, two = gpt2(), gpt2()
    assert one == two and one is not two
    assert one != one.model_copy(update={"name": "other"})
    with pytest.raises(ValidationError, match="frozen"):
        one.name = "other"


def test_every_kind_has_a_class_to_import() -> None:
    listed = {
        alias.name
        for node in ast.walk(ast.parse(Path(nodes.__file__).with_suffix(".pyi").read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tfdsl.nodes.")
        for alias in node.names
    }
    assert set(dir(nodes)) == listed, "the list for editors is not what there is"
    bases = [lookup(kind) for kind in kinds()]
    assert all(any(issubclass(each, base) for each in nodes.classes().values()) for base in bases if base is not None)
    with pytest.raises(AttributeError, match="module 'tfdsl.nodes' has no class 'Atention'"):
        _ = nodes.Atention  # pyright: ignore
