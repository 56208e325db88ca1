"""Which positions a query may see: every type of mask, in one place."""

from tfdsl.nodes.attention.local import Chunked, Dilated, Sliding
from tfdsl.nodes.attention.seen import Causal, Full, Mask, Prefix
from tfdsl.nodes.attention.sparse import BlockSparse

__all__ = ["BlockSparse", "Causal", "Chunked", "Dilated", "Full", "Mask", "Prefix", "Sliding"]
