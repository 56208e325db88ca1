"""How attention weighs what it reads: every method, in one place."""

from tfdsl.nodes.attention.linear import Linear, Performer
from tfdsl.nodes.attention.lowrank import LowRank
from tfdsl.nodes.attention.weighing import Method, Softmax

__all__ = ["Linear", "LowRank", "Method", "Performer", "Softmax"]
