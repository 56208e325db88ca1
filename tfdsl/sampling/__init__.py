"""Write text with a trained model."""

from __future__ import annotations

from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.sampling.begin import Author, begin
from tfdsl.sampling.decoder import Decoder
from tfdsl.sampling.generate import Plan, generate
from tfdsl.sampling.generation import Generation, Piece
from tfdsl.sampling.layout import ready
from tfdsl.sampling.reader import Opener, Reader

__all__ = [
    "Author",
    "Decoder",
    "Generation",
    "Opener",
    "Piece",
    "Plan",
    "Reader",
    "against",
    "begin",
    "generate",
    "ready",
]


def against(signature: Signature) -> list[Diagnostic]:
    """Return why a model does not go on from a text, if it does not."""
    if signature.goes_on:
        return []
    takes, gives = (", ".join(f"`{name}`" for name in part) for part in (signature.inputs, signature.outputs))
    message = f"the model does not go on from a text: it takes {takes} and gives {gives}"
    help_ = "ask it with `tfdsl fill`, `classify` or `embed`, as it was trained; one that goes on looks back alone"
    return [Diagnostic("R713", message, label="nothing to sample", help=help_)]
