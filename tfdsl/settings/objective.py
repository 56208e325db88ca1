"""What a model is trained to do: a class a type, its fields the objective's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tfdsl.parts import Choice, Natural, Number, Positive, PositiveReal, Truth, problem
from tfdsl.settings.ranges import NotBelow, known

Part = Annotated[float, Number(above=0, below=1)]
Whole = Annotated[float, Number(minimum=0, maximum=1)]


class Objective(Choice):
    """What is minimised."""

    default_type = "next_token"


class NextToken(Objective, type="next_token"):
    """The cross-entropy of each token given those before it (Radford et al., 2018).

    Examples are text; of examples with a `prompt` and an `answer`, the answer's tokens alone count.
    """


class Seq2seq(Objective, type="seq2seq"):
    """The cross-entropy of a `target` text given a `source` (Sutskever et al., 2014; Vaswani et al., 2017)."""


class MaskedToken(Objective, type="masked_token"):
    """The cross-entropy of tokens that were hidden (Devlin et al., 2019)."""

    share: Part = Field(default=0.15, description="Share of the tokens that are to be told")
    masked: Whole = Field(default=0.8, description="Share of those that become the mask")
    random: Whole = Field(default=0.1, description="Share of those that become a random token; the rest stay")

    @model_validator(mode="after")
    def _rest_is_left(self) -> MaskedToken:
        if known(self.masked, self.random) and self.masked + self.random > 1:
            raise problem("R794", f"{self.masked:g} become the mask and {self.random:g} a random token: more than all")
        return self


class SpanCorruption(Objective, type="span_corruption"):
    """The cross-entropy of the stretches that were cut out of a text, each behind its mark (Raffel et al., 2020)."""

    share: Part = Field(default=0.15, description="Share of the tokens that are cut out")
    length: PositiveReal = Field(default=3.0, description="Mean length of a stretch, in tokens")


class ReplacedToken(Objective, type="replaced_token"):
    """The binary cross-entropy of whether a token was replaced by another one (Clark et al., 2020).

    The replacements are drawn by how often tokens occur.
    """

    share: Part = Field(default=0.15, description="Share of the tokens that are drawn anew")


class Classify(Objective, type="classify"):
    """The cross-entropy of an example's `label`: of a text (one, or a pair) or of an image.

    Images are brought to mean 0 and deviation 1 of each channel, as the training images have them; what is done to
    them besides is drawn anew for each image in each epoch, and never done to what is held out.
    """

    shift: Natural = Field(default=0, description="Most pixels that an image is moved by, either way, along each side")
    flip: Truth = Field(default=False, description="Mirror half of the images, left to right")
    noise: NotBelow = Field(default=0.0, description="Deviation of the noise that is added to each normalised pixel")


class ExtractSpan(Objective, type="extract_span"):
    """The cross-entropy of where the answer to a question starts and ends in a passage (Devlin et al., 2019).

    A passage that is too long is read in windows that overlap by half; one without the answer points to its first
    position.
    """

    longest: Positive = Field(default=30, description="Most tokens of an answer that is given")


class Contrastive(Objective, type="contrastive"):
    """The cross-entropy of which of a batch's `positive` belongs to a `query`, and the other way round.

    A model that ends in one vector [B, D] is asked for the cosines of texts; one that gives scores [N, M] itself, for
    the scores of texts and images (van den Oord et al., 2018; Radford et al., 2021).
    """

    temperature: PositiveReal = Field(
        default=0.05, description="What cosines are divided by; a model that gives scores has its own"
    )


class Preference(Objective, type="preference"):
    """Direct preference optimisation: `chosen` over `rejected`, as answers to a `prompt` (Rafailov et al., 2023).

    The model that the run starts `--from` is what the answers' probabilities are compared with.
    """

    beta: PositiveReal = Field(default=0.1, description="How much a departure from the first model costs")
