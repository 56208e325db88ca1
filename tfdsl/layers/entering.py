"""entering: the queries, keys and values that attention makes of what it takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tfdsl.layers.part import Part


class Entering(Part):
    """Queries, keys and values of one sequence, by one projection: x_BTD -> q_BTHK, k_BTGK, v_BTGK.

    `bias` names those that have a vector added, each its own unless all have (`qkv`); `tied`: values are keys.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        value_dim: int | None = None,
        bias: str = "",
        tied: bool = False,
    ) -> None:
        super().__init__()
        if kv_heads is None:
            self.heads = (heads, heads, heads)
        else:
            # A group of query heads shares each key and value head (Ainslie et al. 2023).
            self.heads = (heads, kv_heads, kv_heads)
        self.head_dim = width // heads if head_dim is None else head_dim
        self.value_dim = value_dim
        self.bias = bias
        self.tied = tied
        # One projection for queries, keys and values.
        if tied:
            # Values are keys, as they are before norm and rotation.
            self.rows = [self.heads[0] * self.head_dim, self.heads[1] * self.head_dim]
            self.qkv = nn.Linear(width, sum(self.rows), bias=bias == "qkv")
        elif value_dim is None:
            self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=bias == "qkv")
        else:
            self.rows = [self.heads[0] * self.head_dim, self.heads[1] * self.head_dim, self.heads[2] * value_dim]
            self.qkv = nn.Linear(width, sum(self.rows), bias=bias == "qkv")
        if "q" in bias and bias != "qkv":
            self.q_bias = nn.Parameter(torch.zeros(self.heads[0] * self.head_dim))
        if "k" in bias and bias != "qkv":
            self.k_bias = nn.Parameter(torch.zeros(self.heads[1] * self.head_dim))
        if "v" in bias and bias != "qkv" and value_dim is None:
            self.v_bias = nn.Parameter(torch.zeros(self.heads[2] * self.head_dim))
        elif "v" in bias and bias != "qkv":
            self.v_bias = nn.Parameter(torch.zeros(self.rows[2]))

    def forward(self, x_BTD: Tensor, B: int, T: int) -> tuple[Tensor, ...]:
        if self.value_dim is None and not self.tied:
            qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
            parts = qkv_BTHK.split(self.heads, dim=2)
        else:
            parts = self.unlike(self.qkv(x_BTD).split(self.rows, dim=2))
        if self.bias not in ("", "qkv"):
            parts = self.shifted(*parts)
        return parts

    def unlike(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return queries, keys and values by heads, whose values are keys or of a size of their own."""
        if self.tied:
            q_BTA, k_BTA = parts
            v_BTA = k_BTA
        else:
            q_BTA, k_BTA, v_BTA = parts
        k_BTHK = k_BTA.unflatten(2, (self.heads[1], -1))
        return q_BTA.unflatten(2, (self.heads[0], -1)), k_BTHK, v_BTA.unflatten(2, (self.heads[2], -1))

    def shifted(self, q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, some of them shifted."""
        if "q" in self.bias:
            q_BTHK = q_BTHK + self.q_bias.view(self.heads[0], -1)
        if "k" in self.bias:
            k_BTHK = k_BTHK + self.k_bias.view(self.heads[1], -1)
        if "v" in self.bias:
            v_BTHK = v_BTHK + self.v_bias.view(self.heads[2], -1)
        return q_BTHK, k_BTHK, v_BTHK


class Sizing(Part):
    """Queries, keys and values brought to a range or to a size: clipped and normed, before rotation.

    `flat` says which norms are over the features of all heads: `q` for queries and keys, `v` for values.
    """

    def __init__(
        self,
        clip: float | None = None,
        clip_late: bool = False,
        q_norm: nn.Module | None = None,
        k_norm: nn.Module | None = None,
        v_norm: nn.Module | None = None,
        norm_late: bool = False,
        flat: str = "",
    ) -> None:
        super().__init__()
        self.clip = clip
        self.clip_late = clip_late
        self.q_norm = q_norm
        self.k_norm = k_norm
        self.v_norm = v_norm
        self.norm_late = norm_late
        self.flat = flat

    def forward(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        q_BTHK, k_BTHK, v_BTHK = parts
        if self.clip is not None:
            v_BTHK = v_BTHK.clamp(-self.clip, self.clip)
        if self.clip is not None and not self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
            k_BTHK = k_BTHK.clamp(-self.clip, self.clip)
        if self.q_norm is not None and self.k_norm is not None and "q" in self.flat:
            # Over the features of all heads.
            q_BTHK = self.q_norm(q_BTHK.flatten(2)).view_as(q_BTHK)
            k_BTHK = self.k_norm(k_BTHK.flatten(2)).view_as(k_BTHK)
        elif self.q_norm is not None and self.k_norm is not None and not self.norm_late:
            q_BTHK, k_BTHK = self.q_norm(q_BTHK), self.k_norm(k_BTHK)
        if self.clip is not None and self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
            k_BTHK = k_BTHK.clamp(-self.clip, self.clip)
        if self.v_norm is not None and "v" in self.flat:
            v_BTHK = self.v_norm(v_BTHK.flatten(2)).view_as(v_BTHK)
        elif self.v_norm is not None:
            v_BTHK = self.v_norm(v_BTHK)
        return q_BTHK, k_BTHK, v_BTHK


class Asking(Part):
    """Queries alone, clipped and normed, where keys and values come from elsewhere: x_BTD -> q_BHTK."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_dim: int | None = None,
        bias: str = "",
        clip: float | None = None,
        clip_late: bool = False,
        q_norm: nn.Module | None = None,
        norm_late: bool = False,
        flat: str = "",
    ) -> None:
        super().__init__()
        self.head_dim = width // heads if head_dim is None else head_dim
        self.clip = clip
        self.clip_late = clip_late
        self.norm_late = norm_late
        self.flat = flat
        self.q = nn.Linear(width, heads * self.head_dim, bias="q" in bias)
        self.q_norm = q_norm

    def forward(self, x_BTD: Tensor) -> Tensor:
        q_BTA = self.q(x_BTD)
        if self.clip is not None and not self.clip_late:
            q_BTA = q_BTA.clamp(-self.clip, self.clip)
        if self.q_norm is not None and "q" in self.flat:
            q_BTA = self.q_norm(q_BTA)
        q_BTHK = q_BTA.unflatten(2, (-1, self.head_dim))
        if self.q_norm is not None and "q" not in self.flat and not self.norm_late:
            q_BTHK = self.q_norm(q_BTHK)
        if self.clip is not None and self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
        q_BHTK = q_BTHK.transpose(1, 2)
        return q_BHTK
