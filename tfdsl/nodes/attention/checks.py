"""What attention's fields may be where it stands, beyond what masks, positions and methods say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfdsl.node import Ports
from tfdsl.nodes.attention.masks import Full
from tfdsl.nodes.attention.norms import RMS, HeadNorm
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def heads(node: Attention, io: Ports) -> None:
    """Report heads that are not whole, and those that are slow."""
    width = io.width()
    if node.head_dim is None and width % node.heads:
        io.fail(
            "T211",
            f"{width} features do not divide among {node.heads} heads: {width % node.heads} are left over",
            "heads",
            notes=io.origin(io.x.axes[-1], f"the width is {width} here"),
            help="change one of the two, or give `head_dim`",
        )
    if node.heads % node.groups:
        io.fail(
            "T212",
            f"{node.heads} query heads do not divide among {node.groups} key and value heads",
            "kv_heads",
            help=f"`kv_heads` must divide {node.heads}",
        )
    if node.dim(width) > 32 and node.dim(width) % 8:
        io.warn(
            "W508",
            f"heads of {node.dim(width)} features are slow on every device",
            "heads" if node.head_dim is None else "head_dim",
            help="matrix units work on multiples of 8",
        )


REUSED = ("kv", "v_norm", "keep", "value_residual")  # what needs keys and values of one's own


def memory(node: Attention, io: Ports, x: Tensor) -> Tensor:
    """Return the value whose positions are read, or report keys and values that are not such as are wanted."""
    if node.value_residual is not None:
        _kept(node, io, x, "value_residual")
    if node.reuse is None:
        return io.value("kv") if node.kv is not None else x
    for field in (name for name in REUSED if getattr(node, name) is not None):
        io.fail("T224", f"with `reuse` there are no keys and values that `{field}` could be about", field)
    if node.values == "keys" or node.bias.k or node.bias.v:
        field = "values" if node.values == "keys" else "bias"
        io.fail("T224", "with `reuse` there is no matrix that makes keys and values", field)
    found = _kept(node, io, x, "reuse")
    bound = {
        "mask": not isinstance(node.mask, Full),
        "position": bool(node.position.word),
        "temperature": node.temperature,
    }
    if found.axes[-2].size != x.axes[-2].size and (field := next((name for name in bound if bound[name]), "")):
        io.fail("T224", f"`{field}` compares places, and what is kept under `{node.reuse}` has others", field)
    return found


def _kept(node: Attention, io: Ports, x: Tensor, field: str) -> Tensor:
    """Return the positions of kept keys and values, which must have our heads and sizes."""
    found = io.value(field)
    wanted = (node.groups, node.dim(x.width), node.value_size(x.width))
    if found.sizes[-3:] != wanted and (field == "reuse" or found.sizes[-3::2] != wanted[::2]):
        said = "{} heads of {} features, and values of {}".format
        io.fail("T224", f"kept are {said(*found.sizes[-3:])}; here are {said(*wanted)}", field)
    if found.sizes[:-4] != x.sizes[:-2] or (field == "value_residual" and found.sizes[-4] != x.sizes[-2]):
        io.fail("T224", f"what is kept under `{getattr(node, field)}` is not of the positions of {x}", field)
    return Tensor((*found.axes[:-3], x.axes[-1]))


def axes(node: Attention, io: Ports, x: Tensor, memory: Tensor) -> None:
    """Report keys and values that do not go with the queries."""
    if node.kv is None:
        return
    if len(memory.axes) != len(x.axes) or memory.dtype != "float" or not isinstance(memory.axes[-1].size, int):
        io.fail("T213", f"attention from {x} cannot read keys and values from `{node.kv}`, which is {memory}", "kv")
    if memory.sizes[:-2] != x.sizes[:-2]:
        io.fail("T213", f"the batch of {x} is not that of `{node.kv}`, which is {memory}", "kv")


def fields(node: Attention, io: Ports) -> None:
    """Report fields that do not go together."""
    _sharing(node, io)
    _norm(node.qk_norm, io, "qk_norm")
    for name, norm in (("v_norm", node.v_norm), ("out_norm", node.out_norm)):
        _norm(norm, io, name)
        if norm is not None and norm.place == "after":
            io.fail("T221", f"`{name}` norms what does not turn, and `place` is about rotary positions", name)
    _late(node, io)
    if node.clip_qkv is not None and node.clip_qkv.late and (node.qk_norm is None or node.qk_norm.place == "after"):
        io.fail("T221", "`late: true` clips behind `qk_norm`, before positions, and there is none there", "clip_qkv")
    if node.temperature is not None and node.kv is not None:
        io.fail("T223", f"`temperature` counts places, and keys come from `{node.kv}` here", "temperature")
    if node.values == "keys":
        _one_matrix(node, io)
    if node.differential is not None:
        odd = next((name for name, count in (("heads", node.heads), ("kv_heads", node.groups)) if count % 2), None)
        if odd is not None:
            io.fail("T222", f"differential attention pairs heads, and {getattr(node, odd)} is odd", odd)


def mixes(node: Attention, io: Ports, memory: Tensor) -> None:
    """Report mixed heads that would read what a mask hides."""
    talking = node.talking_heads
    if talking is None or not talking.bias or talking.at == "before":
        return
    if not isinstance(node.mask, Full) or memory.axes[-2].keep is not None:
        io.fail(
            "T226",
            "a number added to weights behind the softmax would read what the mask hides",
            "talking_heads",
            help="`bias: true` goes with `mask: full` and no padding, or with `at: before`",
        )


def _sharing(node: Attention, io: Ports) -> None:
    """Report keys and values that cannot be shared as is asked."""
    if not node.method.compares and (field := next((name for name in ("keep", "reuse") if getattr(node, name)), "")):
        io.fail("T224", f"`{node.method.type_name}` attention has no keys and values that others could read", field)
    if node.value_mix is not None and node.value_residual is None:
        io.fail("T224", "`value_mix` says how kept values are added, and `value_residual` names none", "value_mix")
    if node.value_residual is not None and node.kv is not None:
        io.fail("T223", f"kept values are added at equal places, and values come from `{node.kv}`", "value_residual")


def _one_matrix(node: Attention, io: Ports) -> None:
    """Report values that cannot be the keys."""
    if node.kv is not None:
        io.fail("T223", "`values: keys` belongs to self-attention: here one matrix makes keys and values", "values")
    if node.value_dim is not None and node.value_dim != node.dim(io.width()):
        io.fail("T223", f"values that are keys have {node.dim(io.width())} features, not {node.value_dim}", "value_dim")
    if node.bias.v:
        io.fail("T223", "values that are keys have the bias of the keys: give `bias: {k: true}`", "bias")


def _late(node: Attention, io: Ports) -> None:
    """Report a norm that is to come after positions where it cannot."""
    norm = node.qk_norm
    if norm is None or norm.place == "before":
        return
    if not node.position.turns:
        io.fail("T221", "`place: after` norms what rotary positions have turned, and nothing turns here", "qk_norm")
    if norm.over not in (None, "head"):
        io.fail(
            "T221", f"a norm after rotation goes over each head by itself, and this goes over `{norm.over}`", "qk_norm"
        )


def _norm(norm: HeadNorm | None, io: Ports, field: str) -> None:
    if isinstance(norm, RMS) and norm.offset and not norm.weight:
        io.fail("T221", "`offset: true` scales by 1 + weight, and `weight: false` leaves no weight", field)
    if norm is not None and norm.type_name == "l2" and norm.over == "each":
        io.fail("T221", "an L2 norm has no weights of each head: `over: head`, or `type: rms`", field)
