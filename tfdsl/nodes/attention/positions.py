"""How attention knows where its queries and keys stand: every type, in one place."""

from tfdsl.nodes.attention.places import Nowhere, Place, Relative
from tfdsl.nodes.attention.relative import T5Buckets
from tfdsl.nodes.attention.rope import Rotary

__all__ = ["Nowhere", "Place", "Relative", "Rotary", "T5Buckets"]
