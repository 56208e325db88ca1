"""How text is drawn from a trained model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tfdsl.parts import Number, Part, Positive, Truth
from tfdsl.settings.ranges import NotBelow, Seed


class Sample(Part):
    """The `sample` section."""

    prompt: str = Field(default="\n", description="The text that the sample goes on from")
    length: Positive = Field(default=256, description="Tokens to write")
    temperature: NotBelow = Field(default=1.0, description="Below 1 surer, above 1 wilder; 0 is greedy")
    top_k: Positive | None = Field(default=None, description="Draw among the k likeliest tokens")
    top_p: Annotated[float, Number(above=0, maximum=1)] | None = Field(
        default=None, description="Draw among the fewest tokens that hold this much probability"
    )
    greedy: Truth = Field(default=False, description="Take the likeliest token each time")
    seed: Seed = 0
    overflow: Literal["slide", "stop"] = Field(
        default="slide", description="When the context is full: read its newer half again and go on, or stop"
    )
