"""norms: each position's features brought to one size."""

# pyright: reportIncompatibleMethodOverride=false
# (torch gives the two methods of a function no arguments that anyone could mean)

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RootMeanSquare(torch.autograd.Function):
    """x / sqrt(mean(x²) + eps) · weight, in half the time of torch's own on a CPU.

    It goes over memory fewer times, and keeps only its input.
    """

    @staticmethod
    def forward(ctx, x, weight, eps):
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.rsqrt(size.square() / x.size(-1) + eps)
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight, scale = ctx.saved_tensors
        product = grad * x
        along = (product @ weight).unsqueeze(-1) * scale.pow(3) / x.size(-1)
        grad_x = (grad * weight).mul_(scale).addcmul_(x, along, value=-1)
        return grad_x, scale.flatten() @ product.flatten(0, -2), None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide by the root mean square of the last axis, and scale."""
    x = x.type_as(weight)
    plain = x.is_cpu and x.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()
    if plain and (torch.is_grad_enabled() or x.numel() > 8192):
        return RootMeanSquare.apply(x, weight, eps)  # pyright: ignore[reportReturnType]
    return F.rms_norm(x, weight.shape, weight, eps)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps), scaled: x_BTD -> x_BTD (Zhang and Sennrich 2019)."""

    def __init__(
        self,
        width: int,
        eps: float = 1e-6,
        weight: bool = True,
        bias: bool = False,
        offset: bool = False,
        groups: int | None = None,
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weighted = weight
        self.shifted = bias
        self.offset = offset
        self.groups = groups
        if weight:
            self.weight = nn.Parameter(torch.ones(width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.groups is not None:
            # Each group of features has a size of its own.
            x_BTGF = x_BTD.unflatten(-1, (self.groups, -1))
            x_BTD = F.rms_norm(x_BTGF, x_BTGF.shape[-1:], None, self.eps).flatten(-2)
            if self.weighted and self.offset:
                x_BTD = x_BTD * (1 + self.weight)
            elif self.weighted:
                x_BTD = x_BTD * self.weight
        else:
            if self.weighted and self.offset:
                x_BTD = rms_norm(x_BTD, 1 + self.weight, self.eps)
            elif self.weighted:
                x_BTD = rms_norm(x_BTD, self.weight, self.eps)
            else:
                x_BTD = F.rms_norm(x_BTD, x_BTD.shape[-1:], None, self.eps)
        if self.shifted:
            x_BTD = x_BTD + self.bias
        return x_BTD


class LayerNorm(nn.Module):
    """(x - mean(x)) / sqrt(var(x) + eps) as torch.nn has it not: by groups, scaled by 1 + weight, or only shifted.

    Source: Ba et al. 2016.
    """

    def __init__(
        self,
        width: int,
        eps: float = 1e-5,
        weight: bool = True,
        bias: bool = True,
        offset: bool = False,
        groups: int | None = None,
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weighted = weight
        self.shifted = bias
        self.offset = offset
        self.groups = groups
        if weight:
            self.weight = nn.Parameter(torch.ones(width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.groups is None and self.offset and self.shifted:
            return F.layer_norm(x_BTD, x_BTD.shape[-1:], 1 + self.weight, self.bias, self.eps)
        elif self.groups is None and self.offset:
            return F.layer_norm(x_BTD, x_BTD.shape[-1:], 1 + self.weight, eps=self.eps)
        else:
            return self.scaled(x_BTD)

    def scaled(self, x_BTD: Tensor) -> Tensor:
        """Return the same where torch does not scale and shift along with the norm."""
        if self.groups is not None:
            # Each group of features has a mean and a size of its own.
            x_BTGF = x_BTD.unflatten(-1, (self.groups, -1))
            x_BTD = F.layer_norm(x_BTGF, x_BTGF.shape[-1:], eps=self.eps).flatten(-2)
        else:
            x_BTD = F.layer_norm(x_BTD, x_BTD.shape[-1:], eps=self.eps)
        if self.weighted and self.offset:
            x_BTD = x_BTD * (1 + self.weight)
        elif self.weighted:
            x_BTD = x_BTD * self.weight
        if self.shifted:
            x_BTD = x_BTD + self.bias
        return x_BTD


class UnitNorm(nn.Module):
    """x / max(‖x‖, eps), scaled by one number or by one for each feature: x_BTD -> x_BTD.

    With one number it is ScaleNorm (Nguyen and Salazar 2019, section 2.2).
    """

    def __init__(self, width: int, eps: float = 1e-5, weight: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.weighted = weight
        if weight:
            self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        size_BT1 = torch.linalg.vector_norm(x_BTD, dim=-1, keepdim=True)
        x_BTD = x_BTD / size_BT1.clamp(min=self.eps)
        if self.weighted:
            x_BTD = x_BTD * self.weight
        return x_BTD


class DynamicTanh(nn.Module):
    """tanh(alpha · x) · weight + bias, in place of a norm: x_BTD -> x_BTD (Zhu et al. 2025)."""

    def __init__(self, width: int, alpha: float = 0.5, weight: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.weighted = weight
        self.shifted = bias
        self.alpha = nn.Parameter(torch.full((1,), alpha))
        if weight:
            self.weight = nn.Parameter(torch.ones(width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = torch.tanh(self.alpha * x_BTD)
        if self.weighted:
            x_BTD = x_BTD * self.weight
        if self.shifted:
            x_BTD = x_BTD + self.bias
        return x_BTD


class Affine(nn.Module):
    """x · weight + bias: x_BTD -> x_BTD (Sun et al. 2020; Touvron et al. 2021)."""

    def __init__(self, width: int, bias: bool = True) -> None:
        super().__init__()
        self.shifted = bias
        self.weight = nn.Parameter(torch.ones(width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD * self.weight
        if self.shifted:
            x_BTD = x_BTD + self.bias
        return x_BTD
