"""rows: products with a matrix for one token, written so that a compiler reads each row of weights once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LARGE = 1 << 18  # numbers in a matrix from which on few vectors are multiplied with its rows: below, MKL is faster


def kept(x: Tensor) -> Tensor:
    """Return `x`, made before it is read: the compiler would make it anew for each row of weights."""
    return x.as_strided(x.shape, x.stride())


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Return x [..., 1, D] times the rows of weights [..., N, D]: [..., 1, N], in the precision of `x`."""
    return (weight.to(x.dtype) * x).sum(-1).unsqueeze(-2)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
    """Return what `F.linear` does, for few vectors x [R, ..., D]; `scale` [N] multiplies the rows of weights."""
    x_RD = kept(x.reshape(-1, x.size(-1)))
    if single(x):
        y_RN = (weight.to(x.dtype) * x_RD).sum(-1).unsqueeze(0)
    else:  # a row of weights goes to all vectors while it is at hand
        # Laid row by row again: torch's fused attention takes no queries that are not, and copies the whole cache.
        y_RN = kept((weight.to(x.dtype).unsqueeze(1) * x_RD).sum(-1)).t().contiguous()
    if scale is not None:
        y_RN = y_RN * scale
    if bias is not None:
        y_RN = y_RN + bias
    return y_RN.reshape(*x.shape[:-1], -1)


class Rows(TorchFunctionMode):
    """While a model of one token a row, or `several` of one row, is traced: products with a matrix go by its rows."""

    def __init__(self, several: bool = False) -> None:
        super().__init__()
        self.several = several

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return what `func` gives, written in rows where that can be."""
        if func is F.linear and _pays(args[0], args[1], self.several):
            return linear(*args, **(kwargs or {}))
        if func in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__) and _along_rows(*args):
            return product(kept(args[0]), args[1].mT)
        return func(*args, **(kwargs or {}))


def single(x: Tensor) -> bool:
    """Return whether there is one vector: x [1, ..., 1, D]."""
    sizes: list[Any] = list(x.shape[:-1])
    return all(isinstance(size, int) and size == 1 for size in sizes)  # a size may be a symbol


def _pays(x: Tensor, weight: Tensor, several: bool) -> bool:
    """Return whether rows are faster: for one vector always, for few (one a row) where the matrix is large."""
    return single(x) or (weight.numel() >= LARGE and (several or x.numel() == x.size(0) * x.size(-1)))


def _along_rows(x: Tensor, weight: Tensor) -> bool:
    """Return whether one vector each is multiplied with a matrix that lies in memory row by row."""
    return x.dim() == weight.dim() == 3 and x.size(-2) == 1 and weight.stride(-2) == 1 and weight.size(-1) > 1
