"""Attention whose weights are products of features: linear attention and Performer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tfdsl.node import Call, Size, Weight, Work
from tfdsl.nodes.attention.local import parts
from tfdsl.nodes.attention.places import Place
from tfdsl.nodes.attention.weighing import Alone
from tfdsl.parts import Natural, Number, Positive
from tfdsl.shapes import either

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class Kernel(Alone):
    """What linear attention and Performer have in common."""

    chunk: Positive = Field(
        128, description="Causal: how many positions are compared with each other; sums go from chunk to chunk."
    )

    def reason(self, attention: Attention) -> str:
        if attention.dropout:
            return "has no weights that `dropout` could take out: dropout on what it gives is that of `residual`"
        return super().reason(attention)

    def count(self, place: Place) -> int:
        """Return how many features a query has: as many as a head."""
        return place.dim

    def _module(self, place: Place, **named: Any) -> Call:
        named |= {"causal": True, "chunk": self.chunk} if place.causal else {}
        named |= {"shared": place.heads // place.groups} if place.groups != place.heads else {}
        return Call("LinearAttention", (), named)

    def work(self, place: Place, batch: Size) -> Work:
        """Return the products with sums of keys and values, the divisor one of the values."""
        length, count, value = place.queries.size, self.count(place), place.value + 1
        heads, sums = batch * place.heads, count * value
        held = heads * length + batch * length * self.held(place)
        if not place.causal:
            kept = heads * (2 * length * (count + value) + sums)
            return Work(flops=4 * heads * length * sums, kept=kept + held)
        chunks = parts(length, self.chunk)
        filled = chunks * self.chunk
        pairs = either(length, self.chunk, filled * self.chunk, length * length)
        flops = 2 * pairs * (count + value) + either(length, self.chunk, 4 * filled * sums, 0)
        kept = pairs + 2 * either(length, self.chunk, filled, length) * (count + value)
        kept += either(length, self.chunk, chunks * sums, 0)
        if place.queries.parts:
            # What goes from chunk to chunk without other documents, and which places are of others.
            held += heads * either(length, self.chunk, 2 * filled * count, 0) + batch * pairs // 4
        return Work(flops=heads * flops, kept=heads * kept + held, cache=heads * sums)

    def held(self, place: Place) -> int:
        """Return how many elements of a position are kept of what features are made of."""
        raise NotImplementedError


class Linear(Kernel, type="linear"):
    """sum_j f(q_i) · f(k_j) v_j / sum_j f(q_i) · f(k_j): each query's features meet sums over keys (arXiv:2006.16236).

    The cost grows as the length does, and a generated token costs the same whatever came before: the cache holds one
    matrix a head. Queries and keys get their norm and their rotation first, then `feature`; `scale` has no part in it.
    """

    word = "linear"
    feature: Literal["elu", "relu", "relu2", "exp", "sigmoid", "softplus"] = Field(
        "elu", description="f: `elu` is elu(x) + 1, as in the paper; `relu2` is relu(x)²; the others are what they say."
    )

    def reason(self, attention: Attention) -> str:
        if attention.scale is not None:
            return "has no scores that `scale` could multiply"
        return super().reason(attention)

    def held(self, place: Place) -> int:
        if self.feature in ("elu", "softplus"):
            return (place.heads + 2 * place.groups) * place.dim
        if self.feature == "relu2":
            return (place.heads + place.groups) * place.dim
        return place.groups * place.dim if place.groups != place.heads else 0

    def module(self, place: Place) -> Call:
        return self._module(place, feature=self.feature)


class Performer(Kernel, type="performer"):
    """Linear attention with random features that stand for softmax's (FAVOR+, arXiv:2009.14794).

    f(x) = exp(w · x' - |x'|² / 2) for each of `features` rows w, with x' = x · √scale; products of f(q) and f(k) are
    exp(scale · q · k) on the average over the draw. Rows are orthogonal within each `head_dim` of them, and as long as
    normal ones. They are drawn when the model is made, kept with the weights and never trained.
    """

    word = "performer"
    features: Positive = Field(256, description="How many random features a query has.")
    seed: Natural = Field(
        0, description="What the draw depends on; give layers seeds of their own with `vary` (`seed: layer`)."
    )
    kernel: Literal["softmax", "relu"] = Field(
        "softmax", description="`relu`: f(x) = relu(w · x') instead (the paper's generalized attention)."
    )
    eps: Annotated[float, Number(minimum=0)] = Field(
        0.0, description="Is added to every feature; the paper's code has 1e-6 for softmax and 1e-3 for `relu`."
    )

    def count(self, place: Place) -> int:
        return self.features

    def module(self, place: Place) -> Call:
        named: dict[str, Any] = {"kernel": self.kernel, "eps": self.eps}
        return self._module(place, features=Call("RandomFeatures", (place.dim, self.features, place.scale), named))

    def weights(self, place: Place) -> Mapping[str, Weight]:
        start = f"draw_features(weight, {self.seed})"
        shape = (self.features, place.dim)
        return {"method.features.projection": Weight(shape, start, decays=False, trained=False)}

    def work(self, place: Place, batch: Size) -> Work:
        """Return what is read of the sums, and the products with the random rows."""
        inner = super().work(place, batch)
        rows = batch * place.queries.size * (place.heads + place.groups)
        drawn = 2 * rows * self.features * place.dim
        # What features are and what the chunks hold of them are kept apart.
        again = either(place.queries.size, self.chunk, 3, 1) if place.causal else 0
        kept = inner.kept + again * batch * place.queries.size * place.heads * self.features
        return Work(inner.flops + drawn, kept, inner.cache, fixed=drawn)

    def held(self, place: Place) -> int:
        made = place.groups * place.dim if self.kernel == "softmax" else 0
        if self.eps:
            return made + (place.heads + place.groups) * self.features
        return made + (place.groups * self.features if place.groups != place.heads else 0)
