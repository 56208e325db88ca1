"""What a spec's `train` and `sample` sections may say, and what holds where they say nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tfdsl.parts import Natural, Number, Part, Positive, PositiveReal, Truth, problem

Share = Annotated[float, Number(minimum=0, below=1)]
NotBelow = Annotated[float, Number(minimum=0)]
Seed = Annotated[int, Number(integer=True, minimum=0, below=2**31)]


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


class Optimizer(Part):
    """AdamW (Loshchilov and Hutter, 2019). Matrices decay; biases, norms' gains and other vectors do not."""

    type: Literal["adamw"] = "adamw"
    lr: PositiveReal = Field(default=1e-3, description="The highest learning rate of the schedule")
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.95), description="Decay of the first and of the second moment, a step"
    )
    weight_decay: NotBelow = Field(
        default=0.1, description="Share of a matrix that goes each step, times the learning rate"
    )
    eps: PositiveReal = Field(default=1e-8, description="Added to the root of the second moment")


class Schedule(Part):
    """How the learning rate moves: it rises over `warmup` steps to `optimizer.lr`, then follows `type`."""

    type: Literal["cosine", "linear", "constant", "noam"] = "cosine"
    warmup: Natural = Field(default=100, description="Steps of the rise from zero")
    minimum: NotBelow | None = Field(default=None, description="Learning rate at the end; a tenth of `lr` if left out")


class Evaluate(Part):
    """When the loss on held-out text is measured, and on how much of it."""

    every: Positive = Field(default=250, description="Steps between two measurements")
    batches: Annotated[Any, Number(integer=True, minimum=1, words=("all",))] = Field(
        default=20, description="Batches a measurement; `all` is the whole held-out text"
    )
    held_out: Annotated[float, Number(above=0, below=1)] = Field(
        default=0.1, description="Share of the text that is never trained on"
    )
    final: Truth = Field(default=True, description="Measure the whole held-out text at the end")


class Checkpoint(Part):
    """When weights and optimiser are saved. The best and the last are kept."""

    every: Positive = Field(default=500, description="Steps between two checkpoints")


class Train(Part):
    """The `train` section."""

    objective: Literal["next_token", "seq2seq", "masked_token", "classify"] = "next_token"
    data: str | None = Field(
        default=None, description="A text file, a folder of text, or `stdlib` (the .py of this Python)"
    )
    files: str = Field(default="*", description="Which files of a folder are read: a pattern such as `*.md`")
    tokenizer: Tokenizer = Tokenizer()
    steps: Positive = Field(default=2000, description="Steps of the optimiser")
    minutes: PositiveReal | None = Field(default=None, description="End after this long if `steps` has not come first")
    batch: Positive = Field(default=12, description="Sequences a pass")
    context: Positive | None = Field(
        default=None, description="Tokens a sequence; the model's positions (or 256) if left out"
    )
    accumulate: Positive = Field(default=1, description="Passes whose gradients make one step")
    seed: Seed = 0
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    clip: NotBelow = Field(default=1.0, description="Longest gradient (2-norm over all weights); 0 leaves it as it is")
    label_smoothing: Share = Field(default=0.0, description="Share of the target spread over all tokens")
    evaluate: Evaluate = Evaluate()
    checkpoint: Checkpoint = Checkpoint()
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Of the products (weights stay float32): `auto` is bfloat16 where the CPU multiplies it",
    )
    threads: Annotated[Any, Number(integer=True, minimum=1, words=("auto",))] | None = Field(
        default=None,
        description="CPU threads; as many as torch takes if left out; `auto` changes to one while that is faster",
    )
    compile: Truth = Field(
        default=False, description="Use torch.compile: a minute's start for about a tenth more speed"
    )


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
