"""score: how likely texts are to a model, a token at a time: its loss, bits a byte, (pseudo-)perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.diagnostics import Diagnostic
from tfdsl.heads import Unscored
from tfdsl.reading import fill, masked
from tfdsl.reading.batches import batches
from tfdsl.reading.examples import counted, few, is_pair, texts_alone
from tfdsl.reading.questions import instead
from tfdsl.reading.trained import Row, Trained
from tfdsl.sampling import aside
from tfdsl.settings.objective import Seq2seq as Chosen
from tfdsl.training import binding, head
from tfdsl.training.crossentropy import CHUNK, IGNORED
from tfdsl.training.figures import perplexity, wide
from tfdsl.training.objectives import seq2seq
from tfdsl.training.task import Place
from tfdsl.training.text_to_text import TextToText

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Token:
    """A token and how unlikely it was where it stands, in nats; None where nothing stands before it."""

    token: int
    nats: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A text by its name: the `nats` of all its tokens that count, how many they are, and its bytes of UTF-8.

    They are `pseudo` where each token was masked in turn and judged by what stands before and behind it: no chances of
    the text, for they need not sum to 1 over all texts.
    """

    name: str
    nats: float
    count: int
    bytes: int
    tokens: tuple[Token, ...] = ()
    pseudo: bool = False

    def __repr__(self) -> str:
        """Return what it came to, without its tokens."""
        kind = "pseudo-perplexity" if self.pseudo else "perplexity"
        told = f"{self.loss:.4f} nats a token, {kind} {self.perplexity:.4g}, {self.bits_a_byte:.4f} bits a byte"
        return f"Scored({self.name!r}: {told}, {self.count:,} tokens)"

    @property
    def loss(self) -> float:
        """Return the mean over the tokens that count, in nats."""
        return self.nats / max(1, self.count)

    @property
    def perplexity(self) -> float:
        """Return e to the loss."""
        return perplexity(self.loss)

    @property
    def bits_a_byte(self) -> float:
        """Return the nats of all tokens as bits, over the bytes of the text; of a text without any, no number (NaN)."""
        return self.nats / math.log(2) / self.bytes if self.bytes else math.nan


def total(scored: Iterable[Scored], name: str = "all") -> Scored:
    """Return several texts as one: each token weighs as much as any other, whatever text it is in."""
    each = list(scored)
    return Scored(
        name,
        math.fsum(one.nats for one in each),
        sum(one.count for one in each),
        sum(one.bytes for one in each),
        pseudo=any(one.pseudo for one in each),
    )


def score(
    trained: Trained,
    given: Sequence[str] | Sequence[Pair],
    *,
    window: int | None = None,
    stride: int | None = None,
    names: Sequence[str] | None = None,
) -> tuple[tuple[Scored, ...], list[Diagnostic]]:
    """Return how likely each text is, or each target given its source, and what is wrong with those left aside.

    A text is read in windows of `window` tokens, each `stride` further than the one before; of what two windows share,
    the first one counts. A token counts once, with all that the window holds before it; the first of a text has nothing
    before it, and does not count. With a stride as long as the window, which is the default, the windows are those of
    the trainer's measurements. A model of masked words judges each token, the first too, by all else in the window.
    `names` are what the texts are called in the answer, if they are not called by themselves.
    """
    said = (("window", window), ("stride", stride))
    if problems := few(given) or [fault for each in said if each[1] is not None for fault in counted(*each, "R840")]:
        return (), problems
    if len(trained.signature.texts()) > 1:
        return _answers(trained, given, window or stride, names)
    bound, problems = bind(trained)
    pseudo = bound is None and _hides(trained)
    if pseudo:
        bound, problems = fill.bind(trained)
    problems = problems or texts_alone(given) or trained.wordless() or (fill.unmasked(trained) if pseudo else [])
    most = masked.room(fill.rows(trained, bound)) if bound is not None and pseudo else trained.context
    size, step = _window(most, window, stride)
    if bound is None or (problems := problems or _against(most if pseudo else trained.most, size, step, window)):
        return (), problems
    texts = [each for each in given if isinstance(each, str)]
    faults = trained.unread(texts, aside.names(len(texts)))
    sound = [place for place in range(len(texts)) if place not in faults]
    rows = trained.tokens([texts[place] for place in sound], special=not pseudo)
    if sound and all(len(row) < 1 + (not pseudo) for row in rows):
        return (), [_nothing(rows, pseudo), *aside.told(faults)]
    found = (masked.told if pseudo else told)(trained, bound, rows, size, step)
    called = texts if names is None else names
    scored = [
        _scored(called[place], texts[place], row, nats, pseudo)
        for place, row, nats in zip(sound, rows, found, strict=True)
    ]
    return tuple(scored), aside.told(faults)


def _hides(trained: Trained) -> bool:
    """Return whether a model that looks both ways is one of masked words."""
    return not trained.signature.goes_on and fill.bind(trained)[0] is not None


def _nothing(rows: Sequence[Row], pseudo: bool) -> Diagnostic:
    which = "the text has" if len(rows) == 1 else "the texts have"
    if pseudo or not any(map(len, rows)):
        return Diagnostic("R841", f"{which} no token", label="nothing to score", help="give a text that is not empty")
    message = f"{which} one token, and a model tells how likely a token is by what stands before it"
    return Diagnostic("R841", message, label="nothing to score", help="give a text of two tokens or more")


def bind(trained: Trained) -> tuple[binding.Bound | None, list[Diagnostic]]:
    """Bind a model that foretells each token of a text by those before it, or say why it is none."""
    bound, _ = binding.text(trained.signature, "score")
    told = trained.signature.goes_on or (trained.train.objective.type_name == "next_token" and not trained.imported)
    if bound is not None and told:
        return bound, []
    takes, gives = (
        ", ".join(f"`{name}`" for name in part) for part in (trained.signature.inputs, trained.signature.outputs)
    )
    message = f"the model does not tell how likely a text is: it takes {takes} and gives {gives}"
    return None, instead(trained, [Diagnostic("R839", message, label="nothing to score")])


def _window(most: int, window: int | None, stride: int | None) -> tuple[int, int]:
    size = most if window is None else window
    return size, size if stride is None else stride


def _against(most: int | None, size: int, step: int, window: int | None) -> list[Diagnostic]:
    """Say where windows do not fit the positions that a model has for a text, or leave tokens out."""
    if window is not None and most is not None and size > most:
        message = f"windows of {size:,} tokens do not fit the model's {most:,} positions for a text"
        return [Diagnostic("R840", message, label="too long", help=f"{most:,} are the most")]
    if step > size:
        message = f"windows of {size:,} tokens that are {step:,} apart leave tokens out"
        return [Diagnostic("R840", message, label="too far apart", help="a stride is at most as long as the window")]
    return []


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text that is read: its tokens `first` to before `last`; those it foretells count from `new` on."""

    text: int
    first: int
    last: int
    new: int


def windows(text: int, length: int, size: int, step: int) -> list[Window]:
    """Return the windows over a text of `length` tokens, the last of which is read by none."""
    found: list[Window] = []
    first, new = 0, 0
    while new < length - 1:
        last = min(first + size, length - 1)
        found.append(Window(text, first, last, new))
        first, new = first + step, last
    return found


def told(trained: Trained, bound: binding.Bound, rows: Sequence[Row], size: int, step: int) -> list[Tensor]:
    """Return the nats [T - 1] of all but the first token of each text, in float64."""
    found = [torch.zeros(max(0, len(row) - 1), dtype=torch.float64) for row in rows]
    cut = [each for text, row in enumerate(rows) for each in windows(text, len(row), size, step)]
    for batch in batches([each.last - each.first for each in cut], alike=True):
        some = [cut[at] for at in batch]
        read_BT = torch.from_numpy(np.stack([rows[each.text][each.first : each.last] for each in some]))
        told_BT = torch.from_numpy(np.stack([rows[each.text][each.first + 1 : each.last + 1] for each in some]))
        with torch.inference_mode():
            given = head.given(trained.scored, bound.inputs(read_BT), bound.output)
            nats_BT = nats(given, told_BT).double()
        for each, nats_T in zip(some, nats_BT, strict=True):
            found[each.text][each.new : each.last] = nats_T[each.new - each.first :]
    return found


def nats(given: Tensor | Unscored, targets: Tensor) -> Tensor:
    """Return how unlikely each target is, in nats, 0 where it is IGNORED; scores are made some at a time."""
    x_ND, target_N = (given.x if isinstance(given, Unscored) else given).flatten(0, -2), targets.flatten()
    rows = max(1, CHUNK // (len(given.weight_VD) if isinstance(given, Unscored) else x_ND.shape[-1]))
    parts: list[Tensor] = []
    for x_CD, target_C in zip(x_ND.split(rows), target_N.split(rows), strict=True):
        score_CV = F.linear(x_CD, given.weight_VD, given.bias_V) if isinstance(given, Unscored) else x_CD
        parts.append(F.cross_entropy(wide(score_CV), target_C, reduction="none", ignore_index=IGNORED))
    return torch.cat(parts).view_as(targets)


def _scored(name: str, text: str, row: Row, nats_T: Tensor, pseudo: bool) -> Scored:
    each = nats_T.tolist() if pseudo else [None, *nats_T.tolist()][: len(row)]
    tokens = tuple(Token(token, one) for token, one in zip(row.tolist(), each, strict=True))
    return Scored(name, float(nats_T.sum()), len(nats_T), len(text.encode()), tokens, pseudo)


def _answers(
    trained: Trained, given: Sequence[str] | Sequence[Pair], cut: int | None, names: Sequence[str] | None
) -> tuple[tuple[Scored, ...], list[Diagnostic]]:
    """Return how likely each target is, given its source, and what is wrong with pairs that are left aside."""
    pairs = [each for each in given if is_pair(each)]
    if len(pairs) < len(given) or cut is not None:
        message = "the model reads a source and a target" + (", each whole" if cut is not None else "")
        help_ = 'give JSON lines such as {"source": "…", "target": "…"}' if cut is None else "leave windows out"
        return (), [Diagnostic("R836", message, label="not such", help=help_)]
    chosen = trained.train.model_copy(update={"objective": Chosen()})
    task, found = seq2seq.bind(chosen, trained.signature)
    problems = [each for _, each in found] or trained.wordless()
    if not isinstance(task, TextToText) or problems:
        return (), problems
    rows, sound, faults = _sides(trained, pairs)
    if not sound:
        return (), aside.told(faults)
    table = Table({"source": _column(rows[::2]), "target": _column(rows[1::2])}, {"target": 0})
    data = Prepared(table, table, trained.tokenizer)
    if problems := [each for _, each in task.against(data)]:
        return (), problems
    task.open(data)
    scored: dict[int, Scored] = {}
    for places in batches([len(one) + len(two) for one, two in zip(rows[::2], rows[1::2], strict=True)]):
        batch = task.batch(table, [Place(0, at) for at in places])
        with torch.inference_mode():
            given_ = head.given(trained.scored, batch.inputs, task.bound.output)
            nats_BT = nats(given_, batch.targets["tokens"]).double()
        for at, told_T, nats_T in zip(places, batch.targets["tokens"], nats_BT, strict=True):
            real_T = told_T != IGNORED
            each = tuple(Token(*one) for one in zip(told_T[real_T].tolist(), nats_T[real_T].tolist(), strict=True))
            pair = pairs[sound[at]]
            name = " → ".join(pair) if names is None else names[sound[at]]
            scored[at] = Scored(name, float(nats_T.sum()), int(real_T.sum()), len(pair[1].encode()), each)
    return tuple(scored[at] for at in range(len(sound))), aside.told(faults)


def _sides(trained: Trained, pairs: Sequence[Pair]) -> tuple[list[Row], list[int], dict[int, Diagnostic]]:
    """Return the tokens of both sides of the pairs that can be read, which these are, and what is wrong with others."""
    numbers = ["" if len(pairs) == 1 else f" of pair {number:,}" for number in range(1, len(pairs) + 1)]
    faults: dict[int, Diagnostic] = {}
    for side, name in enumerate(("source", "target")):
        faults |= trained.unread([pair[side] for pair in pairs], [f"the {name}{number}" for number in numbers])
    rows: list[Row] = []
    sound: list[int] = []
    for place in [each for each in range(len(pairs)) if each not in faults]:
        both = trained.tokens(pairs[place])
        over = [name for row, name in zip(both, ("source", "target"), strict=True) if len(row) >= trained.context]
        if over:
            size = len(both[over[0] == "target"]) + 1
            message = (
                f"the {over[0]}{numbers[place]} has {size:,} tokens with its mark, the model reads {trained.context:,}"
            )
            faults[place] = Diagnostic("R845", message, label="too long", help="shorten it: it is read whole")
        else:
            rows, sound = [*rows, *both], [*sound, place]
    return rows, sound, faults


def _column(rows: Sequence[Row]) -> Ragged:
    return Ragged(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))
