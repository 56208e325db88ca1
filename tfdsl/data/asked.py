"""What a preparation is asked for: all that decides which numbers come out of it."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from tfdsl import settings
from tfdsl.data.wanted import Wanted
from tfdsl.diagnostics import Span


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Data as settings name them, and what the objective and the model want of them.

    `vocab` is the model's token count and `pad` its pad. A model that was trained before brings its `own` tokenizer,
    and the tokens that `end` a text with it; `where` is where the spec says how many tokens there are.
    """

    data: settings.Data
    tokenizer: settings.Tokenizer
    wanted: Wanted
    vocab: int
    own: Tokenizer | None = None
    end: tuple[int, ...] = ()
    pad: int | None = None
    where: Span | None = None

    @property
    def share(self) -> float:
        """Return the share that is held out, where no source of its own is."""
        return self.data.held_out if isinstance(self.data.held_out, float) else 0.1

    @property
    def apart(self) -> str:
        """Return the setting that names the source which is held out."""
        return "train.data.held_out" if isinstance(self.data.held_out, str) else "train.data.source"
