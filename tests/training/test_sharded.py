"""Sharded weights (FSDP2): the same steps, and state that comes back from whole tensors."""

from collections.abc import Generator
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from tests.training.gpt import GPT
from tfdsl.settings import Train
from tfdsl.training import groups
from tfdsl.training.average import Average
from tfdsl.training.optimizer import Optimizer


@pytest.fixture
def alone() -> Generator[None]:
    """A group of one process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@pytest.mark.parametrize("fields", [{"lr": 0.01}, {"type": "muon"}, {"type": "sgd"}])
def test_sharded_weights_take_the_same_steps(alone: None, fields: dict[str, Any]) -> None:
    chosen = Train.read({"optimizer": fields}).optimizer
    torch.manual_seed(0)
    plain, sharded = GPT(12), GPT(12)
    sharded.load_state_dict(plain.state_dict())
    parts = groups.part(groups.of_model(plain), chosen)
    fully_shard(sharded)
    ours, theirs = Optimizer(plain, chosen, parts), Optimizer(sharded, chosen, parts)
    averages = [Average(plain, 0.9), Average(sharded, 0.9)]
    for step in range(4):
        if step == 2:  # as a checkpoint holds it
            kept = {name: whole(each).clone() for name, each in theirs.state().items()}
            theirs = Optimizer(sharded, chosen, parts)
            theirs.restore(kept)
        ids = torch.randint(12, (4, 8), generator=torch.Generator().manual_seed(step))
        for model, each in ((plain, ours), (sharded, theirs)):
            model(ids).square().mean().backward()
            each.step()
            each.zero_grad()
        for each in averages:
            each.stepped(step + 1)
    for name, weight in plain.named_parameters():
        torch.testing.assert_close(whole(dict(sharded.named_parameters())[name]), weight)
        torch.testing.assert_close(whole(averages[1].weights[name]), averages[0].weights[name])
    assert all(isinstance(each, DTensor) for name, each in theirs.state().items() if not name.startswith("step."))
