"""The `weights` section against the weights that the spec declares."""

from __future__ import annotations

from collections.abc import Iterator

from tfdsl import declared
from tfdsl.checking.walk import Walk
from tfdsl.mapping.plan import Own, Planned, plan


def planned(walk: Walk) -> tuple[Planned, ...]:
    """Return what each weight is made of; what is wrong with the section is reported."""
    weights = walk.spec.weights
    if weights is None or not weights.map or walk.report.broken:
        return ()
    found, faults = plan(weights, own(walk), walk.scope)
    for fault in faults:
        path = ("weights", *fault.path)
        span = walk.report.document.span(path, fault.key)
        walk.report.add(fault.code, fault.message, path, fault.message, span, help=fault.help)
    return found


def own(walk: declared.Walked) -> Iterator[Own]:
    """Yield the weights of the model, tied ones too."""
    for each in declared.each_weight(walk):
        yield Own(each.name, declared.form(each.path), each.weight.shape, each.weight.tied)
