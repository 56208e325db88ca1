"""Copies that differ, folded: equal parts once, ranges in one card, ways side by side, and how they alternate."""

from __future__ import annotations

import tfdsl
from tfdsl.diagram.figure import figure
from tfdsl.diagram.folding import Variant, fold, pattern
from tfdsl.look import Box, Branch, Element, Fork, Group

HEAD = """\
tfdsl: 1
name: tiny
inputs: {tokens: {shape: [B, T], vocab: 100}}
outputs: {logits: [B, T, 100]}
"""
TAIL = """\
  - unembed: {id: logits, width: 100}
"""


def layers(blocks: str, repeat: str) -> Group:
    """Return the frame around the copies in a small spec."""
    text = f"{HEAD}blocks:\n{blocks}model:\n  - embed: {{from: tokens, width: 64}}\n  - repeat: {repeat}\n{TAIL}"
    checked = tfdsl.check(text)
    assert checked.ok, checked.diagnostics
    return next(element for element in figure(checked).columns[0].body if isinstance(element, Group))


def norm(name: str) -> Box:
    return Box(name, "norm", "Norm")


def ffn(name: str, facts: str = "") -> Box:
    return Box(name, "ffn", "Feed-forward", facts)


def test_a_sequence_is_said_by_its_shortest_period() -> None:
    said = [
        pattern(["local"] * 5 + ["global"]),
        pattern((["local"] * 5 + ["global"]) * 4),
        pattern(["dense", "sparse"] * 12),
        pattern(["dense"] + ["sparse"] * 11),
        pattern(["0.1"] + ["0.2"] * 11),
        pattern([str(width) for width in range(256, 1024, 64)]),
    ]
    assert said == [
        "[5 local, 1 global]",
        "× 4 of [5 local, 1 global]",
        "× 12 of [dense, sparse]",
        "[1 dense, 11 sparse]",
        "[1 × 0.1, 11 × 0.2]",
        "[256, 320, …, 960]",
    ]


def test_what_variants_share_stands_once() -> None:
    def body(choice: Box) -> tuple[Element, ...]:
        return (Branch("r", (norm("a"), choice, norm("b"))), norm("c"))

    variants = [Variant({"mlp": "x"}, 3, body(ffn("m/x"))), Variant({"mlp": "y"}, 1, body(ffn("m/y", "wide")))]
    (branch, last) = fold(variants, "layers")
    assert last == norm("c")
    assert isinstance(branch, Branch)
    assert (branch.body[0], branch.body[2]) == (norm("a"), norm("b"))
    fork = branch.body[1]
    assert isinstance(fork, Fork)
    assert (fork.symbol, fork.labels) == ("or", ("x", "y"))
    assert fork.pipes == ((ffn("m/x"),), (ffn("m/y@1", "wide"),))


def test_ways_without_a_parameter_of_their_own_are_counted() -> None:
    variants = [Variant({"p": n % 2, "q": n // 2}, 5, (ffn("f", str(n // 3)),)) for n in range(4)]
    (fork,) = fold(variants, "layers")
    assert isinstance(fork, Fork)
    assert fork.labels == ("15 ×", "5 ×")


def test_many_sizes_are_one_card_with_their_range() -> None:
    blocks = "  layer: {params: {wide: 64}, body: [residual: [norm, ffn: {hidden: $wide}]]}\n"
    group = layers(blocks, "{block: layer, times: 8, vary: {wide: 64 + 64 * layer}}")
    assert (group.title, group.facts) == ("[64, 128, …, 512]", "layer · 296K in all")
    (branch,) = group.body
    assert isinstance(branch, Branch)
    card = branch.body[1]
    assert isinstance(card, Box)
    assert (card.title, card.facts, card.corner) == ("Feed-forward", "wide 64 … 512", "8.2K … 65.5K")


def test_one_set_of_weights_is_said() -> None:
    group = layers("  layer: [residual: [norm, ffn: 64]]\n", "{block: layer, times: 6, share: true}")
    assert (group.title, group.facts) == ("× 6", "layer · 8.3K, shared")
