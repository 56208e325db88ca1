"""Positions that add to the scores what the distance of a query and a key is worth."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.node import Call, Shared, Size, Weight, Work
from tfdsl.nodes.attention.places import Place, Relative
from tfdsl.parts import Name, Positive


class T5Buckets(Relative, type="t5"):
    """A learned number for each head and bucket of distances is added to the scores (arXiv:1910.10683, section 2.1)."""

    word = "relative"
    adds = True
    buckets: Positive = Field(32, description="How many distances are told apart.")
    max_distance: Positive = Field(128, description="Distances from here on share one bucket.")
    share: Name | None = Field(None, description="All attention that names the same table has one; else each its own.")

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the table, where the spec gives it a name."""
        if self.share is None:
            return ()
        call = self._call("T5Bias", place)
        weights = {"weight": Weight((self.buckets, place.heads), decays=False)}
        work = Work(kept=self._ids(place))
        return (Shared("bias", self.share, call, place.here, place.there, weights, work),)

    def module(self, place: Place) -> Call | None:
        """Return a table of its own, where it has no name."""
        return self._call("T5Scores", place) if self.share is None else None

    def weights(self, place: Place) -> Mapping[str, Weight]:
        """Return the weights of a table of its own."""
        if self.share is not None:
            return {}
        return {"relative.table.weight": Weight((self.buckets, place.heads), decays=False)}

    def work(self, place: Place, batch: Size) -> Work:
        """Return the bucket of each pair, which is kept."""
        return Work(kept=self._ids(place)) if self.share is None else Work()

    def _call(self, layer: str, place: Place) -> Call:
        named = {"buckets": self.buckets, "max_distance": self.max_distance, "causal": place.causal}
        return Call(layer, (place.heads,), named)

    def _ids(self, place: Place) -> Size:
        return 2 * place.queries.size * place.keys.size  # an id counts as two
