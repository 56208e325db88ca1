"""What a spec's `train` and `sample` sections may say, and what holds where they say nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Above = Annotated[float, Field(gt=0)]
NotBelow = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A group of settings: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tokenizer(Part):
    """How text becomes tokens."""

    type: Literal["bytes", "characters", "bpe"] = Field("bytes", description="bytes, characters, or byte-pair encoding")
    vocab_size: Count | None = Field(
        None, description="Tokens of a `bpe` vocabulary; the model's own count if left out"
    )

    @model_validator(mode="after")
    def _size_is_of_bpe(self) -> Tokenizer:
        if self.vocab_size is not None and self.type != "bpe":
            raise ValueError(f"`vocab_size` belongs to `bpe`: the data alone decide how many {self.type} there are")
        return self


class Optimizer(Part):
    """AdamW (Loshchilov and Hutter, 2019). Matrices decay; biases, norms' gains and other vectors do not."""

    type: Literal["adamw"] = "adamw"
    lr: Above = Field(1e-3, description="The highest learning rate of the schedule")
    betas: tuple[Share, Share] = Field((0.9, 0.95), description="Decay of the first and of the second moment, a step")
    weight_decay: NotBelow = Field(0.1, description="Share of a matrix that goes each step, times the learning rate")
    eps: Above = Field(1e-8, description="Added to the root of the second moment")


class Schedule(Part):
    """How the learning rate moves: it rises over `warmup` steps to `optimizer.lr`, then follows `type`."""

    type: Literal["cosine", "linear", "constant", "noam"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = Field(100, description="Steps of the rise from zero")
    minimum: NotBelow | None = Field(None, description="Learning rate at the end; a tenth of `lr` if left out")


class Evaluate(Part):
    """When the loss on held-out text is measured, and on how much of it."""

    every: Count = Field(250, description="Steps between two measurements")
    batches: Count | Literal["all"] = Field(20, description="Batches a measurement; `all` is the whole held-out text")
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Share of the text that is never trained on")
    final: bool = Field(True, description="Measure the whole held-out text at the end")


class Checkpoint(Part):
    """When weights and optimiser are saved. The best and the last are kept."""

    every: Count = Field(500, description="Steps between two checkpoints")


class Train(Part):
    """The `train` section."""

    objective: Literal["next_token", "seq2seq", "masked_token", "classify"] = "next_token"
    data: str | None = Field(None, description="A text file, a folder of text, or `stdlib` (the .py of this Python)")
    files: str = Field("*", description="Which files of a folder are read: a pattern such as `*.md`")
    tokenizer: Tokenizer = Tokenizer()
    steps: Count = Field(2000, description="Steps of the optimiser")
    minutes: Above | None = Field(None, description="End after this long if `steps` has not come first")
    batch: Count = Field(12, description="Sequences a pass")
    context: Count | None = Field(None, description="Tokens a sequence; the model's positions (or 256) if left out")
    accumulate: Count = Field(1, description="Passes whose gradients make one step")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: NotBelow = Field(1.0, description="Longest gradient (2-norm over all weights); 0 leaves it as it is")
    label_smoothing: Share = Field(0.0, description="Share of the target spread over all tokens")
    evaluate: Evaluate = Evaluate()
    checkpoint: Checkpoint = Checkpoint()
    precision: Literal["float32", "bfloat16"] = Field("float32", description="Of the products; weights stay float32")
    threads: Count | None = Field(None, description="CPU threads; as many as torch takes if left out")
    compile: bool = Field(False, description="Use torch.compile: a minute's start for about a tenth more speed")


class Sample(Part):
    """The `sample` section."""

    prompt: str = Field("\n", description="The text that the sample goes on from")
    length: Count = Field(256, description="Tokens to write")
    temperature: NotBelow = Field(1.0, description="Below 1 surer, above 1 wilder; 0 is greedy")
    top_k: Count | None = Field(None, description="Draw among the k likeliest tokens")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Draw among the fewest tokens that hold this much probability"
    )
    greedy: bool = Field(False, description="Take the likeliest token each time")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    overflow: Literal["slide", "stop"] = Field(
        "slide", description="When the context is full: read its newer half again and go on, or stop"
    )
