"""Written-out attention is torch's attention, and takes its place only where it is meant to."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.training import attention


def heads(length: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, length, 8, dtype=dtype, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("length", [1, 64, 256, 300, 700])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_outputs_and_gradients_are_those_of_torch(length: int, scale: float | None) -> None:
    parts = heads(length, torch.bfloat16)
    exact = [part.detach().double().requires_grad_() for part in parts]
    with attention.written_out(), torch.autocast("cpu", torch.bfloat16):
        own = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale)
    right = F.scaled_dot_product_attention(*exact, is_causal=True, scale=scale)
    fused = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale)
    towards = torch.randn(right.shape, dtype=torch.float64)
    grads, best = (torch.autograd.grad(y, x, towards.to(y.dtype)) for y, x in ((own, parts), (right, exact)))
    theirs = torch.autograd.grad(fused, parts, towards.bfloat16())
    for mine, other, truth in zip((own, *grads), (fused, *theirs), (right, *best), strict=True):
        assert (mine - truth).abs().max() <= 2 * (other - truth).abs().max() + 0.01 * truth.abs().max()


def test_it_is_in_place_only_while_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    before = F.scaled_dot_product_attention
    with pytest.raises(KeyError), attention.written_out():
        assert F.scaled_dot_product_attention is attention.attend
        raise KeyError
    assert F.scaled_dot_product_attention is before


@pytest.mark.parametrize("case", ["no autocast", "mask", "dropout", "full", "groups"])
def test_all_other_cases_are_torchs(case: str) -> None:
    q, k, v = (part.detach() for part in heads(16, torch.float32))
    mask = torch.ones(16, 16, dtype=torch.bool).tril() if case == "mask" else None
    if case == "groups":
        k, v = k[:, :1], v[:, :1]
    options = {
        "attn_mask": mask,
        "dropout_p": 0.5 if case == "dropout" else 0.0,
        "is_causal": case not in ("mask", "full"),
        "enable_gqa": case == "groups",
    }
    with torch.autocast("cpu", torch.bfloat16, enabled=case != "no autocast"):
        torch.manual_seed(1)
        own = attention.attend(q, k, v, **options)
        torch.manual_seed(1)
        theirs = attention.FUSED(q, k, v, **options)
    assert own.dtype == theirs.dtype
    assert torch.equal(own, theirs)
