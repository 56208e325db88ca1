"""What a model is trained on, and how text becomes tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tfdsl.parts import Number, Part, Positive, Truth, problem, said
from tfdsl.settings.ranges import Seed

TRAINED = ("bpe", "wordpiece", "unigram", "words")


class Tokenizer(Part):
    """How text becomes tokens: a kind that is made from the data, or a `file`."""

    headline = "type"

    type: Literal["bytes", "characters", "bpe", "wordpiece", "unigram", "words"] = Field(
        default="bytes",
        description="bytes, characters, whole words, or pieces of words: byte pairs (`bpe`), `wordpiece`, `unigram`",
    )
    file: str | None = Field(default=None, description="A `tokenizer.json` that is used as it is, in place of a type")
    vocab_size: Positive | None = Field(
        default=None, description="Most tokens of a vocabulary that is trained; the model's own count if left out"
    )
    lowercase: Truth = Field(default=False, description="Make capital letters small, where a vocabulary is trained")

    @model_validator(mode="after")
    def _belongs(self) -> Tokenizer:
        if self.file is not None and self.model_fields_set - {"file"}:
            other = sorted(self.model_fields_set - {"file"})[0]
            raise problem("D120", f"`{other}` belongs to a vocabulary that is made here: `file` is used as it is")
        if self.vocab_size is not None and self.type not in TRAINED:
            raise problem(
                "D120", f"`vocab_size` belongs to `bpe`: the data alone decide how many {self.type} there are"
            )
        if self.lowercase and self.type not in TRAINED:
            raise problem("D120", f"`lowercase` belongs to a vocabulary that is trained, not to {self.type}")
        return self


class Image(Part):
    """How images are brought to one shape."""

    headline = "size"

    size: Positive | None = Field(
        default=None,
        description="The shorter side becomes this long, and what stands over is cut off evenly; as it is if left out",
    )
    channels: Literal[1, 3] | None = Field(
        default=None,
        description="1 (grey) or 3 (red, green, blue); as the files have it if left out. Behind what is transparent "
        "stands white",
    )

    @model_validator(mode="after")
    def _does_something(self) -> Image:
        if self.size is None and self.channels is None:
            raise problem("D120", "`image` says neither a `size` nor `channels`")
        return self


@dataclass(frozen=True, slots=True)
class _Part(Number):
    """A share, or the name of a source: a text that is not made of numbers alone."""

    def read(self, value: Any) -> Any:
        """Return the share as a number in range or an expression, a source as it is."""
        if isinstance(value, str) and re.search(r"[^\d\s.*/()e+-]", value):
            return value
        return Number.read(self, value)


def _names(value: Any) -> Any:
    if isinstance(value, dict) and not all(isinstance(each, str) for pair in value.items() for each in pair):
        wrong = next(each for pair in value.items() for each in pair if not isinstance(each, str))
        raise problem("D103", f"{said(wrong)} is not the name of a column")
    return value


class Data(Part):
    """Where the examples come from, and which of them are never trained on."""

    headline = "source"

    source: str = Field(
        description="A text file or a folder of text; JSONL, CSV, TSV, Parquet or Arrow files; a folder of images, one "
        "folder a class; `.npy` arrays; a folder that `tfdsl prepare` wrote; or built in: `stdlib`, `digits`, …"
    )
    files: str = Field(default="*", description="Which files of a folder are read: a pattern such as `*.md`")
    fields: Annotated[dict[str, str], BeforeValidator(_names)] = Field(
        default={}, description="Which column is which field of the objective: `{source: question, target: answer}`"
    )
    held_out: Annotated[Any, _Part(above=0, below=1)] = Field(
        default=0.1,
        description="Share of the examples that is never trained on, or a source of its own; a source that has a "
        "part for it (`validation` or `test`) gives that where this is left out",
    )
    image: Image | None = Field(default=None, description="How images are brought to one shape: `{size: 32}`")
    size: Positive | None = Field(default=None, description="How many examples a built-in source makes")
    seed: Seed = Field(default=0, description="What the examples of a built-in source are drawn from")
    packing: Literal["cut", "whole"] = Field(
        default="cut",
        description="How `next_token` lays texts into rows: `cut` anywhere out of one long text, or `whole`, none cut "
        "that a row holds: several in a row where an input `parts` it, else one in a row, which is filled up. In "
        "`seq2seq` `whole` lays as many pairs into a row as fit, where inputs `parts` the source and the target",
    )
