"""small: the weights of linear maps in bfloat16 or int8, which are read in a half or a quarter of the time."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.heads import Leaving
from tfdsl.sampling import rows

Weights = Literal["float32", "bfloat16", "int8"]
LEAST = 1 << 12  # numbers in a matrix below which it stays as it is, where a step is compiled
PACKED = {"bfloat16": 1 << 18, "int8": 3 << 17}  # and where none is: below, calling a packed product takes longer


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What became of a model's weights: the bytes of those that are small now, before and after, and of the others."""

    weights: str
    before: int
    after: int
    others: int

    def __str__(self) -> str:
        """Return it in words."""
        if self.before == 0:
            return f"weights in {self.weights}: no matrix is large enough to be read faster; all stay in float32"
        before, after, others = (f"{size / 1e6:,.1f} MB" for size in (self.before, self.after, self.others))
        return f"weights in {self.weights}: {before} became {after}; {others} stay in float32"


class Bfloat16(nn.Module):
    """A linear map whose weights are bfloat16. They are packed for many rows, or `plain` for a compiled step of one."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        weight = linear.weight.detach().bfloat16().contiguous()
        self.register_buffer("weight", weight if plain else torch.ops.mkldnn._reorder_linear_weight(weight, 1))
        self.register_buffer("bias", _bias(linear))

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting() and rows.single(x):
            return rows.linear(x, self.weight, self.bias)
        if self.plain:
            y = F.linear(x.bfloat16(), self.weight)
        else:
            y = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), self.weight, None, "none", [], "")
        return y.to(x.dtype) if self.bias is None else self.bias + y


class Int8(nn.Module):
    """A linear map whose weights are whole numbers to ±127, each row times a scale of its own.

    So are the vectors that it is given, each with its own scale: what becomes of one depends on no other. A compiled
    step of one row leaves the vector as it is.
    """

    weight: Tensor
    bias: Tensor | None
    scale_N: Tensor
    zero: Tensor

    def __init__(self, linear: nn.Linear, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        weight_NK, scale_N = rounded(linear.weight.detach().float())
        self.register_buffer("scale_N", scale_N)
        self.register_buffer("zero_N", torch.zeros(len(scale_N), dtype=torch.long))
        self.register_buffer("zero", torch.tensor(128.5))  # 128 is zero, and a half rounds
        self.register_buffer("weight", weight_NK if plain else torch.ops.onednn.qlinear_prepack(weight_NK, None))
        self.register_buffer("bias", _bias(linear))

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting() and rows.single(x):
            return rows.linear(x, self.weight, self.bias, self.scale_N)
        x_RK = x.reshape(-1, x.size(-1))
        most_R1 = torch.linalg.vector_norm(x_RK, torch.inf, 1, keepdim=True).clamp_min_(1e-30)
        if self.plain:
            whole_RK = (x_RK * (127 / most_R1)).round().to(torch.int8)
            y_RN = torch.ops.aten._int_mm(whole_RK, self.weight.t()) * (self.scale_N * (most_R1 / 127))
        else:
            whole_RK = torch.addcdiv(self.zero, x_RK, most_R1, value=127).to(torch.uint8)
            y_RN = torch.ops.onednn.qlinear_pointwise(
                whole_RK,
                1 / 127,
                128,
                self.weight,
                self.scale_N,
                self.zero_N,
                None,
                1.0,
                0,
                torch.float32,
                "none",
                [],
                "",
            )
            if self.bias is not None:
                return torch.addcmul(self.bias, y_RN, most_R1).view(*x.shape[:-1], -1)
            y_RN = y_RN.mul_(most_R1)
        y = y_RN.view(*x.shape[:-1], -1)
        return y if self.bias is None else self.bias + y


class Narrowed(nn.Module):
    """A small head, which makes scores of those positions alone that are asked of the one in whose place it is."""

    def __init__(self, asked: Leaving, small: nn.Module) -> None:
        super().__init__()
        self.small = small
        self.asked = (asked,)  # in a tuple: it is no part of the model any more

    def forward(self, x: Tensor) -> Tensor:
        last = self.asked[0].last
        return self.small(x if last is None else x[:, -last:])


def _bias(linear: nn.Linear) -> Tensor | None:
    bias: Any = linear.bias  # torch says that it is always there
    return None if bias is None else bias.detach()


def rounded(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Return whole numbers to ±127, and for each row what one of them is worth."""
    scale_N = weight_NK.abs().amax(1).clamp_min(1e-30) / 127
    return (weight_NK / scale_N.unsqueeze(1)).round().to(torch.int8).contiguous(), scale_N


def shrink(model: nn.Module, weights: Weights, plain: bool = False) -> Shrunk:
    """Give a model's linear maps small weights, `plain` ones where its step of one row is compiled.

    Left as they are: embeddings, norms, experts, matrices too small to gain by it, and those that a layer reads by
    itself.
    """
    before = after = 0
    least = LEAST if plain else PACKED.get(weights, 0)
    plain = plain or not _packs(weights)
    kind = {"bfloat16": Bfloat16, "int8": Int8}.get(weights)
    for parent in list(model.modules()):
        text = _text(parent)
        for name, child in list(parent.named_children()):
            if kind is None or not isinstance(child, nn.Linear) or f".{name}.weight" in text:
                continue
            if child.weight.numel() < least:
                continue
            small = kind(child, plain)
            before += child.weight.numel() * child.weight.element_size()
            after += child.weight.numel() * (1 if weights == "int8" else 2)
            setattr(parent, name, Narrowed(child, small) if isinstance(child, Leaving) else small)
    kept = {id(weight): weight.numel() * weight.element_size() for weight in model.parameters()}
    return Shrunk(weights, before, after, sum(kept.values()))


def _packs(weights: Weights) -> bool:
    """Return whether this processor has a use for weights that are packed."""
    mkldnn = torch.backends.mkldnn.is_available()
    return mkldnn and (weights == "int8" or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _text(module: nn.Module) -> str:
    """Return the text of what a module does, without how it is made."""
    methods = [each for name, each in vars(type(module)).items() if name not in ("__init__", "reset")]
    if not type(module).__module__.startswith("tfdsl_"):
        return ""
    return "".join(inspect.getsource(each) for each in methods if isinstance(each, FunctionType))
