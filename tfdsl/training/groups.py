"""Which weights move alike: by which optimiser, at which rate, with which decay; and the table that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn

from tfdsl import declared, settings
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.settings.optimizer import Group as Chosen
from tfdsl.settings.optimizer import Muon

By = Literal["adamw", "muon", "adafactor", "sgd", "frozen"]
OUTER = frozenset({"embed", "unembed", "position", "parameter", "patch"})  # kinds whose matrices are no maps
NEAR = 0.6  # parts of names that are less alike in their letters are others
NARROW = 8  # a matrix with a shorter side is a row of vectors: taps, gates of a few streams


@dataclass(frozen=True, slots=True)
class Known:
    """A weight that is trained: its `names` (tied ones have several), what it is, and whether its kind lets it decay.

    `nested` says that it stands inside a block.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    decays: bool
    nested: bool

    @property
    def name(self) -> str:
        """Return the name under which a module has it."""
        return self.names[0]

    @property
    def numbers(self) -> int:
        """Return how many numbers it has."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    @property
    def role(self) -> str:
        """Return what such weights are called in a table."""
        own = {"embed": "embeddings", "unembed": "heads", "position": "positions", "norm": "norms"}
        last = self.name.rpartition(".")[2]
        if "bias" in last:
            return "biases"
        if self.kind in own:
            return own[self.kind]
        if "norm" in self.name.rpartition(".")[0].rpartition(".")[2]:
            return "norms"
        return "matrices" if self.decays else "others"

    @property
    def turns(self) -> bool:
        """Return whether it is a matrix inside a block, which Muon can keep orthogonal steps for."""
        square = len(self.shape) == 2 and min(self.shape) >= NARROW
        return square and self.nested and self.decays and self.kind not in OUTER


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that move alike: their names in the module, `by` what, `lr` at its highest, and their decay.

    `about` is what the group is called: the patterns that chose it, and the roles of its weights.
    """

    about: str
    names: tuple[str, ...]
    numbers: int
    by: By
    lr: float
    decay: float


def known(checked: Checked) -> tuple[Known, ...]:
    """Return the weights of a sound spec that are trained."""
    every = list(declared.each_weight(checked))
    found = {
        each.name: Known((each.name,), each.weight.shape, each.kind, each.weight.decays, each.nested)
        for each in every
        if each.weight.trained and not each.weight.tied
    }
    for each in every:
        if each.weight.tied in found:
            first = found[each.weight.tied]
            found[each.weight.tied] = replace(first, names=(*first.names, each.name))
    return tuple(found.values())


def of_model(model: nn.Module) -> tuple[Known, ...]:
    """Return the weights of a module that no spec describes: those of two axes or more decay, but for embeddings."""
    kinds: dict[int, str] = {}
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            kinds[id(module.weight)] = "embed"
    found: dict[int, Known] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        if id(weight) in found:
            first = found[id(weight)]
            found[id(weight)] = replace(first, names=(*first.names, name))
        else:
            kind = kinds.get(id(weight), "")
            decays = weight.dim() >= 2 and kind != "embed"
            found[id(weight)] = Known((name,), tuple(weight.shape), kind, decays, name.count(".") > 1)
    return tuple(found.values())


def part(weights: Sequence[Known], chosen: settings.Optimizer) -> tuple[Group, ...]:
    """Part the weights into groups that move alike, in the order of their first weights."""
    found: dict[tuple[str, By, float, float], list[Known]] = {}
    for weight in weights:
        matched = [each for each in chosen.groups if _matches(each, weight)]
        by, lr, decay = _moved(weight, chosen)
        for each in matched:
            lr = lr if each.lr is None else lr * each.lr
            decay = decay if each.weight_decay is None else each.weight_decay
            by = "frozen" if each.freeze else by
        if by == "frozen":
            lr = decay = 0.0
        about = "".join(f"`{each.match}` " for each in matched)
        found.setdefault((about, by, lr, decay), []).append(weight)
    return tuple(
        Group(
            f"{about}{', '.join(dict.fromkeys(each.role for each in members))}",
            tuple(each.name for each in members),
            sum(each.numbers for each in members),
            by,
            lr,
            decay,
        )
        for (about, by, lr, decay), members in found.items()
    )


def against(weights: Sequence[Known], chosen: settings.Optimizer) -> list[tuple[str, Diagnostic]]:
    """Return what the groups name that is not there, each with its place in the spec; and whether nothing is left."""
    found: list[tuple[str, Diagnostic]] = []
    for index, each in enumerate(chosen.groups):
        if not any(_matches(each, weight) for weight in weights):
            names = [name for weight in weights for name in weight.names]
            near = nearest(each.match, names) or [names[0], names[-1]]
            help_ = f"weights are called like {' and '.join(f'`{name}`' for name in near)}; `tfdsl weights` lists them"
            problem = Diagnostic("R771", f"no weight is called `{each.match}`", label="matches nothing", help=help_)
            found.append((f"train.optimizer.groups.{index}.match", problem))
    if not found and all(group.by == "frozen" for group in part(weights, chosen)):
        problem = Diagnostic("R772", "every weight is frozen: there is nothing to train", label="of these")
        found.append(("train.optimizer.groups", problem))
    return found


def nearest(match: str, names: Sequence[str], most: int = 2) -> list[str]:
    """Return the names that are nearest to what a pattern says, by the parts between their dots."""
    ranked = sorted(dict.fromkeys(names), key=lambda name: -_alike(match, name))
    found: list[str] = []
    for name in ranked:
        if len(found) < most and _alike(match, name) > 0.5 * _alike(match, ranked[0]) > 0:
            found.append(name)
    return found


def _alike(match: str, name: str) -> float:
    """Return how much of a pattern's parts a name has, in order; a part that is alike in letters counts by these."""
    wanted, parts = [each for each in match.split(".") if each.strip("*")], name.split(".")
    score = [[0.0] * (len(parts) + 1) for _ in range(len(wanted) + 1)]
    for row, want in enumerate(wanted):
        for column, part in enumerate(parts):
            letters = 1.0 if fnmatchcase(part, want) else 0.9 * SequenceMatcher(None, want, part, False).ratio()
            same = score[row][column] + (letters if letters > NEAR else 0.0)
            score[row + 1][column + 1] = max(same, score[row][column + 1], score[row + 1][column])
    return score[-1][-1]


def table(groups: Sequence[Group]) -> str:
    """Return the groups as text: what, how many weights and numbers, by what, at which highest rate, which decay."""
    rows = [("weights", "tensors", "numbers", "moved by", "lr", "decay")]
    for each in groups:
        rate, decay = ("–", "–") if each.by == "frozen" else (f"{each.lr:g}", f"{each.decay:g}")
        rows.append((each.about, f"{len(each.names):,}", f"{each.numbers:,}", each.by, rate, decay))
    wide = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [
        "  ".join(
            text.ljust(width) if column in (0, 3) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _matches(group: Chosen, weight: Known) -> bool:
    return any(fnmatchcase(name, group.match) for name in weight.names)


def _moved(weight: Known, chosen: settings.Optimizer) -> tuple[By, float, float]:
    """Return what moves a weight that no group names, at which rate, with which decay."""
    if isinstance(chosen, Muon) and not weight.turns:
        return "adamw", chosen.rest.lr, chosen.rest.weight_decay if weight.decays else 0.0
    by: By = chosen.type_name  # type: ignore[assignment]  (the settings' types are the words of `By`)
    return by, chosen.lr, chosen.weight_decay if weight.decays else 0.0
