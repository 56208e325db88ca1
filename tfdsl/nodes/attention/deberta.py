"""DeBERTa's positions: contents and distances are compared apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.nodes.attention.distance import alone
from tfdsl.nodes.attention.places import Place, Relative
from tfdsl.parts import Name, Positive, PositiveReal, Truth

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class Deberta(Relative, type="deberta"):
    """Contents are compared with contents, with distances, and distances with contents (arXiv:2006.03654).

    The score of query i and key j is (q_i · k_j + q_i · K r + k_j · Q r) · scale, r being the row for the distance d =
    i − j of a table that all layers share, [2n, D] with n = `buckets`, or `max_distance` without buckets: row d + n,
    held between 0 and 2n − 1. With buckets, distances up to m = n/2 have a row each, and farther ones ±(m + ⌈ln(|d|/m)
    / ln((max_distance − 1)/m) · (m − 1)⌉). `scale` is 1/√(3 · head_dim) if left out, and 1/√(2 · head_dim) with one of
    the two `terms`. Q and K are the matrices of the queries and keys, with their biases (`project: shared`: v2, v3), or
    this attention's own (`project: own`: v1). The other fields of attention that it honours are `heads`, `head_dim`,
    `bias`, `mask` and `dropout`. DeBERTa v1: `{type: deberta, max_distance: 512, project: own, query_bias: true}` and
    `bias: {q: true, v: true, out: true}`; v2 and v3: `{type: deberta, max_distance: 512, buckets: 256, norm: 1e-7}` and
    `bias: true`.
    """

    word = "disentangled"
    adds = True
    max_distance: Positive = Field(
        512, description="Distances from here on share the last row (`max_relative_positions`)."
    )
    buckets: Positive | None = Field(
        None, description="The rows for each side, those of far distances widening (`position_buckets`)."
    )
    terms: Literal["both", "content_to_position", "position_to_content"] = Field(
        "both", description="Whether q · K r (c2p), k · Q r (p2c) or both are added (`pos_att_type`)."
    )
    project: Literal["shared", "own"] = Field(
        "shared", description="Whether distances pass the matrices of queries and keys, or two more (`share_att_key`)."
    )
    key_bias: Truth = Field(False, description="With `project: own`: whether K has a bias (v2: true, v1: false).")
    query_bias: Truth = Field(False, description="With `project: own`: whether Q has a bias (v1 and v2: true).")
    norm: PositiveReal | None = Field(
        None, description="The eps of a LayerNorm over the table; none if left out (`norm_rel_ebd: layer_norm`)."
    )
    share: Name = Field("distances", description="The name of the table; attention that names another has another.")

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        super().check(io, attention, heads, dim)
        alone(io, attention, self.type_name)
        if self.project == "shared" and attention.bias.letters not in ("", "qkv"):
            io.fail("T248", "distances pass the projections of queries and keys: all have a bias, or none has", "bias")
        for name in ("key_bias", "query_bias"):
            if getattr(self, name) and (self.project == "shared" or not self._has(name)):
                io.fail("T247", f"`{name}` is of a matrix of its own, and there is none", "position")
        if self.buckets is not None and (self.buckets < 4 or self.max_distance - 1 <= self.buckets // 2):
            io.fail(
                "T245",
                f"{self.buckets} buckets up to a distance of {self.max_distance} leave none for far distances",
                "position",
                help="give at least 4 `buckets`, and a `max_distance` of more than half of them",
            )

    def _has(self, name: str) -> bool:
        return self.terms != ("position_to_content" if name == "key_bias" else "content_to_position")

    @property
    def span(self) -> int:
        """Return the rows for each side."""
        return self.max_distance if self.buckets is None else self.buckets

    @property
    def count(self) -> int:
        """Return how many terms are added."""
        return 2 if self.terms == "both" else 1

    def shares(self, place: Place) -> tuple[Shared, ...]:
        weights = {"weight": Weight((2 * self.span, place.width), decays=False)}
        if self.norm is not None:
            weights["norm.weight"] = Weight((place.width,), "ones", decays=False)
            weights["norm.bias"] = Weight((place.width,), "zeros", decays=False)
        call = Call("DistanceTable", (2 * self.span, place.width), {} if self.norm is None else {"eps": self.norm})
        kept = 0 if self.norm is None else 2 * self.span * (place.width + 2)
        return (Shared("table", self.share, call, place.here, place.there, weights, Work(kept=kept)),)

    def layer(self, attention: Attention, place: Place) -> Call:
        scale = (place.dim * (1 + self.count)) ** -0.5 if attention.scale is None else attention.scale
        named: dict[str, Any] = {"head_dim": None if place.dim * place.heads == place.width else place.dim}
        named |= {"bias": attention.bias.letters, "out_bias": attention.bias.out, "dropout": attention.dropout}
        named |= {"farthest": None if self.buckets is None else self.max_distance, "terms": self.terms}
        named |= {"own": self.project == "own", "key_bias": self.key_bias, "query_bias": self.query_bias}
        return Call("DisentangledAttention", (place.width, place.heads, scale, self.span), named)

    def weights(self, place: Place) -> Mapping[str, Weight]:
        if self.project == "shared":
            return {}
        size, found = place.heads * place.dim, dict[str, Weight]()
        for name, biased in (("key", self.key_bias), ("query", self.query_bias)):
            if self._has(f"{name}_bias"):
                found[f"place_{name}.weight"] = Weight((size, place.width))
                found |= {f"place_{name}.bias": Weight((size,), "zeros", decays=False)} if biased else {}
        return found

    def work(self, place: Place, batch: Size) -> Work:
        size, rows = place.heads * place.dim, 2 * self.span
        queries = place.queries.size if self._has("key_bias") else 0
        keys = place.keys.size if self._has("query_bias") else 0
        made, looked = self.count * rows * size, batch * place.heads * (queries + keys) * rows
        kept = looked + batch * (queries + keys) * size + batch * made + 2 * place.queries.size * place.keys.size
        return Work(flops=2 * made * place.width + 2 * looked * place.dim, kept=kept)
