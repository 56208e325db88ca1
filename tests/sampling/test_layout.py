"""A model made ready is the same model, in another order in memory."""

import torch

from tests.training.gpt import GPT
from tfdsl.sampling import ready
from tfdsl.training import checkpoint


def test_nothing_but_the_order_in_memory_changes() -> None:
    torch.manual_seed(0)
    model, tokens = GPT(11, dropout=0.5).eval(), torch.arange(10)[None]
    before = model(tokens)
    names, values = zip(*checkpoint.tensors(model).items(), strict=True)
    values = [value.clone() for value in values]
    made = ready(model.train())
    assert not made.training
    assert not any(weight.requires_grad for weight in made.parameters())
    assert tuple(checkpoint.tensors(made)) == names
    assert all(map(torch.equal, checkpoint.tensors(made).values(), values))
    assert made.head.weight is made.tok.weight
    assert made.layers[0].up.weight.stride() == (1, 64)
    torch.testing.assert_close(made(tokens), before, rtol=1e-5, atol=1e-6)


def test_a_weight_that_is_assigned_later_is_the_one_in_use() -> None:
    made = ready(GPT(11))
    made.norm.weight = torch.nn.Parameter(torch.zeros(16))
    assert made(torch.arange(10)[None]).abs().max() == 0
