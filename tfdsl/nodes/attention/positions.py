"""How attention knows where its queries and keys stand: every type, in one place."""

from tfdsl.nodes.attention.deberta import Deberta
from tfdsl.nodes.attention.distance import Shaw, TransformerXL
from tfdsl.nodes.attention.places import Nowhere, Place, Relative
from tfdsl.nodes.attention.relative import Alibi, Grid, Kerple, T5Buckets
from tfdsl.nodes.attention.rope import AxialRotary, Rotary

__all__ = [
    "Alibi",
    "AxialRotary",
    "Deberta",
    "Grid",
    "Kerple",
    "Nowhere",
    "Place",
    "Relative",
    "Rotary",
    "Shaw",
    "T5Buckets",
    "TransformerXL",
]
