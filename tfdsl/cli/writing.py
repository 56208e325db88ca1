"""writing: texts of a model as they come, on a terminal or as JSON, and how fast they came."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from tfdsl.cli.output import remark

if TYPE_CHECKING:
    from tfdsl import settings
    from tfdsl.sampling import Generation, Piece
    from tfdsl.sampling.prompts import Asked
    from tfdsl.sampling.speculative import Tally
    from tfdsl.sampling.talk import Talk


class Said:
    """What was written so far: plain text as it comes, or a JSON object a text."""

    def __init__(self, as_json: bool, verbose: bool) -> None:
        self.as_json, self.verbose = as_json, verbose
        self.prompts = 0
        self.tokens = 0
        self.seconds = 0.0
        self.first: float | None = None
        self.chains: list[tuple[str, ...]] = []
        self.tallies: list[Tally] = []
        self.open = False  # whether the last line is not ended
        self.answering: Whole | None = None

    def texts(self, generation: Generation, asked: Sequence[Asked], chosen: settings.Sample, alone: bool) -> None:
        """Write the texts of a generation: one as it comes, several each when it is whole, in their order."""
        streamed = alone and not self.as_json
        texts = [Whole(each.prompt, each.place, sample) for each in asked for sample in range(chosen.n)]
        waiting = deque([] if self.as_json else texts)
        if streamed and generation.joined:
            self._echo(asked[0].prompt)
        for piece in self._timed(generation):
            text = texts[piece.row]
            text.take(piece)
            if streamed:
                self._echo(piece.text)
            elif self.as_json and text.end is not None:
                self._object(text.described(generation, chosen))
            while waiting and waiting[0].end is not None:
                self._whole(waiting.popleft(), generation, streamed, chosen.n > 1)

    def answer(self, generation: Generation, talk: Talk, chosen: settings.Sample) -> None:
        """Write an answer as it comes, and let the conversation hear it."""
        text = self.answering = Whole(talk.messages[-1]["content"], self.prompts, 0)
        self.prompts += 1
        for piece in self._timed(generation):
            text.take(piece)
            if not self.as_json:
                self._echo(piece.text)
        talk.heard(text.text)
        self.answering = None
        if self.as_json:
            self._object(text.described(generation, chosen))
        else:
            self.pause()
            self._logprobs(text, generation)

    def stopped(self, talk: Talk) -> None:
        """End an answer that Ctrl-C has stopped; the conversation goes on behind what there is of it."""
        text, self.answering = self.answering, None
        self.pause()
        remark("(stopped: Ctrl-C or Ctrl-D here ends the conversation)")
        talk.broken(text.text if text is not None else "")

    def finish(self) -> None:
        """End the last line, and say how fast it was where that is wanted."""
        self.pause()
        if not self.verbose:
            return
        for chain in dict.fromkeys(self.chains):
            remark(" → ".join(chain))
        for tally in self.tallies:
            remark(str(tally))
        if self.first is not None:
            rate = self.tokens / self.seconds if self.seconds else 0.0
            remark(
                f"{self.tokens:,} tokens in {self.seconds:.2f} s: {rate:,.0f} a second, the first after "
                f"{1000 * self.first:,.0f} ms; {_peak()}"
            )

    def _timed(self, generation: Generation) -> Iterator[Piece]:
        """Yield the pieces, and count what they take."""
        self.chains.append(generation.chain)
        if generation.tally is not None:
            self.tallies.append(generation.tally)
        before = perf_counter()
        for piece in generation:
            now = perf_counter()
            self.first = now - before if self.first is None else self.first
            self.seconds, before = self.seconds + now - before, now
            self.tokens += 1
            yield piece
            before = perf_counter()

    def _whole(self, text: Whole, generation: Generation, streamed: bool, several: bool) -> None:
        """Write a text that is done, or what there is to say of one that was streamed."""
        if streamed:
            self.pause()
        else:
            number = f"{text.prompt + 1}.{text.sample + 1}" if several else f"{text.prompt + 1}"
            self._echo(f"[{number}] {text.start if generation.joined else ''}{text.text}\n")
        self._logprobs(text, generation)

    def _echo(self, text: str) -> None:
        if text:
            click.echo(text, nl=False)
            sys.stdout.flush()
            self.open = not text.endswith("\n")

    def pause(self) -> None:
        """End the last line, if it is not ended: what comes is no part of the text."""
        if self.open:
            self.open = False
            click.echo()

    def _object(self, held: dict[str, Any]) -> None:
        click.echo(json.dumps(held, ensure_ascii=False))
        sys.stdout.flush()

    def _logprobs(self, text: Whole, generation: Generation) -> None:
        """Write each token with its log-probability and the likeliest ones with theirs, where they were asked for."""
        for piece in text.pieces:
            if piece.logprob is None:
                continue
            likely = "  ".join(f"{log:.3f} {_quoted(token, generation)}" for token, log in piece.likeliest)
            self._echo(
                f"{piece.logprob:9.3f} {_quoted(piece.token, generation)}{f'  of  {likely}' if likely else ''}\n"
            )


class Whole:
    """A text that grows: sample `sample` (from 0) of the prompt with this number."""

    def __init__(self, start: str, prompt: int, sample: int) -> None:
        self.start, self.prompt, self.sample = start, prompt, sample
        self.text, self.end, self.score = "", None, None
        self.tokens: list[int] = []
        self.pieces: list[Piece] = []

    def take(self, piece: Piece) -> None:
        """Add a piece."""
        self.text += piece.text
        self.end, self.score = piece.end, piece.score
        self.tokens.append(piece.token)
        if piece.logprob is not None:
            self.pieces.append(piece)

    def described(self, generation: Generation, chosen: settings.Sample) -> dict[str, Any]:
        """Return the text as a JSON object."""
        held: dict[str, Any] = {
            "index": self.prompt,
            "sample": self.sample,
            "prompt": self.start,
            "text": self.text,
            "end": self.end,
            "tokens": self.tokens,
            "seed": chosen.seed + self.sample if chosen.beams is None else None,
            "chain": list(generation.chain),
        }
        if self.score is not None:
            held["score"] = self.score
        if self.pieces:
            held["logprobs"] = [
                {
                    "token": piece.token,
                    "bytes": list(generation.written(piece.token)),
                    "logprob": piece.logprob,
                    "likeliest": [{"token": token, "logprob": log} for token, log in piece.likeliest],
                }
                for piece in self.pieces
            ]
        return held


def typed() -> bool:
    """Return whether somebody types, and sees what is asked of them."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def lines() -> Iterator[str]:
    """Yield what the user says: lines of standard input, after `user: ` on a terminal; blank ones are passed over.

    There Ctrl-C and Ctrl-D end it.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (the shell closed it: `<&-`)
        return
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a line that is no text is told, and the next one is read
    ask = _typing() if typed() else sys.stdin.readline
    while line := ask():
        if any("\ud800" <= letter <= "\udfff" for letter in line):
            remark("tfdsl: that line is no text in UTF-8, and is left out")
        elif line.strip():
            yield line.rstrip("\n")


def _typing() -> Callable[[], str]:
    """Return what asks for a line, and gives an empty text where there is no more: the line can be edited."""
    import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]

    def ask() -> str:
        try:
            if sys.stdout.isatty():
                return input("user: ") + "\n"
            click.echo("user: ", nl=False, err=True)  # what is written goes elsewhere
            line = sys.stdin.readline()
            return line or click.echo(err=True) or ""
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return ""

    return ask


def _quoted(token: int, generation: Generation) -> str:
    """Return the text of a token in quotes, its number where it writes none."""
    written = generation.written(token)
    return json.dumps(written.decode("utf-8", "replace"), ensure_ascii=False) if written else f"#{token}"


def _peak() -> str:
    """Return the most memory that the process held."""
    try:
        import resource
    except ImportError:  # not on Windows
        return "memory is not known here"
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f"{most / 2**20:,.0f} MiB of memory at most"
