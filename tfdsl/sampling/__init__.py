"""Write text with a trained model."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.sampling.generate import Cache, Decoder, generate
from tfdsl.sampling.layout import ready
from tfdsl.sampling.stream import stream

__all__ = ["Cache", "Decoder", "generate", "against", "ready", "sample", "stream"]


def against(signature: Signature) -> list[Diagnostic]:
    """Return why a model does not go on from a text, if it does not."""
    if signature.goes_on:
        return []
    takes, gives = (", ".join(f"`{name}`" for name in part) for part in (signature.inputs, signature.outputs))
    message = f"the model does not go on from a text: it takes {takes} and gives {gives}"
    help_ = "one that does takes tokens [B, T], gives [B, T, V], and looks back alone (`mask: causal`)"
    return [Diagnostic("R713", message, label="nothing to sample", help=help_)]


def sample(
    model: Decoder,
    tokenizer: Tokenizer | None,
    chosen: settings.Sample,
    context: int | None = None,
    end: Collection[int] = (),
) -> tuple[Iterator[str] | None, list[Diagnostic]]:
    """Return the text that follows `chosen.prompt`, piece by piece as it is drawn, or what is wrong with the prompt.

    `context` is the most positions that the model can hold. A note says so where the text will be longer than that.
    `end` are tokens that end a text besides the tokenizer's own mark.
    """
    if tokenizer is None:
        help_ = "put the `tokenizer.json` of the model into the run's folder"
        return None, [Diagnostic("R732", "the run has no tokenizer, so it reads and writes no text", help=help_)]
    unknown = tokens.unknown(tokenizer, chosen.prompt)
    if unknown:
        names = ", ".join(repr(letter) for letter in unknown[:5])
        message = f"the prompt holds characters that the model never saw: {names}"
        return None, [Diagnostic("R711", message, help="write the prompt in characters of the training text")]
    mark = tokenizer.token_to_id(tokens.END)
    start = tokenizer.encode(chosen.prompt).ids or ([] if mark is None else [mark])
    if not start:
        return None, [Diagnostic("R712", "the prompt is empty", help="give at least one character to start from")]
    drawn = generate(
        model,
        start,
        length=chosen.length,
        temperature=chosen.temperature,
        top_k=chosen.top_k,
        top_p=chosen.top_p,
        greedy=chosen.greedy,
        seed=chosen.seed,
        stop={*end, *([] if mark is None else [mark])},
        context=context,
        slide=chosen.overflow == "slide",
    )
    return stream(drawn, tokens.pieces(tokenizer)), _limits(len(start), chosen, context)


def _limits(start: int, chosen: settings.Sample, context: int | None) -> list[Diagnostic]:
    if context is None or start + chosen.length <= context:
        return []
    message = f"{start:,} tokens of prompt and {chosen.length:,} more do not fit the model's {context:,} positions"
    if chosen.overflow == "slide":
        help_ = f"each time they are full, the newest {max(1, context // 2):,} are read again and the rest is forgotten"
    else:
        help_ = (
            f"the text ends when they are full, after {max(1, context - start + 1):,} tokens; `overflow: slide` goes on"
        )
    return [Diagnostic("I671", message, help=help_)]
