"""Any figure, whatever stands in it, is drawn without a fault: figures made at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest

from tests.diagram.test_dot import faults
from tfdsl.diagram.dot import write
from tfdsl.diagram.engines import render
from tfdsl.diagram.tree import walk
from tfdsl.look import Beside, Box, Branch, Column, Element, Family, Figure, Fork, Group, Lane, Source

WORDS = ("d_model → vocab_size", "12 heads × 64 · causal", "p = 0.1", "", "learned · 1,024 × d_model", "x" * 60)
SHAPES = ("B × T", "B × T × d_model", "B × T × vocab_size", "", "")


class Maker:
    """Makes figures from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"e{self.count}"

    def box(self) -> Box:
        choice = self.random.choice
        titles = ("Norm", "Causal self-attention", "Mixture of experts with a long name")
        corner = choice(("", "1.5K", "tied", "tied + 30.5K"))
        return Box(self.name(), choice(get_args(Family)), choice(titles), choice(WORDS), corner, choice(SHAPES))

    def pipe(self, depth: int, most: int = 3, least: int = 0) -> tuple[Element, ...]:
        return tuple(self.element(depth) for _ in range(self.random.randint(least, most)))

    def element(self, depth: int) -> Element:
        kind = self.random.choice(("box", "box", "beside", "branch", "branch", "fork", "group")) if depth else "box"
        if kind == "beside":
            feed = self.random.choice(("", "positions 0 … T−1"))
            return Beside(self.name(), replace(self.box(), shape=""), feed=feed, shape=self.random.choice(SHAPES))
        if kind == "branch":
            facts = self.random.choice(("", "", "× 0.5"))
            return Branch(self.name(), self.pipe(depth - 1), facts=facts, shape=self.random.choice(SHAPES))
        if kind == "fork":
            pipes = tuple(self.pipe(depth - 1, 2) for _ in range(self.random.randint(1, 4)))
            return Fork(self.name(), pipes, self.random.choice("+×") or "concat", self.random.choice(SHAPES))
        if kind == "group":
            title = self.random.choice(("× 12", "× 4 of [5 local, 1 global]", "layer"))
            return Group(self.name(), title, "layer · 7.09M each", self.pipe(depth - 1, 3, 1))
        return self.box()

    def column(self, name: str) -> Column:
        body = (Source(self.name(), "tokens", "B × T", self.random.choice(("", "shifted right"))), *self.pipe(3, 4, 1))
        return Column(name, body, ((body[-1].id, f"result of {name}", ""),))

    def figure(self) -> Figure:
        columns = tuple(self.column(f"c{place}") for place in range(self.random.randint(1, 3)))
        return Figure("any", "decoder-only · 1M parameters", (("T", "length"),), columns, tuple(self.lanes(columns)))

    def lanes(self, columns: tuple[Column, ...]) -> Iterator[Lane]:
        for column in columns:
            ids = [element.id for element in column.body if isinstance(element, Box)]
            if len(ids) > 1:
                yield Lane("tie", ids[0], ids[-1], "tied")
        there = list(walk(columns[-1].body))
        aside = {element.box.id for element in there if isinstance(element, Beside)}
        inner = [element.id for element in there if isinstance(element, Box) and element.id not in aside]
        if len(columns) > 1 and inner:
            yield Lane("memory", columns[0].body[-1].id, self.random.choice(inner), "K, V : B × S × d_model")


@pytest.mark.parametrize("seed", range(24))
def test_no_figure_has_a_fault(seed: int) -> None:
    assert faults(render(write(Maker(seed).figure()), "svg").data) == []
