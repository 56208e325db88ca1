"""models: a run's model in the forms in which it writes: for prompts of several lengths, small, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tfdsl import building, heads, settings
from tfdsl.checking import Checked
from tfdsl.codegen.write import write
from tfdsl.diagnostics import Diagnostic
from tfdsl.heads import Leaving
from tfdsl.ragged import ragged
from tfdsl.sampling import packages
from tfdsl.sampling.decoder import Decoder
from tfdsl.sampling.layout import plain, share
from tfdsl.sampling.quick import Quick, Shop, Tell, quicken, silent
from tfdsl.sampling.reader import Opener, Reader
from tfdsl.sampling.small import Weights, shrink
from tfdsl.sampling.step import PARTED, PLAIN, Call, named


@dataclass(frozen=True, slots=True, eq=False)
class Hastened:
    """What reads prompts the fast way that was chosen; `notes` tell it, `said` what of that could not be done."""

    open: Opener
    notes: tuple[str, ...] = ()
    said: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A model, the head that is asked for some positions alone, and what was done to its weights, in words."""

    module: nn.Module
    head: Leaving | None
    note: str = ""


class Models:
    """A run's model in the forms that are asked for, each made once: all have the same weights.

    `built` is the model as it is, `fresh` makes another, whose weights may be made small.
    """

    def __init__(
        self, folder: Path, checked: Checked, built: Callable[[], nn.Module], fresh: Callable[[], nn.Module]
    ) -> None:
        self.folder, self.checked, self.built, self.fresh = folder, checked, built, fresh
        self.told = ragged(checked)
        self.forms: dict[tuple[Any, ...], Form] = {}
        self.quicks: dict[tuple[Any, ...], Quick] = {}
        self.shops: dict[tuple[Any, ...], Shop] = {}

    @property
    def ragged(self) -> bool:
        """Return whether prompts of several lengths can be read at once."""
        return self.told is not None

    def __call__(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        """Read prompts with the model as it is."""
        return self.hasten(settings.Sample(compile=False), len(prompts), False).open(prompts, room)

    def hasten(self, chosen: settings.Sample, rows: int, several: bool, tell: Tell = silent) -> Hastened:
        """Return the model with the weights and the compiled steps that are chosen, for so many rows.

        Their prompts may have `several` lengths. What takes long is told at once.
        """
        several = several and self.told is not None
        form, quick = self.quickened(chosen, rows, several, PARTED if several else PLAIN, tell)

        def parted() -> tuple[Any, Leaving | None]:
            if several and quick.compiled:
                return quick.model, form.head
            return self._parted(chosen.weights, quick.compiled)

        model: Any = form.module if several else quick.model
        reads = Decoder(model, form.head, chosen.prefill, None if self.told is None else parted)
        return Hastened(reads, quick.notes, quick.said)

    def quickened(
        self, chosen: settings.Sample, rows: int, several: bool, call: Call, tell: Tell = silent
    ) -> tuple[Form, Quick]:
        """Return the model with the weights that are chosen, and the same with compiled steps, where it has some."""
        weights, asked = chosen.weights, chosen.compile is True
        quick = Quick(None)
        if asked or (chosen.compile is None and self._kept(weights)):
            ahead = chosen.draft is not None or chosen.lookup is not None
            quick = self._quick(weights, several, rows, asked, call, tell, ahead)
        form = self.form(weights, quick.compiled)
        notes = (*([form.note] if form.note else []), *quick.notes)
        return form, replace(quick, model=quick.model if quick.compiled else form.module, notes=notes)

    def form(self, weights: Weights, by_rows: bool) -> Form:
        """Return the model with such weights, which compiled steps read row by row, and its head."""
        key = (weights, by_rows and weights != "float32")
        if key not in self.forms:
            module = self.built() if weights == "float32" else self.fresh()
            head = heads.leaving(module, heads.narrowed(self.checked))
            note = str(shrink(module, weights, by_rows)) if weights != "float32" else ""
            self.forms[key] = Form(plain(module), head, note)
        return self.forms[key]

    def _parted(self, weights: Weights, by_rows: bool) -> tuple[Any, Leaving | None]:
        """Return the model that reads prompts of several lengths, with the same weights, and its head."""
        assert self.told is not None, "it was asked"
        key = (weights, by_rows and weights != "float32", "parted")
        if key not in self.forms:
            form = self.form(weights, by_rows)
            module = share(building.meta(self.told), form.module)
            self.forms[key] = Form(module, heads.leaving(module, heads.narrowed(self.told)) or form.head)
        return self.forms[key].module, self.forms[key].head

    def _quick(
        self, weights: Weights, parted: bool, rows: int, asked: bool, call: Call, tell: Tell, ahead: bool
    ) -> Quick:
        key = (weights, parted, named(rows), asked, ahead)
        if key in self.quicks:
            return replace(self.quicks[key], notes=(), said=())
        module = self._parted(weights, True)[0] if parted else self.form(weights, True).module
        self.quicks[key] = quicken(module, self._shop(weights, parted, call), rows, asked, tell, ahead)
        return self.quicks[key]

    def _kept(self, weights: Weights) -> bool:
        """Return whether the run's folder holds compiled steps of such weights, of use or not."""
        return any((self.folder / packages.FOLDER).glob(f"*-{weights}-*.pt2"))

    def _shop(self, weights: Weights, parted: bool, call: Call) -> Shop:
        """Return where compiled steps are made and kept."""
        key = (weights, parted)
        if key not in self.shops:
            checked = self.told if parted else self.checked
            assert checked is not None, "a model is parted where it can be"
            self.shops[key] = Shop(self.folder, write(checked).text, weights, parted, call)
        return self.shops[key]
