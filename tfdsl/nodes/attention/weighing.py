"""What every method of attention must answer, and the usual one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.nodes.attention.places import Place
from tfdsl.parts import Choice
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class Method(Choice):
    """How attention weighs what it reads."""

    word: ClassVar[str] = ""  # how a figure says it
    weighs: ClassVar[bool] = False  # whether its layer has weights, to which `scale` and `dropout` belong
    compares: ClassVar[bool] = True  # whether each query meets each key that the mask lets it see

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report what cannot be: masks, positions and fields that the method does not honour."""

    def module(self, place: Place) -> Call | None:
        """Return its layer in the attention, called with queries, keys, values, the mask, shared sums and the cache."""
        return None

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the modules of the whole model that it reads, of the role `rank`."""
        return ()

    def weights(self, place: Place) -> Mapping[str, Weight]:
        """Return the parameters that it declares besides attention's own, by their names in the layer."""
        return {}

    def flops(self, place: Place, batch: Size) -> Size:
        """Return what stands between the projections: by default the two products with the scores."""
        pairs = batch * place.queries.size * place.keys.size * place.heads
        return 2 * pairs * (place.dim + place.value)

    def work(self, place: Place, batch: Size) -> Work | None:
        """Return what its layer costs between the projections, in place of the usual; None: the usual."""
        return None


class Softmax(Method, type="softmax"):
    """softmax(q kᵀ · scale): every query compared with every key (arXiv:1706.03762, equation 1)."""


class Alone(Method):
    """A method that never holds a table of scores: what would change single scores is refused."""

    compares = False

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report what asks for a table of scores."""
        why = self.reason(attention)
        if why:
            io.fail("T234", f"`{self.type_name}` attention {why}", "method")

    def reason(self, attention: Attention) -> str:
        """Return why it cannot do what other fields ask; nothing where it can."""
        if attention.kv is not None:
            return "reads its own sequence: leave out `kv`"
        if attention.mask.type_name not in ("full", "causal"):
            return f"never compares one query with one key, which a {attention.mask.word} mask does: `full` or `causal`"
        if attention.position.adds:
            return f"has no table of scores to which `{attention.position.type_name}` positions could be added"
        fields = ("softcap", "sinks", "talking_heads", "differential")
        asked = next((name for name in fields if getattr(attention, name) is not None), "")
        return f"has no table of scores for `{asked}`" if asked else ""
