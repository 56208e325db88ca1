"""The graph of a spec: nothing in it is there for nothing, and what reads what is what the spec says."""

from __future__ import annotations

from pathlib import Path

import networkx
import pytest

import tfdsl
from tfdsl import graph

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))

TINY = """
tfdsl: 1
name: tiny
inputs: {x: {shape: [B, T, 8], dtype: float}, m: {shape: [B, S, 8], dtype: float}}
blocks:
  plain: [norm]
  wide: [linear: 8]
  layer: {params: {mix: plain}, body: [residual: [use: $mix]]}
model:
  memory: [linear: {from: m, width: 8}]
  main:
    - residual: {from: x, body: [norm, attention: {heads: 2, kv: memory}]}
    - repeat: {block: layer, times: 3, vary: {mix: {list: [plain, wide, wide]}}}
outputs: {main: [B, T, 8]}
"""


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_node_is_needed_by_an_output(path: Path) -> None:
    built = graph.build(tfdsl.check(path))
    ends = [name for name in built if built.out_degree(name) == 0]
    assert networkx.is_directed_acyclic_graph(built)
    assert len(ends) == len(tfdsl.check(path).outputs)
    assert frozenset().union(*(graph.needed(built, end) for end in ends)) == set(built)


def test_edges_say_what_reads_what() -> None:
    built = graph.build(tfdsl.check(TINY))
    assert sorted(f"{tail} -> {head} ({role})" for tail, head, role in built.edges(data="role")) == [
        "m -> memory.linear (from)",
        "main.attention -> main.residual (flow)",
        "main.layers[plain].mix -> main.layers[plain].residual (flow)",
        "main.layers[plain].mix.norm -> main.layers[plain].mix (flow)",
        "main.layers[plain].residual -> main.layers (flow)",
        "main.layers[wide].mix -> main.layers[wide].residual (flow)",
        "main.layers[wide].mix.linear -> main.layers[wide].mix (flow)",
        "main.layers[wide].residual -> main.layers (flow)",
        "main.norm -> main.attention (flow)",
        "main.residual -> main.layers[plain].mix.norm (flow)",
        "main.residual -> main.layers[plain].residual (skip)",
        "main.residual -> main.layers[wide].mix.linear (flow)",
        "main.residual -> main.layers[wide].residual (skip)",
        "memory.linear -> main.attention (kv)",
        "x -> main.norm (flow)",
        "x -> main.residual (skip)",
    ]
