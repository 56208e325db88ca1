"""What a model is trained on, and how text becomes tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfdsl.parts import Number, Part, Positive, problem


class Tokenizer(Part):
    """How text becomes tokens."""

    headline = "type"

    type: Literal["bytes", "characters", "bpe"] = Field(
        default="bytes", description="bytes, characters, or byte-pair encoding"
    )
    vocab_size: Positive | None = Field(
        default=None, description="Tokens of a `bpe` vocabulary; the model's own count if left out"
    )

    @model_validator(mode="after")
    def _size_is_of_bpe(self) -> Tokenizer:
        if self.vocab_size is not None and self.type != "bpe":
            raise problem(
                "D120", f"`vocab_size` belongs to `bpe`: the data alone decide how many {self.type} there are"
            )
        return self


class Data(Part):
    """Where the examples come from, and which of them are never trained on."""

    headline = "source"

    source: str = Field(description="A text file, a folder of text, or `stdlib` (the .py of this Python)")
    files: str = Field(default="*", description="Which files of a folder are read: a pattern such as `*.md`")
    held_out: Annotated[float, Number(above=0, below=1)] = Field(
        default=0.1, description="Share of the examples that is never trained on"
    )
    packing: Literal["cut", "whole"] = Field(
        default="cut",
        description="How `next_token` lays texts into rows: `cut` anywhere out of one long text, or `whole`, none cut "
        "that a row holds: several in a row where an input `parts` it, else one in a row, which is filled up",
    )
