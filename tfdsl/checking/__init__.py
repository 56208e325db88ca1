"""One walk over a spec: shapes, names and sizes, and all that is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfdsl import expressions
from tfdsl.checking import cycles, extents, promises
from tfdsl.checking.report import Report
from tfdsl.checking.scope import Scope
from tfdsl.checking.walk import Walk
from tfdsl.diagnostics import Diagnostic, collect
from tfdsl.document import Document
from tfdsl.node import Instance, Shared, Value
from tfdsl.spec import Init, Spec
from tfdsl.spec import read as read_spec

if TYPE_CHECKING:
    from tfdsl.mapping.plan import Planned
    from tfdsl.settings import Sample, Train

MENDED = frozenset({"Y011", "Y013", "Y022", "Y023"})  # after these mistakes, what was meant is known nevertheless


@dataclass(frozen=True)
class Checked:
    """A spec that was checked. Where `ok` is false, only the diagnostics can be relied on.

    `streams` stand in an order in which they can be computed; `limits` holds the most positions of a symbolic axis;
    `pads` the token that stands for nothing, of each input that has one; `planned` what the `weights` section says of
    each weight. `training` and `sampling` are the sections `train` and `sample`, where the spec has them.
    """

    spec: Spec | None
    document: Document
    diagnostics: tuple[Diagnostic, ...]
    dims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    outputs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    streams: Mapping[str, Instance] = field(default_factory=dict[str, Instance])
    shared: Mapping[str, Shared] = field(default_factory=dict[str, Shared])
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    pads: Mapping[str, int] = field(default_factory=dict[str, int])
    init: Init = Init()
    training: Train | None = None
    sampling: Sample | None = None
    planned: tuple[Planned, ...] = ()

    def __repr__(self) -> str:
        """Return its name, its file, and how many errors and warnings there are."""
        counts = Counter(each.severity for each in self.diagnostics)
        told = ", ".join(f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in ("error", "warning"))
        name = "" if self.spec is None else f"{self.spec.name}, "
        return f"Checked({name}{self.document.file!r}: {told})"

    def __str__(self) -> str:
        """Return what `tfdsl check` prints of it."""
        from tfdsl import report

        return report.render(self.diagnostics, self.document.texts).rstrip("\n") or repr(self)

    @property
    def train(self) -> Train:
        """Return the settings of the trainer, those that hold unsaid where the spec has none."""
        from tfdsl.settings import Train

        return self.training or Train()

    @property
    def sample(self) -> Sample:
        """Return the settings of the sampler, those that hold unsaid where the spec has none."""
        from tfdsl.settings import Sample

        return self.sampling or Sample()

    @property
    def ok(self) -> bool:
        """Return whether there is no error; warnings do not count."""
        return not any(each.severity == "error" for each in self.diagnostics)


def run(document: Document) -> Checked:
    """Check a document, all of it, and return what it means and what is wrong with it."""
    if any(each.code not in MENDED for each in document.diagnostics):
        return Checked(None, document, collect(document.diagnostics))  # a part of the text is missing
    read, found = read_spec(document)
    found = [*document.diagnostics, *found]
    spec = read or _salvaged(document)
    if spec is None:
        return Checked(None, document, collect(found))
    report = Report(document)
    scope = _scope(spec, report)
    pads = extents.pads(spec, scope, report)
    given = {name: extents.given(name, each, pads.get(name), scope, report) for name, each in spec.inputs.items()}
    inputs = {name: value for name, value in given.items() if value is not None}
    inputs = extents.parted(spec, extents.masked(spec, inputs, report), report)
    walk = Walk(spec, report, replace(scope, partial=len(inputs) < len(spec.inputs)), inputs)
    cycles.refuse(walk)
    for name in spec.streams:
        walk.stream(name)
    init = walk.fields.settings(spec.init, ("init",), scope)
    train = None if spec.train is None else walk.fields.settings(spec.train, ("train",), scope)
    sample = None if spec.sample is None else walk.fields.settings(spec.sample, ("sample",), scope)
    promises.parameters(walk)
    outputs = promises.outputs(walk)
    planned = _planned(walk) if not found and spec.weights is not None else ()
    if not found:
        promises.unused(walk)
        if train is not None:
            promises.training(walk, train)
    limits = {name: most for name, (most, _) in walk.limits.items()}
    found += promises.causes(report.diagnostics(), read is None, bool(spec.dims))
    return Checked(
        read,
        document,
        collect(found),
        scope.dims,
        inputs,
        outputs,
        walk.streams,
        walk.shared,
        limits,
        pads,
        init,
        train,
        sample,
        planned,
    )


def _salvaged(document: Document) -> Spec | None:
    from tfdsl.checking.salvage import salvage  # for specs with mistakes alone

    return salvage(document)


def _planned(walk: Walk) -> tuple[Planned, ...]:
    from tfdsl.checking import foreign  # for specs that map foreign weights alone

    return foreign.planned(walk)


def _scope(spec: Spec, report: Report) -> Scope:
    values, errors = expressions.resolve_dims(spec.dims)
    for name, error in errors:
        report.expression(error, ("dims", name))
    return Scope(values, extents.symbols(spec), broken=frozenset(spec.dims) - frozenset(values))
