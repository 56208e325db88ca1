"""answers: a trained model that writes a text for a source (a text, or a sound) as an author, for the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tfdsl.data import values
from tfdsl.diagnostics import Diagnostic
from tfdsl.disk import reason
from tfdsl.reading.trained import Trained
from tfdsl.roles import Signature
from tfdsl.sampling.answering import Answering
from tfdsl.sampling.aside import short
from tfdsl.sampling.begin import Author, Starts
from tfdsl.training import binding, sound_to_text
from tfdsl.training.text_to_text import Ends, filled, writing

START = "decoder_start_token_id"  # what a checkpoint's config calls the token that every text begins with


def writes(signature: Signature) -> bool:
    """Return whether a model may be one that writes a text for a source."""
    return len(signature.texts()) == 2 or sound_to_text.sound(signature) is not None


def author(
    trained: Trained, end: Sequence[int] = (), config: Mapping[str, Any] | None = None
) -> tuple[Author | None, list[Diagnostic]]:
    """Return the model as one that writes, or why it is none.

    `end` are tokens that end a text besides the tokenizer's own, `config` that of the checkpoint that it was.
    """
    signature = trained.signature
    heard = sound_to_text.sound(signature)
    pair, found = binding.pair(signature, "sample") if heard is None else sound_to_text.pair(signature, heard)
    if pair is None:
        return None, [each for _, each in found]
    ends, problems = _ends(trained, end, config or {})
    if ends is None:
        return None, problems
    sources = _Texts(trained, pair, ends.end) if heard is None else _Sounds(pair, ends.start)
    target = pair.target.words
    axis = target.shape[1]
    limit = axis if isinstance(axis, int) else signature.limits.get(axis)
    example = (sources.example, target.name)
    opener = Answering(trained.model, writing(pair, ends), sources.inputs, limit, *example)
    ragged = heard is not None or pair.source.words.pad is not None or bool(pair.source.masks)
    last = tuple(dict.fromkeys((ends.end, *end)))
    tokenizer, vocab = trained.tokenizer, target.vocab
    known = trained.train.context if heard is None else None
    return Author(opener, tokenizer, vocab, known, limit, end=last, ragged=ragged, sources=sources.read), []


def _ends(trained: Trained, end: Sequence[int], config: Mapping[str, Any]) -> tuple[Ends | None, list[Diagnostic]]:
    """Return the tokens that every text begins and ends with, as training and the checkpoint have them."""
    start = config.get(START) if isinstance(config.get(START), int) else trained.mark("start")
    last = next(iter(end), trained.mark("end"))
    if trained.tokenizer is None or (start is not None and last is not None):
        return Ends(start or 0, last or 0), []
    name = "start" if start is None else "end"
    message = f"the tokenizer has no mark for the {name} of a text, which the model needs to write one"
    return None, [Diagnostic("R844", message, label="no mark", help="train the model, and it is given one")]


class _Texts:
    """Sources that are texts: tokens and the mark `end`, as in training."""

    def __init__(self, trained: Trained, pair: binding.Pair, end: int) -> None:
        self.trained, self.pair, self.end = trained, pair, end

    def read(self, prompts: Sequence[str], names: Sequence[str]) -> Starts:
        """Return the tokens of the sources that can be read, and what is wrong with others, by their place."""
        faults = self.trained.unread(prompts, names)
        axis = self.pair.source.words.shape[1]
        most = axis if isinstance(axis, int) else self.trained.signature.limits.get(axis)
        sound = [place for place in range(len(prompts)) if place not in faults]
        found: dict[int, list[int]] = {}
        for place, row in zip(sound, self.trained.tokens([prompts[each] for each in sound], special=True), strict=True):
            start = row.tolist() if row.size and row[-1] == self.end else [*row.tolist(), self.end]
            if most is not None and len(start) > most:
                message = f"{names[place]} has {len(start):,} tokens with its mark, and the model reads {most:,}"
                faults[place] = Diagnostic("R845", message, label="too long", help="shorten it: a source is read whole")
            else:
                found[place] = start
        return found, faults

    def inputs(self, prompts: Sequence[Sequence[int]]) -> Mapping[str, Tensor]:
        """Return sources as inputs of the model, filled up to the longest."""
        rows = [np.array(each, np.int64) for each in prompts]
        source_BS, keep_BS = filled(rows, self.pair.source.words.pad or 0)
        return self.pair.source.inputs(source_BS, keep_BS)

    def example(self, rows: int, size: int) -> Mapping[str, Tensor]:
        """Return inputs of so many sources of a size."""
        return self.inputs([[0] * size] * rows)


class _Sounds:
    """Sources that are arrays of numbers, in `.npy` files; each is told from the rest by the length of its prompt."""

    def __init__(self, pair: binding.Pair, start: int) -> None:
        self.pair, self.start = pair, start
        self.sounds: list[Tensor] = []

    def read(self, prompts: Sequence[str], names: Sequence[str]) -> Starts:
        """Return a prompt for each file that can be read, and what is wrong with others, by their place."""
        found: dict[int, list[int]] = {}
        faults: dict[int, Diagnostic] = {}
        for place, name in enumerate(prompts):
            sound = self._sound(name)
            if isinstance(sound, Diagnostic):
                faults[place] = sound
            else:
                self.sounds.append(sound)
                found[place] = [self.start] * len(self.sounds)
        return found, faults

    def _sound(self, name: str) -> Tensor | Diagnostic:
        """Return the array in a file, or what is wrong with it."""
        shape = self.pair.source.words.shape[1:]
        try:
            array = values.numbers(np.load(name, allow_pickle=False))
        except OSError as error:
            return Diagnostic("R846", f"`{short(name)}` cannot be read: {reason(error)}", help=NUMBERS)
        except (ValueError, EOFError, values.Unfit) as error:
            said = str(error) if isinstance(error, values.Unfit) else "is no array"
            return Diagnostic("R846", f"`{short(name)}` {said}", help=NUMBERS)
        if len(array.shape) != len(shape) or any(
            isinstance(want, int) and want != got for want, got in zip(shape, array.shape, strict=True)
        ):
            told = " × ".join(map(str, array.shape)), " × ".join(map(str, shape))
            return Diagnostic("R846", f"`{short(name)}` is {told[0]}, the model takes {told[1]}", help=NUMBERS)
        return torch.from_numpy(array)

    def inputs(self, prompts: Sequence[Sequence[int]]) -> Mapping[str, Tensor]:
        """Return sounds as the input of the model."""
        return {self.pair.source.words.name: torch.stack([self.sounds[len(each) - 1] for each in prompts])}

    def example(self, rows: int, size: int) -> Mapping[str, Tensor]:
        """Return so many sounds, of a size where the model says none."""
        words = self.pair.source.words
        shape = [each if isinstance(each, int) else size for each in words.shape[1:]]
        return {words.name: torch.zeros(rows, *shape)}


NUMBERS = "the source of this model is an array of numbers, such as a spectrogram: a file that `numpy.save` wrote"
