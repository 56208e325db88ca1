"""How a model is trained: the `train` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tfdsl.parts import Number, Part, Positive, PositiveReal, Truth, located, problem
from tfdsl.settings.data import Data, Tokenizer
from tfdsl.settings.idle import idle
from tfdsl.settings.objective import NextToken, Objective
from tfdsl.settings.optimizer import AdamW, Average, Find, Optimizer
from tfdsl.settings.ranges import NotBelow, Seed, Share
from tfdsl.settings.schedule import Cosine, Schedule

Feed = Literal["text", "segments", "places", "keep", "source", "target"]
Reports = Annotated[
    tuple[Literal["tensorboard", "wandb"], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]


class Evaluate(Part):
    """When the loss on held-out examples is measured, and on how many of them."""

    every: Positive = Field(default=250, description="Steps between two measurements")
    batches: Annotated[Any, Number(integer=True, minimum=1, words=("all",))] = Field(
        default=20, description="Batches a measurement; `all` is all that is held out"
    )
    final: Truth = Field(default=True, description="Measure on all that is held out at the end")
    generate: Annotated[int, Number(integer=True, minimum=0)] | None = Field(
        default=None,
        description="Held-out examples that a `seq2seq` model writes itself, for the share of exact matches; 200 if "
        "left out",
    )
    patience: Positive | None = Field(
        default=None, description="End after so many measurements in a row without a better one; never if left out"
    )
    min_delta: NotBelow = Field(default=0.0, description="What is better by no more than this is not better, in nats")


class Checkpoint(Part):
    """When weights and optimiser are saved. The best and the last are kept."""

    every: Positive = Field(default=500, description="Steps between two checkpoints")


class Train(Part):
    """The `train` section."""

    objective: Objective = Field(default=NextToken(), description="What is minimised: a type, or `{type: …}`")
    data: Data | None = Field(default=None, description="What is trained on: a source, or `{source: …}`")
    tokenizer: Tokenizer = Tokenizer()
    output: str | None = Field(
        default=None, description="The model's output that is trained, where it has several that may be meant"
    )
    inputs: dict[str, Feed] = Field(
        default={},
        description="What feeds an input of the model whose name does not tell: `{kinds: segments}`; of `text`, "
        "`segments`, `places`, `keep` (1 where a position is real), `source`, `target`",
    )
    steps: Positive = Field(default=2000, description="Steps of the optimiser")
    minutes: PositiveReal | None = Field(default=None, description="End after this long if `steps` has not come first")
    batch: Positive = Field(default=12, description="Examples a pass, over all processes")
    context: Positive | None = Field(
        default=None, description="Most tokens of an example; the model's positions (or 256) if left out"
    )
    accumulate: Positive = Field(default=1, description="Passes whose gradients make one step")
    memory: Literal["checked", "any"] = Field(
        default="checked",
        description="`checked` refuses a run whose step is estimated to need more than twice all memory of the "
        "machine, and would be killed; `any` begins it",
    )
    seed: Seed = 0
    optimizer: Optimizer = Field(default=AdamW(), description="What moves the weights: a type, or `{type: …}`")
    schedule: Schedule = Field(default=Cosine(), description="How the learning rate moves: a type, or `{type: …}`")
    clip: NotBelow = Field(default=1.0, description="Longest gradient (2-norm over all weights); 0 leaves it as it is")
    label_smoothing: Share = Field(default=0.0, description="Share of the target spread over all tokens")
    z_loss: NotBelow = Field(
        default=0.0, description="Add this · mean(ln² Z), Z the sum that softmax divides by; 1e-4 in PaLM"
    )
    average: Average | None = Field(
        default=None, description="Measure and keep a moving average of the weights: its decay, or `{decay: …}`"
    )
    evaluate: Evaluate = Evaluate()
    checkpoint: Checkpoint = Checkpoint()
    find_lr: Find = Find()
    precision: Literal["auto", "float32", "bfloat16", "bfloat16_weights"] = Field(
        default="auto",
        description="Of the products (weights stay float32): `auto` is bfloat16 where the machine multiplies it. With "
        "`bfloat16_weights` the model's weights are too, and float32 copies of them are what the optimiser moves",
    )
    threads: Annotated[Any, Number(integer=True, minimum=1, words=("auto",))] | None = Field(
        default=None,
        description="CPU threads; as many as torch takes if left out; `auto` changes to one while that is faster",
    )
    report: Reports = Field(default=(), description="Where the log is told besides: `tensorboard`, `wandb`, or both")
    compile: Literal["auto", True, False] = Field(
        default="auto",
        description="Use torch.compile: `auto` does so on a GPU; on a CPU it costs half a minute and gains little",
    )

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the model lies; `auto` is a GPU where there is one, one for each process"
    )
    parallel: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        description="Of several processes (`torchrun`): each has all weights (`ddp`, as `auto`), or a part (`fsdp`)",
    )
    recompute: Literal["none", "blocks"] = Field(
        default="none",
        description="`blocks` keeps nothing of a block for the backward pass: less memory, a third more work",
    )

    @model_validator(mode="after")
    def _all_is_honoured(self) -> Train:
        for each in idle(self):
            raise located(problem("D129", each.message, help=each.help), each.path, None)
        return self
