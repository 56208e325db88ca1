"""linear: attention whose weights are products of features, so that keys and values are summed once for all queries."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.blocks import begun
from tfdsl.layers.cache import Cache

# What makes the features of queries and keys, none of them negative.
FEATURES = {
    "elu": lambda x: F.elu(x) + 1,
    "relu": lambda x: F.relu(x),
    "relu2": lambda x: F.relu(x).square(),
    "exp": lambda x: x.exp(),
    "sigmoid": lambda x: x.sigmoid(),
    "softplus": lambda x: F.softplus(x),
}


class LinearAttention(nn.Module):
    """y_i = sum_j f(q_i) · f(k_j) v_j / sum_j f(q_i) · f(k_j), in O(T): q_BHTK, k_BGTK, v_BGTV -> y_BHTV.

    Causal, j goes up to i: within a chunk each query meets each key, between chunks goes the sum of f(k_j) v_j, which
    is also what a cache keeps. `mask` says which positions are real. Source: Katharopoulos et al. 2020, equations 5 to
    20.
    """

    def __init__(
        self,
        feature: str = "",
        features: nn.Module | None = None,
        causal: bool = False,
        chunk: int = 128,
        shared: int | None = None,
    ) -> None:
        super().__init__()
        self.feature = feature
        self.features = features
        self.causal = causal
        self.chunk = chunk
        self.shared = shared

    def forward(
        self,
        q_BHTK: Tensor,
        k_BHTK: Tensor,
        v_BHTV: Tensor,
        mask: Tensor | None = None,
        rank: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        if self.features is not None:
            q_BHTF, k_BHTF = self.features(q_BHTK, k_BHTK)
        else:
            q_BHTF, k_BHTF = FEATURES[self.feature](q_BHTK), FEATURES[self.feature](k_BHTK)
        if mask is not None:
            k_BHTF = k_BHTF * mask.transpose(2, 3)
        # A value of 1 more: what it sums to is what all others are divided by.
        v_BHTV = F.pad(v_BHTV, (0, 1), value=1.0)
        if self.shared is not None:
            k_BHTF = k_BHTF.repeat_interleave(self.shared, dim=1)
            v_BHTV = v_BHTV.repeat_interleave(self.shared, dim=1)
        if self.causal:
            y_BHTV = self.behind(q_BHTF, k_BHTF, v_BHTV, cache, place_BT=place_BT)
        else:
            y_BHTV = q_BHTF @ (k_BHTF.transpose(2, 3) @ v_BHTV)
        # Where nothing is seen, 0 / 0 would be no number; and 0 / 1 has a gradient that is one.
        total_BHT1 = y_BHTV[..., -1:]
        return y_BHTV[..., :-1] / (total_BHT1 + (total_BHT1 == 0))

    def behind(
        self,
        q_BHTF: Tensor,
        k_BHTF: Tensor,
        v_BHTV: Tensor,
        cache: Cache | None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        """Return the sums over each position and those before it."""
        T = q_BHTF.size(2)
        state_BHFV = None if cache is None else cache.state(v_BHTV[:, 0])
        size = min(self.chunk, T)
        if size < T:
            q_BHTF, k_BHTF, v_BHTV = (F.pad(x, (0, 0, 0, -T % size)).contiguous() for x in (q_BHTF, k_BHTF, v_BHTV))
        q_BHNCF, k_BHNCF, v_BHNCV = (x.unflatten(2, (-1, size)) for x in (q_BHTF, k_BHTF, v_BHTV))
        if place_BT is not None:
            return self.apart(q_BHNCF, k_BHNCF, v_BHNCV, begun(place_BT, size), state_BHFV, cache)[:, :, :T]
        y_BHNCV = (q_BHNCF @ k_BHNCF.transpose(3, 4)).tril() @ v_BHNCV
        if size < T or cache is not None:
            sum_BHNFV = k_BHNCF.transpose(3, 4) @ v_BHNCV
            total_BHNFV = sum_BHNFV.cumsum(dim=2)
            if state_BHFV is not None:
                total_BHNFV = total_BHNFV + state_BHFV.unsqueeze(2)
            y_BHNCV = y_BHNCV + q_BHNCF @ (total_BHNFV - sum_BHNFV)
            if cache is not None:
                cache.put(total_BHNFV[:, :, -1].clone())
        return y_BHNCV.flatten(2, 3)[:, :, :T]

    def apart(
        self,
        q_BHNCF: Tensor,
        k_BHNCF: Tensor,
        v_BHNCV: Tensor,
        begun_BNC: Tensor,
        state_BHFV: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """Return the same sums over each position's own document, which begins in its chunk at `begun_BNC`."""
        place_C = torch.arange(q_BHNCF.size(3), device=begun_BNC.device)
        other_BNCC, last_BN1 = place_C < begun_BNC.unsqueeze(3), begun_BNC[:, :, -1:]
        share_BHNCC = (q_BHNCF @ k_BHNCF.transpose(3, 4)).tril()
        y_BHNCV = share_BHNCC.masked_fill(other_BNCC.unsqueeze(1), 0) @ v_BHNCV
        if begun_BNC.size(1) == 1 and cache is None:
            return y_BHNCV.flatten(2, 3)
        # What is behind a chunk is of its last document alone; the first ones of a chunk may go on with it.
        k_BHNCF = k_BHNCF.masked_fill((place_C < last_BN1)[:, None, :, :, None], 0)
        q_BHNCF = q_BHNCF.masked_fill((begun_BNC >= 0)[:, None, :, :, None], 0)
        sum_BHNFV = k_BHNCF.transpose(3, 4) @ v_BHNCV
        states = [torch.zeros_like(sum_BHNFV[:, :, 0]) if state_BHFV is None else state_BHFV]
        for sum_BHFV, last_B1 in zip(sum_BHNFV.unbind(2), last_BN1.unbind(1), strict=True):
            states.append(sum_BHFV + states[-1].masked_fill((last_B1 >= 0)[:, :, None, None], 0))
        if cache is not None:
            cache.put(states[-1])
        return (y_BHNCV + q_BHNCF @ torch.stack(states[:-1], dim=2)).flatten(2, 3)


class RandomFeatures(nn.Module):
    """Features whose products are, on the average over the draw, exp(scale q · k): q_BHTK, k_BGTK -> q_BHTF, k_BGTF.

    f(x) = exp(w · x - |x|² / 2), for x scaled by the root of `scale` and w the rows of `projection`, drawn once. The
    constant that all features of a query have in common is left out. Source: Choromanski et al. 2021, lemma 1.
    """

    def __init__(self, size: int, count: int, scale: float, kernel: str = "softmax", eps: float = 0.0) -> None:
        super().__init__()
        self.scale = scale
        self.kernel = kernel
        self.eps = eps
        self.projection = nn.Buffer(torch.zeros(count, size))

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        q_BHTK, k_BHTK = q_BHTK * self.scale**0.5, k_BHTK * self.scale**0.5
        q_BHTF, k_BHTF = F.linear(q_BHTK, self.projection), F.linear(k_BHTK, self.projection)
        if self.kernel == "softmax":
            q_BHTF = (q_BHTF - q_BHTF.amax(dim=-1, keepdim=True).detach()).exp()
            k_BHTF = (k_BHTF - k_BHTK.square().sum(dim=-1, keepdim=True) / 2).exp()
        else:
            q_BHTF, k_BHTF = F.relu(q_BHTF), F.relu(k_BHTF)
        if self.eps > 0:
            q_BHTF, k_BHTF = q_BHTF + self.eps, k_BHTF + self.eps
        return q_BHTF, k_BHTF


def draw_features(weight: Tensor, seed: int) -> None:
    """Fill (count, size) with random rows, orthogonal within every `size` of them, as long as normal ones are.

    Source: Choromanski et al. 2021, section 2.4.
    """
    count, size = weight.shape
    random = torch.Generator().manual_seed(seed)
    blocks = -(-count // size)
    normal_NKK = torch.randn(blocks, size, size, generator=random, dtype=torch.float64, device="cpu")
    q_NKK, r_NKK = torch.linalg.qr(normal_NKK)
    # Without these signs the first row of each block would always look the same way.
    q_NKK = q_NKK * r_NKK.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)
    rows_MK = q_NKK.transpose(1, 2).flatten(0, 1)[:count]
    length_M1 = torch.randn(count, size, generator=random, dtype=torch.float64, device="cpu").norm(dim=1, keepdim=True)
    weight.copy_(rows_MK * length_M1)
