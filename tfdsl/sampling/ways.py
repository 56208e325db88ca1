"""ways: how texts are written, as the settings say: token by token, with guesses, or by beams."""

from __future__ import annotations

from tokenizers import Tokenizer

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling.beam import Beams, Searching
from tfdsl.sampling.generate import generate
from tfdsl.sampling.generation import Write
from tfdsl.sampling.lookup import Lookup
from tfdsl.sampling.reader import Opener
from tfdsl.sampling.smaller import Smaller
from tfdsl.sampling.speculative import Dice, Drafting, Guessing, Law


def way(chosen: settings.Sample, draft: Drafting | None = None) -> Write:
    """Return how texts are written; `draft` is what guesses, where another model does."""
    if chosen.beams is not None:
        return Searching(Beams(chosen.beams, chosen.length_penalty, chosen.early_stopping), chosen.n)
    if chosen.lookup is not None:
        return Guessing(_looked_up(chosen.lookup), chosen.ahead)
    return generate if draft is None else Guessing(draft, chosen.ahead)


def _looked_up(longest: int) -> Drafting:
    def begin(room: int, vocab: int, law: Law, dice: Dice) -> Lookup:
        return Lookup(longest)

    return begin


def smaller(opener: Opener, context: int | None) -> Drafting:
    """Return what guesses by another model, which holds `context` positions (None: any number)."""

    def begin(room: int, vocab: int, law: Law, dice: Dice) -> Smaller:
        return Smaller(opener, room if context is None else min(room, context), vocab, law, dice)

    return begin


def unlike(tokenizer: Tokenizer | None, drafts: Tokenizer | None) -> list[Diagnostic]:
    """Return why a draft cannot guess for a model, by the tokenizers of both: a token must be the same text."""
    if tokenizer is None or drafts is None:
        message, help_ = (
            "a run without a tokenizer cannot guess for another",
            "put the `tokenizer.json` into its folder",
        )
        return [Diagnostic("R851", message, help=help_)]
    ours, theirs = tokenizer.get_vocab(), drafts.get_vocab()
    if ours == theirs:
        return []
    other = sum(theirs.get(piece) != token for piece, token in ours.items())
    message = f"the draft reads other tokens: {other:,} of the model's {len(ours):,} are others in its vocabulary"
    help_ = "train it with the model's own: `train: {tokenizer: {file: RUN/tokenizer.json}}`"
    return [Diagnostic("R851", message, label="another tokenizer", help=help_)]
