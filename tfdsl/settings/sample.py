"""How text is drawn from a trained model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_serializer, model_validator

from tfdsl.parts import Natural, Number, Part, Positive, PositiveReal, Real, Truth, problem, said
from tfdsl.settings.ranges import NotBelow, Seed

Token = Annotated[int, Number(integer=True, minimum=0, bare=True)]
_NUMBERED = re.compile(r"#([0-9]{1,18})")
NUMBERED = ("logit_bias", "banned", "forced", "stop")  # the fields that speak of tokens


def _listed(value: Any) -> Any:
    """Return one text or token as a list of one."""
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _words(value: Any) -> Any:
    """Return texts, tokens and runs of tokens, each of which holds something."""
    listed = _listed(value)
    if not isinstance(listed, list | tuple):
        raise problem("D103", f"{said(value)} is not a list of texts and tokens")
    for word in listed:
        run = word if isinstance(word, list | tuple) else [word]
        tokens = all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in run)
        if word in ("", [], ()) or not (isinstance(word, str) or tokens):
            raise problem("D103", f"{said(word)} is no text, no token (a whole number) and no list of tokens")
    return tuple(tuple(word) if isinstance(word, list) else word for word in listed)


def _single(value: Any) -> Any:
    """Return texts and tokens, no runs of tokens."""
    words = _words(value)
    if run := next((word for word in words if isinstance(word, tuple)), None):
        raise problem("D103", f"{said(run)} of tokens is not a text to stop at, nor a token")
    return words


def token(word: str) -> str | int:
    """Return the token that `#84` is, where numbers cannot be told from texts; any other text as it is."""
    found = _NUMBERED.fullmatch(word)
    return int(found[1]) if found else word


def _biases(value: Any) -> Any:
    """Return a mapping; JSON has it as pairs, for its keys are texts and a token's number is none."""
    pairs: Any = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise problem("D103", f"{said(value)} is not a mapping of texts or tokens to numbers")
    for word, _ in pairs:
        _words([word] if isinstance(word, str | int) else [[]])  # a run of tokens has no score
    return dict(pairs)


Word = str | int | tuple[int, ...]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words)]

SEARCHED = ("beams", "length_penalty", "early_stopping")
FILTERS = (
    "temperature",
    "greedy",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "epsilon_cutoff",
    "eta_cutoff",
)


class Sample(Part):
    """The `sample` section."""

    prompt: str = Field(default="\n", description="The text that the sample goes on from")
    length: Positive = Field(default=256, description="Tokens to write")
    min_length: Natural = Field(default=0, description="Tokens before which no token may end the text")
    temperature: NotBelow = Field(default=1.0, description="Below 1 surer, above 1 wilder; 0 is greedy")
    greedy: Truth = Field(default=False, description="Take the likeliest token each time")
    top_k: Positive | None = Field(default=None, description="Draw among the k likeliest tokens")
    top_p: Annotated[float, Number(above=0, maximum=1)] | None = Field(
        default=None, description="Draw among the fewest tokens that hold this much probability"
    )
    min_p: Annotated[float, Number(minimum=0, maximum=1)] | None = Field(
        default=None, description="Draw among the tokens that are this share as likely as the likeliest, or more"
    )
    typical_p: Annotated[float, Number(above=0, maximum=1)] | None = Field(
        default=None,
        description="Draw among the tokens whose surprise is nearest to the expected one, which hold this probability",
    )
    top_n_sigma: PositiveReal | None = Field(
        default=None, description="Draw among the tokens whose score is within so many standard deviations of the best"
    )
    epsilon_cutoff: Annotated[float, Number(above=0, below=1)] | None = Field(
        default=None, description="Draw among the tokens that are at least so likely, and the likeliest"
    )
    eta_cutoff: Annotated[float, Number(above=0, below=1)] | None = Field(
        default=None,
        description="Draw among the tokens that are at least so likely, and where many are likely among less likely "
        "ones too",
    )
    repetition_penalty: PositiveReal = Field(
        default=1.0,
        description="Above 1, tokens of the prompt and the text become less likely: a positive score is divided by it, "
        "a negative one multiplied",
    )
    presence_penalty: Real = Field(
        default=0.0, description="Taken from the score of each token that was written, once; the prompt does not count"
    )
    frequency_penalty: Real = Field(
        default=0.0,
        description="Taken from a token's score each time that it was written; the prompt does not count",
    )
    logit_bias: Annotated[dict[str | int, Real], BeforeValidator(_biases)] = Field(
        default={}, description="Added to the scores of tokens: of a text that is one token, or of a token's number"
    )
    banned: Words = Field(
        default=(), description="Never written: texts, tokens by number, and lists of tokens in a row"
    )
    no_repeat_ngram: Positive | None = Field(
        default=None, description="Never write so many tokens in a row that the prompt and the text hold already"
    )
    forced: Words = Field(
        default=(), description="What the text begins with, as if it had been drawn: texts and tokens"
    )
    stop: Annotated[tuple[str | int, ...], BeforeValidator(_single)] = Field(
        default=(), description="What the text ends before: texts, and tokens by number"
    )
    seed: Seed = Field(default=0, description="The same seed gives the same text; the n-th sample has seed + n - 1")
    n: Positive = Field(default=1, description="Texts to write for each prompt")
    logprobs: Natural | None = Field(
        default=None, description="Tell each token's log-probability by the model alone, and those of so many likeliest"
    )
    context: Positive | None = Field(
        default=None, description="Most positions to read at once; those that the model was trained on if left out"
    )
    overflow: Literal["slide", "stop"] = Field(
        default="slide", description="When the context is full: read its newer half again and go on, or stop"
    )
    prefill: Positive = Field(default=2048, description="Positions of a prompt that are read at once")
    weights: Literal["float32", "bfloat16", "int8"] = Field(
        default="float32",
        description="What linear maps round their weights to: less is read faster where it pays, and loses more",
    )
    compile: Truth | None = Field(
        default=None,
        description="Compile the step of one token and keep it in the run's folder (minutes at most, once); false: not "
        "even use one that is there",
    )
    batch: Positive = Field(default=16, description="Most texts that are written at once")

    draft: str | None = Field(
        default=None, description="The folder of a smaller run, which guesses tokens ahead: same chances, fewer reads"
    )
    lookup: Positive | None = Field(
        default=None,
        description="Guess what followed the newest tokens, at most so many, where they stood before in the text",
    )
    ahead: Positive = Field(default=8, description="The most tokens that are guessed at once; fewer behind wrong ones")
    beams: Positive | None = Field(
        default=None, description="Search for the likeliest text with so many beginnings side by side; nothing is drawn"
    )
    length_penalty: Real = Field(
        default=1.0,
        description="A found text's score is its log-probability over its length to this power: 0 for the likeliest, "
        "above 1 for longer ones",
    )
    early_stopping: Literal["enough", "likely", "never"] = Field(
        default="likely",
        description="When a search ends: with as many texts as beams, when no beginning is better now, when none can "
        "become better",
    )

    @field_serializer("logit_bias", when_used="json")
    def _pairs(self, biases: dict[str | int, float]) -> list[tuple[str | int, float]]:
        return list(biases.items())

    @model_validator(mode="after")
    def _belongs(self) -> Sample:
        sizes: tuple[Any, Any] = (self.min_length, self.length)  # an expression is known later
        if all(isinstance(each, int) for each in sizes) and sizes[0] > sizes[1]:
            raise problem("D120", f"`min_length` is {self.min_length}, and `length` allows {self.length} tokens")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Sample:
        ways = [name for name in ("draft", "lookup", "beams") if getattr(self, name) is not None]
        if len(ways) > 1:
            message = f"`{ways[0]}` and `{ways[1]}` are two ways to write a text"
            raise problem("D129", message, help="choose one of them")
        for name in ("ahead", "length_penalty", "early_stopping"):
            guessed = name == "ahead"
            if self.said(name) and (not ways or guessed == (ways == ["beams"])):
                wanted, way = ("`draft` or `lookup`", "guessed") if guessed else ("`beams`", "searched")
                raise problem("D129", f"`{name}` belongs to {wanted}, and nothing is {way} here")
        if self.beams is not None:
            self._searched(self.beams)
        return self

    def _searched(self, beams: Any) -> None:
        """Refuse what a search does not do."""
        drawn = [name for name in (*FILTERS, "seed") if self.said(name)]
        if drawn:
            message = f"`{drawn[0]}` is of tokens that are drawn, and `beams` draws none"
            raise problem("D129", message, help=f"leave `{drawn[0]}` or `beams` out")
        if self.logprobs is not None or any(isinstance(word, str) for word in self.stop):
            name = "logprobs" if self.logprobs is not None else "stop"
            message = f"`{name}` looks at a text while it is written, and `beams` writes it when it is found"
            raise problem("D129", message, help=f"leave `{name}` out; a text may stop at a token's number")
        if all(isinstance(each, int) for each in (self.n, beams)) and self.n > beams:
            message = f"`n` asks for {self.n} texts, and {beams} beams find {beams}"
            raise problem("D129", message, help=f"`beams: {self.n}` or more")

    def said(self, name: str) -> bool:
        """Return whether something was said of a field, were it what holds where nothing is said."""
        return name in self.model_fields_set and getattr(self, name) is not None


def anew(kept: Sample, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said of sampling, with what is said now before it.

    Who asks for one way to write a text now need not take back what was said of another.
    """
    left = set[str]()
    if chosen.get("beams") is not None:
        left |= {*FILTERS, "seed", "draft", "lookup", "ahead", "logprobs"}
    elif chosen.get("draft") is not None or chosen.get("lookup") is not None:
        left |= {*SEARCHED, "draft", "lookup"}
    elif any(chosen.get(name) is not None for name in (*FILTERS, "seed", "logprobs")):
        left |= {*SEARCHED}  # it draws
    return {**{name: value for name, value in kept.given().items() if name not in left}, **chosen}
