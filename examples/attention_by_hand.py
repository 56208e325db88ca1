"""Scaled dot-product attention made of primitives, beside the kind `attention`: the same numbers."""

from pathlib import Path

import torch

import tfdsl

SPEC = Path(__file__).with_name("attention_by_hand.yaml")

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    model = tfdsl.build(SPEC)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        weights["by_hand.qkv.weight"].copy_(weights["of_the_kind.kind.qkv.weight"])
        weights["by_hand.out.weight"].copy_(weights["of_the_kind.kind.out.weight"])
        tokens = torch.randint(1, 256, (2, 12))
        tokens[0, :3] = 0  # padding, on the left of one and on the right of the other
        tokens[1, 9:] = 0
        found = model(tokens)
    apart = (found["by_hand"] - found["of_the_kind"]).abs().max()
    print(f"by hand and by the kind: {'the same' if apart < 1e-15 else f'{apart:.1e} apart'} to rounding")
