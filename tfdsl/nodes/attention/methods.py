"""How attention weighs what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tfdsl.node import Ports, Size, Weight
from tfdsl.nodes.attention.positions import Place
from tfdsl.parts import Choice
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class Method(Choice):
    """How attention weighs what it reads."""

    word: ClassVar[str] = ""  # how a figure says it
    layer: ClassVar[str] = "Attention"  # the class that self-attention compiles to
    cross: ClassVar[str] = "CrossAttention"  # the class that cross-attention compiles to

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report what cannot be: masks, positions and fields that the method does not honour."""

    def options(self, place: Place) -> Mapping[str, Any]:
        """Return the arguments by which the attention's layer honours it."""
        return {}

    def weights(self, place: Place) -> Mapping[str, Weight]:
        """Return the parameters that it declares besides attention's own, by their names in the layer."""
        return {}

    def flops(self, place: Place, batch: Size) -> Size:
        """Return what stands between the projections: by default the two products with the scores."""
        pairs = batch * place.queries.size * place.keys.size * place.heads
        return 2 * pairs * (place.dim + place.value)


class Softmax(Method, type="softmax"):
    """softmax(q kᵀ · scale): every query compared with every key (arXiv:1706.03762, equation 1)."""
