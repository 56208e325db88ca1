"""small: linear maps whose weights are rounded to bfloat16 or int8: the same numbers in all forms that read them."""

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
LEAST = 1 << 12  # numbers in a matrix below which it is not rounded, whatever reads it
PACKED = 1 << 18  # and below which it is not packed: one vector times a packed matrix takes some 10 µs more to call
PART = 1 << 22  # numbers of a matrix that are widened at a time


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What became of a model's weights: how many matrices are rounded, and bytes.

    `before` and `after` are those of matrices that are held in less; those of matrices that are rounded and held in
    float32 are `wide`; the `others` are as they were.
    """

    weights: str
    matrices: int
    before: int
    after: int
    wide: int
    others: int

    def __str__(self) -> str:
        """Return it in words."""
        if self.matrices == 0:
            return f"weights in {self.weights}: the model has no matrix that is rounded; all stay as they are"
        before, after, wide, others = (
            f"{size / 1e6:,.1f} MB" for size in (self.before, self.after, self.wide, self.others)
        )
        held = [
            *([f"{before} of them are held in {after}"] if self.before else []),
            *([f"{wide} in float32, which is read as fast"] if self.wide else []),
        ]
        said = f"weights in {self.weights}: {self.matrices:,} matrices are rounded, {' and '.join(held)}"
        return f"{said}; {others} of others stay as they are"


@dataclass(frozen=True, slots=True)
class Rounded:
    """A matrix that is rounded: its `numbers`, and what one of them is worth in each row (None: as much as it says)."""

    numbers_NK: Tensor
    scale_N: Tensor | None = None

    def wide(self) -> Tensor:
        """Return the weights that it stands for, in float32."""
        numbers_NK = self.numbers_NK.float()
        return numbers_NK if self.scale_N is None else numbers_NK * self.scale_N.unsqueeze(1)


def rounded(weight_NK: Tensor, weights: Weights) -> Rounded:
    """Return a matrix in bfloat16, or in int8: whole numbers to ±127, each row with a scale of its own."""
    if weights == "bfloat16":
        return Rounded(weight_NK.bfloat16().contiguous())
    scale_N = weight_NK.abs().amax(1).clamp_min(1e-30) / 127
    return Rounded((weight_NK / scale_N.unsqueeze(1)).round().to(torch.int8).contiguous(), scale_N)


class Plain(nn.Module):
    """A linear map whose weights lie as they are rounded, and are widened as they are read.

    A compiled step does that number by number; without one it takes as long as to read them in float32.
    """

    weight: Tensor
    scale_N: Tensor | None
    bias: Tensor | None

    def __init__(self, small: Rounded, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", small.numbers_NK)
        self.register_buffer("scale_N", small.scale_N)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale_N is not None and torch.compiler.is_exporting() and not rows.single(x):
            y = by_digits(x, self.weight)
        elif torch.compiler.is_exporting() or self.weight.numel() <= PART:
            y = F.linear(x, self.weight.to(x.dtype))
        else:  # all at once would take four times the memory of the matrix
            parts = self.weight.split(max(1, PART // self.weight.size(1)))
            y = torch.cat([F.linear(x, part.to(x.dtype)) for part in parts], -1)
        if self.scale_N is not None:
            y = y * self.scale_N
        return y if self.bias is None else y + self.bias


def by_digits(x: Tensor, weight_NK: Tensor) -> Tensor:
    """Return x [..., K] times the rows of an int8 matrix, as exact as in float32, by products of whole numbers.

    A vector is written in three digits of base 254, of which the first reaches ±127: of its largest number's 24 bits
    none is lost. Those of all vectors go through one product, a fourth of the time of one in float32.
    """
    x_RK = x.reshape(-1, x.size(-1))
    most_R1 = x_RK.abs().amax(1, keepdim=True).clamp_min(1e-30)
    left_RK, digits = x_RK * (127 / most_R1), list[Tensor]()
    for _ in range(3):
        whole_RK = left_RK.round()
        digits.append(whole_RK.to(torch.int8))
        left_RK = (left_RK - whole_RK) * 254
    first, second, third = torch.ops.aten._int_mm(torch.cat(digits), weight_NK.t()).float().chunk(3)
    y_RN = ((third / 254 + second) / 254 + first) * (most_R1 / 127)
    return y_RN.view(*x.shape[:-1], -1)


class Packed(nn.Module):
    """A linear map whose rounded numbers are packed in float16, which holds them; vectors and sums are float32.

    torch's products with int8 and bfloat16 round the vectors too: a text would depend on what reads it.
    """

    scale_N: Tensor | None
    bias: Tensor | None

    def __init__(self, small: Rounded, bias: Tensor | None) -> None:
        super().__init__()
        self.numbers = torch.ops.quantized.linear_prepack_fp16(small.numbers_NK.float(), None)
        self.register_buffer("scale_N", small.scale_N)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.ops.quantized.linear_dynamic_fp16(x, self.numbers)
        if self.scale_N is None:
            return y if self.bias is None else y.add_(self.bias)
        return y.mul_(self.scale_N) if self.bias is None else torch.addcmul(self.bias, y, self.scale_N)


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


def shrink(model: nn.Module, weights: Weights, plain: bool = False) -> Shrunk:
    """Round the weights of a model's linear maps, and hold them in less, `plain` where its step is compiled.

    Which are rounded depends on the model alone. Left as they are: embeddings, norms, experts, matrices below LEAST,
    and those that a layer reads by itself. What is not read faster for it is rounded and held in float32.
    """
    matrices = before = after = wide = 0
    for parent in list(model.modules()):
        text = _text(parent)
        for name, child in list(parent.named_children()):
            if weights == "float32" or not isinstance(child, nn.Linear) or f".{name}.weight" in text:
                continue
            count = child.weight.numel()
            if count < LEAST:
                continue
            matrices += 1
            small = rounded(child.weight.detach().float(), weights)
            held = Plain(small, _bias(child)) if plain else Packed(small, _bias(child)) if _packs(small) else None
            if held is None:
                wide += count * 4
                like = torch.empty_like(child.weight).copy_(small.wide())  # it lies in memory as before
                child.weight = nn.Parameter(like, requires_grad=False)
                continue
            before += count * 4
            after += count * (small.numbers_NK.element_size() if plain else 2)
            setattr(parent, name, Narrowed(child, held) if isinstance(child, Leaving) else held)
    kept = {id(weight): weight.numel() * weight.element_size() for weight in model.parameters()}
    return Shrunk(weights, matrices, before, after, wide, sum(kept.values()) - wide)


def _packs(small: Rounded) -> bool:
    """Return whether a matrix is read faster where it is packed in float16, and loses nothing there."""
    numbers_NK = small.numbers_NK
    if numbers_NK.numel() < PACKED or "fbgemm" not in torch.backends.quantized.supported_engines:
        return False
    lost_NK = numbers_NK.half().float() - numbers_NK.float()  # of what is below 2e-5, or beyond 65,504
    return float(lost_NK.norm()) <= 1e-6 * float(numbers_NK.float().norm())


def _text(module: nn.Module) -> str:
    """Return the text of what a module does, without how it is made."""
    methods = [each for name, each in vars(type(module)).items() if name not in ("__init__", "reset")]
    if not type(module).__module__.startswith("tfdsl_"):
        return ""
    return "".join(inspect.getsource(each) for each in methods if isinstance(each, FunctionType))
