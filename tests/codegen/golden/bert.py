"""bert: BERT base (arXiv:1810.04805), 110,104,890 parameters with its word head and
without its classifier of pairs.

The capitals behind a name are its axes: B batch; T length of tokens, segments; D
d_model = 768; V vocab_size = 30522; H heads; K features of a head; F hidden features.

Written by tfdsl 0.1.0 from bert.yaml.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim)
        self.dropout = dropout
        self.out = nn.Linear(heads * self.head_dim, width)

    def forward(self, x_BTD, mask):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
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


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x_BTD):
        end = x_BTD.size(1)
        if end > self.weight.size(0):
            raise ValueError(f"{self.weight.size(0)} positions are learned, not {end}")
        return x_BTD + self.weight[:end]


class Layer(nn.Module):
    """Block `layer`."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(768, 12, dropout=0.1)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_1 = nn.LayerNorm(768, eps=1e-12)
        self.ffn = FeedForward(768, 3072)
        self.dropout_2 = nn.Dropout(0.1)
        self.norm_2 = nn.LayerNorm(768, eps=1e-12)

    def forward(self, x_BTD, padding_mask):
        # bert.yaml:17
        y_BTD = self.attention(x_BTD, mask=padding_mask)
        x_BTD = x_BTD + self.dropout_1(y_BTD)
        # bert.yaml:18
        x_BTD = self.norm_1(x_BTD)
        # bert.yaml:19
        y_BTD = self.ffn(x_BTD)
        x_BTD = x_BTD + self.dropout_2(y_BTD)
        # bert.yaml:20
        x_BTD = self.norm_2(x_BTD)
        return x_BTD


class Encoder(nn.Module):
    """Stream `encoder`."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(30522, 768)
        self.embed = nn.Embedding(2, 768)
        self.position = LearnedPosition(512, 768)
        self.norm = nn.LayerNorm(768, eps=1e-12)
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.ModuleList(Layer() for _ in range(12))

    def forward(self, tokens_BT, segments_BT, tokens_keep_BT):
        # bert.yaml:24
        y_BTD = self.tok(tokens_BT)
        # bert.yaml:25
        z_BTD = self.embed(segments_BT)
        # bert.yaml:23
        x_BTD = y_BTD + z_BTD
        # bert.yaml:26
        x_BTD = self.position(x_BTD)
        # bert.yaml:27
        x_BTD = self.norm(x_BTD)
        # bert.yaml:28
        x_BTD = self.dropout(x_BTD)
        padding_mask = tokens_keep_BT[:, None, None, :]
        # bert.yaml:29
        for layer in self.layers:
            x_BTD = layer(x_BTD, padding_mask)
        return x_BTD


class Word(nn.Module):
    """Stream `word`."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(768, 768)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(768, eps=1e-12)
        self.logits = nn.Linear(768, 30522)

    def forward(self, encoder_BTD):
        # bert.yaml:31
        x_BTD = self.linear(encoder_BTD)
        # bert.yaml:32
        x_BTD = self.activation(x_BTD)
        # bert.yaml:33
        x_BTD = self.norm(x_BTD)
        # bert.yaml:34
        logits_BTV = self.logits(x_BTD)
        return logits_BTV


class Sentence(nn.Module):
    """Stream `sentence`."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(768, 768)
        self.pooled = nn.Tanh()

    def forward(self, encoder_BTD):
        # bert.yaml:36
        x_BD = encoder_BTD[:, 0]
        # bert.yaml:37
        x_BD = self.linear(x_BD)
        # bert.yaml:38
        pooled_BD = self.pooled(x_BD)
        return pooled_BD


class Model(nn.Module):
    """tokens [B, T], segments [B, T] -> logits [B, T, 30522], pooled [B, 768]."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.word = Word()
        self.sentence = Sentence()
        self.word.logits.weight = self.encoder.tok.weight
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

    def forward(self, tokens_BT, segments_BT):
        tokens_keep_BT = tokens_BT != 0
        encoder_BTD = self.encoder(tokens_BT, segments_BT, tokens_keep_BT)
        logits_BTV = self.word(encoder_BTD)
        pooled_BD = self.sentence(encoder_BTD)
        return {"logits": logits_BTV, "pooled": pooled_BD}
