"""The JSON Schema admits every spec that we ship and refuses what the checker refuses for its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tfdsl import schema, source

ROOT = Path(__file__).parent.parent
SPECS = [*sorted((ROOT / "specs").rglob("*.yaml")), *sorted((ROOT / "tfdsl/cli/templates").glob("*.yaml"))]
SCHEMA = json.loads(schema.text())


def problems(text: str) -> list[str]:
    """Return where a spec's text breaks the schema, each as a dotted path."""
    value = source.parse(text, "spec.yaml")[0]
    assert value is not None
    found = Draft7Validator(SCHEMA).iter_errors(source.plain(value))
    return sorted(".".join(str(step) for step in error.absolute_path) for error in found)


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def references(value: Any) -> set[str]:
    """Return every `$ref` in a JSON value."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_every_reference_leads_to_a_definition_and_every_definition_is_used() -> None:
    assert references(SCHEMA) == {f"#/definitions/{name}" for name in SCHEMA["definitions"]}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_pass(path: Path) -> None:
    assert problems(path.read_text()) == []


GPT = (ROOT / "tfdsl/cli/templates/gpt.yaml").read_text()
MISTAKES = {
    ("residual: [norm, attention]", "residual: [norm, atention]"): ["blocks.layer.0.residual.1"],
    ("residual: [norm, attention]", "residual: [norm, {atention: 8}]"): ["blocks.layer.0.residual.1"],
    ("residual: [norm, attention]", "residual: [norm, {attention: 8, norm: rms}]"): ["blocks.layer.0.residual.1"],
    ("residual: [norm, attention]", "residual: norm"): ["blocks.layer.0.residual"],
    ("mask: causal", "mask: casual"): ["defaults.attention.mask"],
    ("mask: causal", "mask: {type: casual}"): ["defaults.attention.mask.type"],
    ("mask: causal", "mask: {type: causal, window: 3}"): ["defaults.attention.mask"],
    ("mask: causal", "mask: {window: 3}"): ["defaults.attention.mask"],
    ("norm: {type: layer, eps: 1e-5}", "norm: {type: layer, epz: 1e-5}"): ["defaults.norm"],
    ("norm: {type: layer, eps: 1e-5}", "norm: {type: rms, alpha: 1}"): ["defaults.norm"],
    ("norm: {type: layer, eps: 1e-5}", "norm: {eps: -1}"): ["defaults.norm.eps"],
    ("heads: n_heads", "heads: 0"): ["defaults.attention.heads"],
    ("heads: n_heads", "heads: 1.5"): ["defaults.attention.heads"],
    ("heads: n_heads", "heads: {}"): ["defaults.attention.heads"],
    ("heads: n_heads", "heads: 'a & b'"): ["defaults.attention.heads"],
    ("bias: true, dropout", "bias: yes, dropout"): ["defaults.attention.bias"],
    ("bias: true, dropout", "bias: {w: true}, dropout"): ["defaults.attention.bias"],
    ("id: tok", "id: Tok"): ["model.0.embed.id"],
    ("from: tokens", "from: [tokens, 3]"): ["model.0.embed.from.1"],
    ("block: layer, times", "block: layer, time"): ["model.3.repeat"],
    ("inputs:", "input:"): [""],
    ("shape: [B, T], vocab", "shape: B, vocab"): ["inputs.tokens.shape"],
    ("tfdsl: 1", "tfdsl: 2"): ["tfdsl"],
    ("tfdsl: 1", "about: x"): [""],
    ("steps: 1000", "steps: -1"): ["train.steps"],
    ("tokenizer: {type: bpe}", "tokenizer: {type: bpw}"): ["train.tokenizer.type"],
    ("temperature: 0.8", "temprature: 0.8"): ["sample"],
}


@pytest.mark.parametrize("change", MISTAKES, ids=lambda change: change[1])
def test_mistakes_are_found_where_they_are(change: tuple[str, str]) -> None:
    assert change[0] in GPT
    assert problems(GPT.replace(*change, 1)) == MISTAKES[change]


ADMITTED = [
    ("residual: [norm, attention]", "residual: {body: [norm, attention: $heads, ffn], scale: 1 / 2}"),
    ("residual: [norm, attention]", "residual: [norm, sum: [[attention], [ffn: 4 * d_model]]]"),
    ("residual: [norm, attention]", "residual: [norm, attention: {mask: {type: sliding, window: $w}}]"),
    ("residual: [norm, attention]", "residual: [norm, attention: {bias: {q: true, out: $b}, mask: $mask}]"),
    ("    - residual: [norm, attention]\n", "    - use: $mix\n    - use: {block: layer, window: 3}\n"),
    (
        "    - residual: [norm, attention]\n",
        "    - norm:\n    - norm: rms\n    - norm: {expect: [B, T, 2 * d_model]}\n",
    ),
    ("block: layer, times: n_layers", "block: layer, times: 2, vary: {a: {cycle: [x, y]}, b: 2 ** layer}"),
    ("block: layer, times: n_layers", "body: [norm, ffn], times: 2"),
    ("from: tokens", "from: [tokens, other]"),
    ("name: gpt", "name: gpt\nextends: ../base.yaml\nimports: {blocks: [a.yaml, b.yml]}"),
]


@pytest.mark.parametrize("change", ADMITTED, ids=lambda change: change[1])
def test_what_the_language_admits_passes(change: tuple[str, str]) -> None:
    assert change[0] in GPT
    assert problems(GPT.replace(*change, 1)) == []
