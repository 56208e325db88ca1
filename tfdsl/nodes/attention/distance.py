"""Positions that queries and keys look at: vectors for distances, compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Size, Weight, Work
from tfdsl.nodes.attention.places import Place, Relative
from tfdsl.parts import Natural, Truth

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention

HONOURED = frozenset({"heads", "kv_heads", "head_dim", "kv", "mask", "position", "scale", "bias", "dropout"})


class Shaw(Relative, type="shaw"):
    """Each query is compared with a learned vector for its distance to the key too (arXiv:1803.02155).

    With r = key − query, held between −max_distance and `ahead`, the score is q · (k + a_r) · scale. All heads have the
    same vectors: row r + max_distance of a table [max_distance + ahead + 1, head_dim]. With `values` there is a second
    table b, and v + b_r is read in place of v, as in the paper; of attention's other fields it then honours `head_dim`,
    `scale`, `bias`, `mask` and `dropout`. As in w2v-BERT 2.0 (64 back, 8 ahead); BERT's `relative_key` has no limit
    (max_distance: its longest sequence less one) and its rows in the other order; `both` is its `relative_key_query`.
    """

    word = "relative"
    adds = True
    max_distance: Natural = Field(16, description="Keys that stand farther back share one vector.")
    ahead: Natural | None = Field(
        None, description="Keys that stand farther ahead share one vector; `max_distance` if left out."
    )
    both: Truth = Field(
        False,
        description="Whether keys are compared with the vector too: q · k + q · a + k · a (`relative_key_query`).",
    )

    values: Truth = Field(False, description="Whether values have vectors for distances too.")

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        super().check(io, attention, heads, dim)
        if self.values:
            alone(io, attention, "shaw")
        elif self.both:
            whole(io, attention, "`both`")

    @property
    def rows(self) -> int:
        """Return how many distances are told apart."""
        return self.max_distance + self.front + 1

    @property
    def front(self) -> int:
        """Return how far ahead distances are told apart."""
        return self.max_distance if self.ahead is None else self.ahead

    def layer(self, attention: Attention, place: Place) -> Call | None:
        if not self.values:
            return None
        named: dict[str, Any] = {"head_dim": None if place.dim * place.heads == place.width else place.dim}
        named |= {"bias": attention.bias.letters, "out_bias": attention.bias.out, "dropout": attention.dropout}
        sizes = (place.width, place.heads, self.max_distance, self.front, place.scale)
        return Call("ShawAttention", sizes, {**named, "both": self.both})

    def module(self, place: Place) -> Call:
        named: dict[str, Any] = {"both": True} if self.both else {}
        return Call("ShawScores", (place.dim, self.max_distance, self.front, place.scale), named)

    def weights(self, place: Place) -> Mapping[str, Weight]:
        table = Weight((self.rows, place.dim), decays=False)
        return {"key_rows": table, "value_rows": table} if self.values else {"relative.weight": table}

    def work(self, place: Place, batch: Size) -> Work:
        sides = place.queries.size + (place.keys.size if self.both else 0)
        looked = batch * place.heads * sides * self.rows
        kept = looked + batch * place.heads * sides * place.dim + 2 * place.queries.size * place.keys.size
        read = batch * place.heads * place.queries.size * self.rows if self.values else 0
        if self.values and (place.causal or place.keys.keep is not None):
            kept += batch * place.heads * place.queries.size * place.keys.size  # the weights once more, masked
        return Work(flops=2 * (looked + read) * place.dim, kept=kept + read)


class TransformerXL(Relative, type="transformer_xl"):
    """Queries are compared with sinusoids of the distance, and keys count by themselves (arXiv:1901.02860).

    The score is ((q + u) · k + (q + v) · W R_d) · scale, d = query − key. R_d is as wide as the features: sines and
    cosines of d / 10000^(2i/D). W is a matrix, u and v are vectors for each head, all of them learned and this
    attention's own. There are no memory segments. As in Transformer-XL with `untie_r`, XLNet, and (with `style:
    interleaved`) the Conformers of Wav2Vec2 and Parakeet.
    """

    word = "relative"
    adds = True
    style: Literal["concatenated", "interleaved"] = Field(
        "concatenated", description="All sines before all cosines, as in the released code, or in turn."
    )

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        super().check(io, attention, heads, dim)
        whole(io, attention, "`transformer_xl` positions")
        if io.width() % 2:
            io.fail("T208", f"sines and cosines come in pairs, and the width {io.width()} is odd", "position")

    def module(self, place: Place) -> Call:
        named = {"style": self.style, "causal": place.causal}
        return Call("TransformerXLScores", (place.width, place.heads, place.dim, place.scale), named)

    def weights(self, place: Place) -> Mapping[str, Weight]:
        vector = Weight((place.heads, place.dim), "zeros", decays=False)
        matrix = Weight((place.heads * place.dim, place.width))
        return {"relative.position.weight": matrix, "relative.u": vector, "relative.v": vector}

    def work(self, place: Place, batch: Size) -> Work:
        here, there, size = batch * place.queries.size, batch * place.keys.size, place.heads * place.dim
        far = place.keys.size + (1 if place.causal else place.queries.size)
        made, seen = 2 * far * place.width * size, 2 * here * size * far
        # Queries with v, keys with all beside them, the rows for each sequence, and sinusoids.
        kept = here * size + there * 3 * size + batch * size * far + far * place.width
        return Work(flops=made + seen, fixed=made, kept=kept)


def whole(io: Ports, attention: Attention, what: str) -> None:
    """Report key heads that several query heads share, where keys meet something of each query head."""
    if attention.groups != attention.heads:
        io.fail(
            "T244",
            f"{what} compare each head's keys with vectors of its own, and {attention.heads} query heads share "
            f"{attention.groups} key heads",
            "position",
            help="leave `kv_heads` out, or take another position",
        )


def alone(io: Ports, attention: Attention, what: str) -> None:
    """Report fields that an attention which a position makes of its own does not honour."""
    whole(io, attention, f"`{what}` positions")
    for name, field in type(attention).model_fields.items():
        if name not in HONOURED and name not in Node.model_fields and getattr(attention, name) != field.default:
            io.fail(
                "T248",
                f"`{what}` positions make an attention of their own, which knows no `{name}`",
                name,
                help="leave it out, or take another position",
            )
