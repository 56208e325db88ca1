"""What of attention counts along the whole row, and cannot be had where documents share one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfdsl.node import Step
from tfdsl.nodes.attention.local import Sliding
from tfdsl.nodes.attention.rope import Rotary

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention

GRIDS = ("axial_rope", "grid")
STRETCHED = ("dynamic", "longrope")  # scalings whose angles depend on the length of the whole row


def leaks(node: Attention, step: Step) -> str:
    """Return what of attention would not keep the documents of a row apart; nothing where it does."""
    here, there = step.x.axes[-2], node.memory(step).axes[-2]
    if here.parts != there.parts and not (node.kv is not None and here.parts and there.parts):
        return f"queries are of the rows of `{here.name or here}`, and its keys are not parted as they are"
    return _mask(node) or _position(node) or _rest(node)


def _mask(node: Attention) -> str:
    if node.mask.type_name == "block_sparse":
        return "the blocks of a `block_sparse` mask are counted along the whole row"
    if isinstance(node.mask, Sliding) and node.mask.global_projections:
        return "`global_projections` are for the first positions of the whole row"
    return ""


def _position(node: Attention) -> str:
    if node.position.type_name in GRIDS:
        return f"`{node.position.type_name}` positions are the squares of one image"
    scaling = node.position.scaling if isinstance(node.position, Rotary) else None
    if scaling is not None and scaling.type_name in STRETCHED:
        return f"`{scaling.type_name}` scaling depends on the length of the whole row"
    return ""


def _rest(node: Attention) -> str:
    if node.method.type_name == "softmax" or (not node.method.compares and not node.mask.looks_ahead):
        return ""
    return f"`{node.method.type_name}` attention has one sum, or one set of keys, for the whole row"
