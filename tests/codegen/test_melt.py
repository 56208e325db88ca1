"""A layer that is made of parts, as one class."""

from __future__ import annotations

import ast
import textwrap

import pytest

from tfdsl.codegen.library import library
from tfdsl.codegen.melt import Piece, is_part, melt

PARTS = '''
class Scaling(Part):
    """x times a number."""

    def __init__(self, width: int, by: float = 1.0) -> None:
        super().__init__()
        self.half = width // 2
        # A number each.
        self.by = by

    def forward(self, x_BD: Tensor, more: Tensor | None = None) -> Tensor:
        if more is not None:
            x_BD = x_BD + more
        # Times.
        y_BD = self.times(x_BD)
        return y_BD

    def times(self, x_BD: Tensor) -> Tensor:
        """Return it times the number."""
        return x_BD * self.by


class Shifting(Part):
    """x, and a number more."""

    def __init__(self, width: int, by_more: float = 0.0) -> None:
        super().__init__()
        self.half = width // 2
        self.by_more = by_more

    def forward(self, x_BD: Tensor, twice: bool = False) -> Tensor:
        return F.pad(x_BD + self.by_more, (0, self.half), value=twice)
'''
LAYER = '''
class Layer(nn.Module):
    """Both."""

    def __init__(self, scale: Scaling, shift: Shifting, width: int, eps: float = 0.1) -> None:
        super().__init__()
        self.scale = scale
        self.eps = eps
        self.shift = shift

    def forward(self, a_BD: Tensor, wide: bool = False) -> Tensor:
        if self.scale.by != 1:
            a_BD = self.scale(a_BD)
        y_BD = self.shift(a_BD, twice=wide and self.eps > 0)
        return y_BD
'''
MELTED = '''
class Layer(nn.Module):
    """Both."""

    def __init__(self, width: int, by: float = 1.0, by_more: float = 0.0, eps: float = 0.1) -> None:
        super().__init__()
        self.half = width // 2
        # A number each.
        self.by = by
        self.eps = eps
        self.by_more = by_more

    def forward(self, a_BD: Tensor, wide: bool = False) -> Tensor:
        if self.by != 1:
            if None is not None:
                a_BD = a_BD + None
            # Times.
            y_BD = self.times(a_BD)
            a_BD = y_BD
        y_BD = F.pad(a_BD + self.by_more, (0, self.half), value=wide and self.eps > 0)
        return y_BD

    def times(self, x_BD: Tensor) -> Tensor:
        """Return it times the number."""
        return x_BD * self.by
'''


def pieces(text: str) -> dict[str, Piece]:
    return {node.name: Piece(node, text) for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def test_its_arguments_weights_and_text_are_the_layer_s() -> None:
    melted = melt(pieces(LAYER)["Layer"], pieces(PARTS))
    assert melted is not None
    assert melted.strip() == MELTED.strip()


def test_a_layer_without_parts_stays_as_it_is() -> None:
    assert melt(pieces(MELTED)["Layer"], pieces(PARTS)) is None


def test_what_one_name_means_is_one_thing() -> None:
    parts = pieces(PARTS.replace("by_more: float = 0.0", "by: float = 0.0"))
    with pytest.raises(AssertionError, match="two parts mean different things by `by`"):
        melt(pieces(LAYER)["Layer"], parts)


def test_what_is_read_often_has_a_name() -> None:
    layer = LAYER.replace("self.scale(a_BD)", "self.scale(a_BD + 1)")
    with pytest.raises(AssertionError, match="`x_BD` is read often: give it a name"):
        melt(pieces(layer)["Layer"], pieces(PARTS))


def test_a_part_sets_no_name_that_the_layer_uses() -> None:
    layer = LAYER.replace("return y_BD", "gone_BD = y_BD\n        return gone_BD")
    parts = PARTS.replace("x_BD = x_BD + more", "gone_BD = x_BD + more")
    with pytest.raises(AssertionError, match=r"`scale` sets what forward has a use of its own for: \['gone_BD'\]"):
        melt(pieces(layer)["Layer"], pieces(parts))


def test_no_part_is_left_in_the_library() -> None:
    assert "Attention" in library()
    assert "Weighing" not in library()
    for entry in library().values():
        assert not (isinstance(entry.node, ast.ClassDef) and is_part(entry.node)), entry.name
        ast.parse(textwrap.dedent(entry.source))
