"""part: a piece of a layer that several layers have."""

from __future__ import annotations

from torch import nn


class Part(nn.Module):
    """A piece of a layer. What is emitted has the layer alone: the piece's arguments, weights and text are its own.

    `tfdsl/codegen/melt.py` says how.
    """
