"""phi3: Llama with one matrix for queries, keys and values, and one for gate and up."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import INNER, OWN, Manner, decoder
from tfdsl.weights.recipes import Tree, dropout, masks


def spec(c: Config) -> Tree:
    """Return the spec of a Phi-3 or Phi-4-mini."""
    window, layers = c.limit("sliding_window", None), c.whole("num_hidden_layers", 32)
    manner = Manner(
        "phi3",
        qkv=f"{INNER}.qkv_proj.*",
        feed={
            "layers.$i.ffn.up.*": f"{OWN}.mlp.gate_up_proj.*",
            "layers.$i.ffn.down.*": f"{OWN}.mlp.down_proj.*",
        },
        masks=masks(c, layers, ["sliding_attention"] * layers, window),
        dims={"window": window} if window else {},
        residual=dropout(c, dropout="resid_pdrop"),
        embedded=dropout(c, dropout="embd_pdrop"),
        eps=1e-5,
    )
    return decoder(c, manner)
