"""vit: ViT-B/16, 86,567,656 parameters with 1,000 classes.

The capitals behind a name are its axes: B batch; C length of pixels; I image = 224; T
196; D d_model = 768; U 197; V classes = 1000; H heads; K features of a head; F hidden
features.

Written by tfdsl 0.1.0 from vit.yaml.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Prepend(nn.Module):
    """Puts learned positions before the first, or behind the first few: x_BTD -> x_BUD, U = tokens + T.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, tokens, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x_BTD):
        first_BUD = self.weight.expand(x_BTD.size(0), -1, -1)
        return torch.cat((first_BUD, x_BTD), dim=1)


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim)
        self.out = nn.Linear(heads * self.head_dim, width)

    def forward(self, x_BTD):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        y_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK)
        y_BTA = y_BHTK.transpose(1, 2).flatten(2)
        return self.out(y_BTA)


class FeedForward(nn.Module):
    """Two projections with an activation between them: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, equation 2.
    """

    def __init__(self, width, hidden):
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x_BTD):
        h_BTF = self.up(x_BTD)
        h_BTF = F.gelu(h_BTF)
        return self.down(h_BTF)


class Patch(nn.Conv2d):
    """Multiplies each rectangle of an image by one matrix: x_BCHW -> x_BTD.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, channels, width, size):
        super().__init__(channels, width, size, stride=size)

    def forward(self, input):
        return super().forward(input).flatten(2).transpose(1, 2)


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x_BTD):
        return x_BTD + self.weight[: x_BTD.size(1)]


class Layer(nn.Module):
    """Block `layer`."""

    def __init__(self):
        super().__init__()
        self.norm_1 = nn.LayerNorm(768, eps=1e-06)
        self.attention = Attention(768, 12)
        self.norm_2 = nn.LayerNorm(768, eps=1e-06)
        self.ffn = FeedForward(768, 3072)

    def forward(self, x_BUD):
        # vit.yaml:14
        y_BUD = self.norm_1(x_BUD)
        y_BUD = self.attention(y_BUD)
        x_BUD = x_BUD + y_BUD
        # vit.yaml:15
        y_BUD = self.norm_2(x_BUD)
        y_BUD = self.ffn(y_BUD)
        x_BUD = x_BUD + y_BUD
        return x_BUD


class Model(nn.Module):
    """pixels [B, 3, 224, 224] -> logits [B, 1000]."""

    def __init__(self):
        super().__init__()
        self.patch = Patch(3, 768, 16)
        self.cls = Prepend(1, 768)
        self.position = LearnedPosition(197, 768)
        self.layers = nn.ModuleList(Layer() for _ in range(12))
        self.norm = nn.LayerNorm(768, eps=1e-06)
        self.logits = nn.Linear(768, 1000)
        self.reset()

    def reset(self):
        """Start the weights: matrices normal, biases at zero, norms at one."""
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.ones_(weight)

    def forward(self, pixels_BCII):
        # vit.yaml:17
        x_BTD = self.patch(pixels_BCII)
        # vit.yaml:18
        x_BUD = self.cls(x_BTD)
        # vit.yaml:19
        x_BUD = self.position(x_BUD)
        # vit.yaml:21
        for layer in self.layers:
            x_BUD = layer(x_BUD)
        # vit.yaml:22
        x_BUD = self.norm(x_BUD)
        # vit.yaml:23
        x_BD = x_BUD[:, 0]
        # vit.yaml:24
        logits_BV = self.logits(x_BD)
        return logits_BV
