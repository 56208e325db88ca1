"""That documents which share a row stay apart: what every node is asked where an input `parts` a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfdsl.node import Step

if TYPE_CHECKING:
    from tfdsl.checking.ports import Place


def check(place: Place, step: Step) -> None:
    """Report a node that would let documents reach each other, or behind which nobody could tell them apart."""
    values = (*step.inputs, *(value.tensor for value in step.reads.values()))
    found = {axis.parts for tensor in values for axis in tensor.axes} - {""}
    if not found:
        return
    named = " and ".join(f"`{name}`" for name in sorted(found))
    why = step.node.leaks(step)
    if why:
        place.fail(
            "T283",
            f"`{place.name}` does not keep the documents of {named} apart: {why}",
            help="leave out `parts`, and give each row one document",
        )
    kept = (*step.inputs, *(value.tensor for field, value in step.reads.items() if field not in step.node.pairs))
    found = {axis.parts for tensor in kept for axis in tensor.axes} - {""}
    left = {axis.parts for axis in step.output.axes}
    if step.node.begins or (found <= left and _led(place, step, found)):
        return
    place.fail(
        "T284",
        f"behind `{place.name}` nobody knows which document of {named} a position belongs to",
        help="what joins or moves positions comes where each row is one document: leave out `parts`",
    )


def _led(place: Place, step: Step, found: set[str]) -> bool:
    """Return whether rows are still those that the documents are told of."""
    batch = {place.walk.inputs[name].tensor.axes[0].size for name in found}
    return batch == {step.output.axes[0].size}
