"""A generation: the texts that a model writes behind prompts, piece by piece, and what was done to draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tfdsl.diagnostics import Diagnostic
from tfdsl.faults import RunError
from tfdsl.sampling.beam import Searching
from tfdsl.sampling.draw import Stream, Undrawable
from tfdsl.sampling.generate import Drawn, End, Plan, Text, generate
from tfdsl.sampling.reader import Opener
from tfdsl.sampling.speculative import Guessing, Tally
from tfdsl.sampling.text import Writer

Write = Callable[[Opener, Sequence[Text], Plan], Iterator[Drawn]]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one token adds to the text `row`: `text` may be empty, and the last piece of a row says why it is the `end`.

    Row `r` is sample `r % n` of prompt `r // n`. `logprob` is the natural logarithm of the token's probability by the
    model alone, before penalties, temperature and filters, and `likeliest` are the likeliest tokens with theirs. The
    token that ended a text has a piece too; its `text` is what was held back before it, or empty. The last piece of a
    text that beams found has its `score`: its log-probability over its length to the power of `length_penalty`.
    """

    row: int
    token: int
    text: str
    end: End | None = None
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()
    score: float | None = None


@dataclass(slots=True, eq=False)
class Generation:
    """Texts that are being written: iterate over their pieces, or take whole `texts()`. They are drawn once.

    `write` is how: token by token, with guesses, or by beams; `notes` tell of other weights and compiled steps. The
    texts are `joined` to their prompts where they go on from them, and not where they are written for a source.
    `places` are those of the prompts that are written to, among all that were asked.
    """

    open: Opener
    plan: Plan
    starts: Sequence[Sequence[int]]
    pieces: Sequence[bytes]
    stops: tuple[str, ...] = ()
    n: int = 1
    seed: int = 0
    write: Write = generate
    notes: tuple[str, ...] = ()
    joined: bool = True
    places: tuple[int, ...] = ()
    _written: list[str] = field(init=False)
    _coming: Iterator[Piece] = field(init=False)

    def __post_init__(self) -> None:
        self._written = [""] * (len(self.starts) * self.n)
        self._coming = self._run()

    def __repr__(self) -> str:
        """Return how many texts there are and how they are drawn, and nothing of the model."""
        prompts = f"{len(self.starts)} prompt{'s' * (len(self.starts) != 1)}"
        each = f"{self.n} text{'s' * (self.n != 1)} each"
        return f"Generation({prompts}, {each}, at most {self.plan.length:,} tokens: {', '.join(self.chain)})"

    @property
    def chain(self) -> tuple[str, ...]:
        """Return what is done to the scores before a token is drawn, stage by stage in order."""
        last = "greedy" if self.plan.greedy else "draw"
        if isinstance(self.write, Guessing):
            last += f", {self.write.ahead} guessed ahead"
        elif isinstance(self.write, Searching):
            last = f"beams {self.write.beams.count}"
        return (*(stage.name for stage in self.plan.stages), last)

    @property
    def tally(self) -> Tally | None:
        """Return what guessing was worth so far, where tokens are guessed."""
        return self.write.tally if isinstance(self.write, Guessing) else None

    def written(self, token: int) -> bytes:
        """Return the bytes that a token writes."""
        return self.pieces[token] if token < len(self.pieces) else b""

    def __iter__(self) -> Iterator[Piece]:
        return self._coming

    def texts(self) -> list[str]:
        """Return the texts, those of the first prompt before those of the second, once all are written."""
        for _ in self._coming:
            pass
        return list(self._written)

    def _run(self) -> Iterator[Piece]:
        writers = [Writer(self.pieces, self.stops) for _ in self._written]
        texts: list[Text] = []
        for row, writer in enumerate(writers):
            stream = Stream(self.seed + row % self.n)
            texts.append(Text(row, list(self.starts[row // self.n]), stream, _Watch(writer)))
        for drawn in self._drawn(texts):
            watch = texts[drawn.row].watch
            assert isinstance(watch, _Watch), "it was made above"
            ended = drawn.token in self.plan.end or drawn.token in self.plan.stop
            text = "" if ended else watch.text
            if drawn.end is not None:
                text += watch.writer.finish()
            self._written[drawn.row] += text
            told = (drawn.end, drawn.logprob, drawn.likeliest, drawn.score)
            yield Piece(drawn.row, drawn.token, text, *told)

    def _drawn(self, texts: Sequence[Text]) -> Iterator[Drawn]:
        """Yield the tokens of the texts; raises RunError where nothing can be drawn."""
        try:
            yield from self.write(self.open, texts, self.plan)
        except Undrawable as error:
            raise RunError([Diagnostic("R817", f"no token can be drawn: {error}", help=error.help)]) from None


@dataclass(slots=True)
class _Watch:
    """Write each token that is drawn, and say whether the text stops there."""

    writer: Writer
    text: str = ""

    def __call__(self, token: int) -> bool:
        self.text = self.writer.take(token)
        return self.writer.stopped
