"""Write text with a trained model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.sampling.chain import Processor, chain
from tfdsl.sampling.decoder import Decoder
from tfdsl.sampling.generate import Plan, generate
from tfdsl.sampling.generation import Generation, Piece
from tfdsl.sampling.layout import ready
from tfdsl.sampling.reader import Opener, Reader

__all__ = ["Decoder", "Generation", "Opener", "Piece", "Plan", "Reader", "against", "begin", "generate", "ready"]


def against(signature: Signature) -> list[Diagnostic]:
    """Return why a model does not go on from a text, if it does not."""
    if signature.goes_on:
        return []
    takes, gives = (", ".join(f"`{name}`" for name in part) for part in (signature.inputs, signature.outputs))
    message = f"the model does not go on from a text: it takes {takes} and gives {gives}"
    help_ = "one that does takes tokens [B, T], gives [B, T, V], and looks back alone (`mask: causal`)"
    return [Diagnostic("R713", message, label="nothing to sample", help=help_)]


def begin(
    open_: Opener,
    tokenizer: Tokenizer | None,
    chosen: settings.Sample,
    prompts: Sequence[str],
    own: Sequence[Processor] = (),
    context: int | None = None,
    end: Collection[int] = (),
    ragged: bool = False,
) -> tuple[Generation | None, list[Diagnostic]]:
    """Return the texts that follow the prompts, to be drawn as they are asked for, or what is wrong with a prompt.

    `context` is the most positions that the model can hold. A note says so where a text will be longer than that. `own`
    are processors of the user's own; `end` are tokens that end a text besides the tokenizer's own mark.
    """
    if tokenizer is None:
        help_ = "put the `tokenizer.json` of the model into the run's folder"
        return None, [Diagnostic("R732", "the run has no tokenizer, so it reads and writes no text", help=help_)]
    mark = tokenizer.token_to_id(tokens.END)
    starts: list[list[int]] = []
    for prompt in prompts:
        unknown = tokens.unknown(tokenizer, prompt)
        if unknown:
            names = ", ".join(repr(letter) for letter in unknown[:5])
            message = f"the prompt holds characters that the model never saw: {names}"
            return None, [Diagnostic("R711", message, help="write the prompt in characters of the training text")]
        start = tokenizer.encode(prompt).ids or ([] if mark is None else [mark])
        if not start:
            return None, [Diagnostic("R712", "the prompt is empty", help="give at least one character to start from")]
        starts.append(start)
    plan = Plan(
        length=chosen.length,
        stages=chain(chosen, own),
        greedy=chosen.greedy or chosen.temperature == 0,
        end=frozenset({*end, *([] if mark is None else [mark])}),
        context=context,
        slide=chosen.overflow == "slide",
        ragged=ragged,
    )
    longest = max(map(len, starts), default=0)
    found = Generation(open_, plan, starts, tokens.pieces(tokenizer), seed=chosen.seed)
    return found, _limits(longest, chosen, context)


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
