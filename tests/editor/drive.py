"""yaml-language-server with our schema: what an editor completes, explains and underlines. Run by `make editor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editor.server import Server
from tfdsl import node, schema

ROOT = Path(__file__).parent.parent.parent
PROGRAM = os.environ.get("YAML_LANGUAGE_SERVER", "yaml-language-server")
GPT = (ROOT / "tfdsl/cli/templates/gpt.yaml").read_text()
HEAD = "tfdsl: 1\nname: x\nmodel:\n"
KINDS = list(node.kinds())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the schema as it is now."""
    folder = tmp_path_factory.mktemp("editor")
    path = folder / "schema.json"
    path.write_text(schema.text(), encoding="utf-8")
    with Server(Path(PROGRAM), path, folder) as running:
        yield running


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda path: path.stem)
def test_right_specs_are_not_underlined(server: Server, path: Path) -> None:
    text = path.read_text().partition("\n")[2]  # without the line that names the schema beside it
    assert server.messages_for("#\n" + text) == []


MESSAGES = {
    ("[norm, attention]", "[norm, atention: {heads: 8}]"): (14, "Property atention is not allowed."),
    ("mask: causal", "mask: casual"): (9, 'Value is not accepted. Valid values: "full", "causal", "sliding".'),
    ("mask: causal", "mask: {type: sliding, windw: 3}"): (9, "Property windw is not allowed."),
    ("eps: 1e-5", "epz: 1e-5"): (8, "Property epz is not allowed."),
    ("heads: n_heads", "heads: 0"): (9, "Value is below the minimum of 1."),
    ("heads: n_heads", "heads: 'a & b'"): (
        9,
        "This is neither a whole number from 1 up nor an expression over dims, such as `4 * d_model`.",
    ),
    ("bias: true", "bias: yes please"): (
        9,
        "This is neither `true` nor `false`, nor a parameter such as `$bias`.",
    ),
    ("type: learned", "type: lerned"): (18, 'Value is not accepted. Valid values: "learned", "sinusoidal".'),
    ("times: n_layers", "time: n_layers"): (20, "Property time is not allowed."),
    ("inputs:", "input:"): (5, "Property input is not allowed."),
    ("lr: 1e-3", "lrr: 1e-3"): (29, "Property lrr is not allowed."),
}


@pytest.mark.parametrize("change", MESSAGES, ids=lambda change: change[1])
def test_mistakes_are_underlined_and_named(server: Server, change: tuple[str, str]) -> None:
    assert change[0] in GPT
    assert server.messages_for(GPT.replace(*change, 1)) == [MESSAGES[change]]


ATTENTION = list(schema.Writer().kind("attention")["then"]["properties"])
COMPLETIONS = {
    "  - |\n": KINDS,
    "  - residual:\n      - |\n": KINDS,
    "  - residual: [norm, a|]\n": KINDS,
    "  - attention:\n      |\n": ATTENTION,
    "  - attention: {h|}\n": ATTENTION,
    "  - attention: {mask: |}\n": ["full", "causal", "sliding"],
    "  - attention:\n      mask: |\n": ["full", "causal", "sliding"],
    "  - attention:\n      mask:\n        type: sliding\n        |\n": ["window", "causal"],
    "  - norm: |\n": ["layer", "rms"],
    "  - norm: {type: |}\n": ["layer", "rms"],
    "  - repeat:\n      share: |\n": ["false", "true"],
}


@pytest.mark.parametrize("text", COMPLETIONS)
def test_kinds_fields_and_words_are_completed(server: Server, text: str) -> None:
    assert server.completions(HEAD + text) == COMPLETIONS[text]


HOVERS = {
    "  - att|ention: {heads: 8}\n": "Multi-head attention: \\[B, T, D\\] -> \\[B, T, D\\]",
    "  - attention: {he|ads: 8}\n": "The number of query heads.",
    "  - attention: {mask: {type: sliding, win|dow: 4}}\n": "How many positions a query sees on a side",
    "  - norm: {ty|pe: rms}\n": "`rms`: Divides a position's features by their root mean square",
    "  - residual: [nor|m]\n": "`norm`: Scales each position's features to one size",
}


@pytest.mark.parametrize("text", HOVERS)
def test_hovers_explain(server: Server, text: str) -> None:
    assert HOVERS[text] in server.hover(HEAD + text)
