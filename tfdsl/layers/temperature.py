"""temperature: queries times a number that grows with their place, so that long sequences stay sharp."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Temperature(nn.Module):
    """Queries times a function of n = position + shift: q_BHTK -> q_BHTK.

    `steps`: 1 + by · ln(1 + floor(n / length)) (Llama 4); `log`: 1 + by · ln(max(n / length, 1)) (Qwen);
    `power`: (1 + n / length)^by.
    """

    def __init__(self, kind: str, length: float, by: float, shift: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.length = length
        self.by = by
        self.shift = shift

    def forward(self, q_BHTK: Tensor, start: int, place_BT: Tensor | None = None) -> Tensor:
        exact = torch.promote_types(q_BHTK.dtype, torch.float32)
        first = start + self.shift
        if place_BT is not None:
            # Each document is counted from its own beginning.
            n_T = (place_BT.unsqueeze(1) + self.shift).to(exact) / self.length
        else:
            n_T = torch.arange(first, first + q_BHTK.size(2), dtype=exact, device=q_BHTK.device) / self.length
        if self.kind == "steps":
            factor_T = 1 + self.by * torch.log1p(torch.floor(n_T))
        elif self.kind == "log":
            factor_T = 1 + self.by * torch.log(n_T.clamp(min=1))
        else:
            factor_T = (1 + n_T) ** self.by
        return q_BHTK * factor_T.to(q_BHTK.dtype).unsqueeze(-1)
