"""Lanes beside the trunk: values that are read are no keys and values, and no tie passes behind a card."""

from __future__ import annotations

import pytest

import tfdsl
from tfdsl.diagram.figure import figure
from tfdsl.diagram.plan import Card, Wire
from tfdsl.diagram.sheet import place

READ = """
tfdsl: 1
name: m
inputs: {x: {shape: [B, T, 16], dtype: float}}
model:
  first:
    - linear: {from: x, width: 16}
  second:
    - linear: {from: x, width: 16}
    - multiply: {with: first}
    - residual: [norm, attention: {heads: 2, kv: first}]
"""
TIED = """
tfdsl: 1
name: m
inputs: {tokens: {shape: [B, T], vocab: 50}, segments: {shape: [B, T], vocab: 2}}
outputs: {logits: [B, T, 50]}
model:
  - sum: [[embed: {from: FIRST}], [embed: {from: SECOND}]]
  - residual: [norm, attention: 4]
  - unembed: {id: logits, tie: tok}
"""
WORDS, PARTS = "tokens, width: 16, id: tok", "segments, width: 16"


def test_a_value_that_is_multiplied_by_is_drawn_apart_from_keys_and_values() -> None:
    assert [(lane.kind, lane.label) for lane in figure(tfdsl.check(READ)).lanes] == [
        ("read", "B × T × 16"),
        ("memory", "K, V : B × T × 16"),
    ]


@pytest.mark.parametrize(("first", "second"), [(WORDS, PARTS), (PARTS, WORDS)])
def test_a_tie_does_not_pass_behind_another_embedding(first: str, second: str) -> None:
    plan = place(figure(tfdsl.check(TIED.replace("FIRST", first).replace("SECOND", second))))
    tie = next(wire for wire in plan.wires if wire.kind == "tie")  # the legend has one too, behind it
    cards = [part for part in plan.parts if isinstance(part, Card) and part.key not in (tie.tail, tie.head)]
    assert not [card.key for card in cards if passes(tie, card)]


def passes(wire: Wire, card: Card) -> bool:
    west, south, east, north = card.box
    return any(
        min(a[0], b[0]) < east and max(a[0], b[0]) > west and min(a[1], b[1]) < north and max(a[1], b[1]) > south
        for a, b in zip(wire.points, wire.points[1:], strict=False)
    )
