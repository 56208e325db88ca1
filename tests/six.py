"""The six specs of the language page at tiny sizes, and inputs for them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import tfdsl
from tfdsl.checking import Checked

SPECS = Path(__file__).parent.parent / "specs"
TINY = {
    "gpt2": "vocab_size=50 context=32 n_layers=2 d_model=16 n_heads=2",
    "transformer": "vocab_size=50 n_layers=2 d_model=16 n_heads=2 d_ff=32",
    "bert": "vocab_size=50 context=32 n_layers=2 d_model=16 n_heads=2 d_ff=32",
    "t5": "vocab_size=50 n_layers=2 d_model=16 n_heads=2 head_dim=8 d_ff=32",
    "vit": "image=32 patch=8 classes=7 n_layers=2 d_model=16 n_heads=2 d_ff=32",
    "hybrid": "vocab_size=50 n_layers=6 d_model=32 n_heads=4 n_kv_heads=2 window=5 n_experts=4",
}
NAMES = tuple(TINY)
CACHED = ("gpt2", "transformer", "t5", "hybrid")


def tiny(name: str) -> Checked:
    """Return the checked spec at tiny sizes."""
    checked = tfdsl.check(SPECS / f"{name}.yaml", [f"dims.{each}" for each in TINY[name].split()])
    assert checked.ok, checked.diagnostics
    return checked


def spread(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight a value that shows, so that a mistake does too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def inputs(name: str, batch: int = 3, target: int = 11, source: int = 9, seed: int = 1) -> tuple[Tensor, ...]:
    """Return inputs; where a spec has padding, some rows have some."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(length: int, padded: int = 0) -> Tensor:
        found = torch.randint(1, 50, (batch, length), generator=generator)
        found[0, length - padded :] = 0
        return found

    if name == "vit":
        return (torch.randn(batch, 3, 32, 32, generator=generator),)
    if name == "bert":
        return tokens(target, 3), torch.randint(0, 2, (batch, target), generator=generator)
    if name in ("gpt2", "hybrid"):
        return (tokens(target),)
    return tokens(source, 2), tokens(target, 1)


def first(result: Tensor | dict[str, Tensor]) -> Tensor:
    """Return a model's first result."""
    return next(iter(result.values())) if isinstance(result, dict) else result
