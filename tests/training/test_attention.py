"""Written-out attention is torch's attention, and takes its place only where it is meant to."""

import contextlib

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.training import attention, products


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


MASKS = {
    "none": None,
    "keys": torch.arange(40)[None, None, None] < torch.tensor([40, 25])[:, None, None, None],
    "rows": torch.arange(40)[:, None] % 7 >= torch.arange(40) % 5,
    "blind": (torch.arange(40)[:, None] >= torch.arange(40)) & (torch.arange(40)[:, None] != 3),
    "bias": torch.randn(1, 6, 40, 40, generator=torch.Generator().manual_seed(3)),
    "bias that hides": torch.full((40, 40), -torch.inf).triu(1).index_fill(0, torch.tensor([5]), -torch.inf),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("groups", [6, 2])
def test_in_float32_every_mask_is_torchs(mask: str, groups: int) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, 40, 8, requires_grad=True) for heads in (6, groups, groups))
    chosen, causal = MASKS[mask], mask == "none"
    options = {"attn_mask": chosen, "is_causal": causal, "enable_gqa": groups != 6}
    with products.fast():
        own = attention.attend(q, k, v, **options)
        towards = torch.randn(own.shape)
        grads = torch.autograd.grad(own, (q, k, v), towards)
    wide = [part.detach().double().requires_grad_() for part in (q, k, v)]
    if chosen is not None and chosen.dtype != torch.bool:
        options["attn_mask"] = chosen.double()
    right = attention.FUSED(*wide, **options)
    for mine, truth in zip((own, *grads), (right, *torch.autograd.grad(right, wide, towards.double())), strict=True):
        torch.testing.assert_close(mine, truth.float(), rtol=1e-4, atol=1e-5)


def test_a_bias_learns_as_with_torch() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 9, 4) for _ in range(3))
    found: list[Tensor] = []
    for call in (attention.attend, attention.FUSED):
        bias = torch.linspace(-1, 1, 81).view(1, 1, 9, 9).requires_grad_()
        with products.fast():
            found += torch.autograd.grad(call(q, k, v, bias).square().sum(), bias)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("causal", [True, False])
def test_dropout_leaves_out_shares_and_makes_up_for_it(causal: bool) -> None:
    torch.manual_seed(0)
    q, k = (torch.randn(4, 8, 200, 8) for _ in range(2))
    with products.fast():
        y = attention.attend(q, k, torch.ones(4, 8, 200, 8), dropout_p=0.25, is_causal=causal)
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    if causal:  # the first query has one key: all or nothing
        assert set(y[:, :, 0, 0].mul(3).round().flatten().tolist()) == {0.0, 4.0}


@pytest.mark.parametrize("case", ["slow products", "float64", "long"])
def test_all_other_cases_are_torchs(case: str) -> None:
    wide = torch.float64 if case == "float64" else torch.float32
    parts = [part.detach() for part in heads(1025 if case == "long" else 16, wide)]
    with contextlib.nullcontext() if case == "slow products" else products.fast():
        assert torch.equal(attention.attend(*parts, is_causal=True), attention.FUSED(*parts, is_causal=True))


def test_products_are_as_exact_as_before_and_are_left_as_they_were() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(200, 333, generator=draw), torch.randn(333, 100, generator=draw)
    right = a.double() @ b.double()
    with products.fast():
        assert ((a @ b) - right).abs().max() < products.EXACT * right.abs().max()
        assert torch.get_float32_matmul_precision() == ("medium" if products.exact() else "highest")
    assert torch.get_float32_matmul_precision() == "highest"
