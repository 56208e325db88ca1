"""Which of attention's projections have a vector added."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from tfdsl.parts import Part, Truth, not_a_truth


class Biases(Part):
    """Which of the four projections have a vector added."""

    holds = True

    q: Truth = False
    k: Truth = False
    v: Truth = False
    out: Truth = False

    @model_validator(mode="before")
    @classmethod
    def _all_alike(cls, data: Any) -> Any:
        if isinstance(data, bool):
            return dict.fromkeys(("q", "k", "v", "out"), data)
        if not isinstance(data, dict | Biases):
            raise not_a_truth(data, expected="`true`, `false`, or a mapping of `q`, `k`, `v` and `out`")
        return data

    @property
    def letters(self) -> str:
        """Return which of queries, keys and values have one: `qkv`, `qv`."""
        return "".join(letter for letter, has in zip("qkv", (self.q, self.k, self.v), strict=True) if has)

    def written(self) -> Any:
        return self.q if self.q == self.k == self.v == self.out else self.given()
