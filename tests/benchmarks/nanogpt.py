"""nanoGPT's small CPU setting, written anew with the calls that it makes: the bar for the trainer's speed and loss.

What is kept of it: one linear map for queries, keys and values, scaled_dot_product_attention with `is_causal`, exact
GELU, a norm without bias, a head tied to the embedding; AdamW as it runs on a CPU (a loop over tensors, not fused),
decay on every matrix, embeddings too; batches stacked row by row from a memory map that is opened for each; float32
throughout. Karpathy, github.com/karpathy/nanoGPT, `config/train_shakespeare_char.py` with the CPU flags of its README.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, STEPS = 4, 4, 128, 64, 12, 2000
RATE, LEAST, WARMUP = 1e-3, 1e-4, 100


class Norm(nn.Module):
    """Layer norm without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self) -> None:
        super().__init__()
        self.joint = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.size()
        q, k, v = self.joint(x).split(WIDTH, dim=2)
        q, k, v = (part.view(b, t, HEADS, WIDTH // HEADS).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
        return self.dropout(self.out(y.transpose(1, 2).contiguous().view(b, t, WIDTH)))


class Layer(nn.Module):
    """Attention and feed-forward, each after a norm and beside a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = Norm(), Attention(), Norm()
        self.up, self.gelu = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU()
        self.down, self.dropout = nn.Linear(4 * WIDTH, WIDTH, bias=False), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.dropout(self.down(self.gelu(self.up(self.norm2(x)))))


class NanoGPT(nn.Module):
    """The model; called with targets it returns logits and loss."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.tok, self.pos, self.dropout = nn.Embedding(vocab, WIDTH), nn.Embedding(CONTEXT, WIDTH), nn.Dropout(0.0)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = Norm(), nn.Linear(WIDTH, vocab, bias=False)
        self.head.weight = self.tok.weight
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(
                    weight, std=0.02 / (math.sqrt(2 * LAYERS) if name.endswith(("out.weight", "down.weight")) else 1)
                )

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        x = self.dropout(self.tok(tokens) + self.pos(torch.arange(tokens.size(1))))
        for layer in self.layers:
            x = layer(x)
        logits = self.head(self.norm(x))
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


class Trainer:
    """The loop: `run(n)` takes n steps and returns how many tokens they trained on."""

    def __init__(self, text: Path, seed: int = 1337) -> None:
        letters = text.read_text()
        self.ids = {letter: place for place, letter in enumerate(sorted(set(letters)))}
        data = np.array([self.ids[letter] for letter in letters], dtype=np.uint16)
        cut = int(len(data) * 0.9)
        self.held_out = data[cut:]
        self.file = Path(tempfile.mkdtemp()) / "train.bin"
        data[:cut].tofile(self.file)
        torch.manual_seed(seed)
        self.model, self.step = NanoGPT(len(self.ids)), 0
        weights = list(self.model.parameters())
        parts = [{"params": [w for w in weights if w.dim() >= 2], "weight_decay": 0.1}]
        parts += [{"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0}]
        self.adam = torch.optim.AdamW(parts, lr=RATE, betas=(0.9, 0.99))
        self.next = self.batch()

    def batch(self) -> tuple[Tensor, Tensor]:
        data = np.memmap(self.file, dtype=np.uint16, mode="r")
        starts = torch.randint(len(data) - CONTEXT, (BATCH,))
        x = torch.stack([torch.from_numpy(data[i : i + CONTEXT].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + CONTEXT].astype(np.int64)) for i in starts])
        return x, y

    def rate(self) -> float:
        if self.step < WARMUP:
            return RATE * (self.step + 1) / (WARMUP + 1)
        done = min(1.0, (self.step - WARMUP) / (STEPS - WARMUP))
        return LEAST + (RATE - LEAST) * (1 + math.cos(math.pi * done)) / 2

    def run(self, steps: int) -> int:
        for _ in range(steps):
            for part in self.adam.param_groups:
                part["lr"] = self.rate()
            _, loss = self.model(*self.next)
            self.next = self.batch()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.adam.step()
            self.adam.zero_grad(set_to_none=True)
            loss.item()
            self.step += 1
        return steps * BATCH * CONTEXT

    @torch.no_grad()
    def loss(self) -> float:
        """Return the loss over the whole held-out text, each token but the first a target once."""
        total = 0.0
        for start in range(0, len(self.held_out) - 1, CONTEXT):
            row = torch.from_numpy(self.held_out[start : start + CONTEXT + 1].astype(np.int64))[None]
            total += self.model(row[:, :-1], row[:, 1:])[1].item() * (row.size(1) - 1)
        return total / (len(self.held_out) - 1)
