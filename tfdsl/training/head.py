"""What the loss reads of a model: its scores, or the hidden states and the head that make them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from tfdsl.heads import Headed, Unscored
from tfdsl.training.binding import result
from tfdsl.training.task import Model


def given(model: Model, inputs: Mapping[str, Tensor], output: str) -> Tensor | Unscored:
    """Return the `output` as the loss reads it: scores [..., V], or what leads to them where that can be had."""
    if isinstance(model, Headed) and model.output == output:
        return model.unscored(*inputs.values())
    return result(model, inputs, output)
