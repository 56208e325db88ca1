"""roberta: BERT whose positions leave padding out, with a head for masked words."""

from __future__ import annotations

from typing import Any

from tfdsl.weights.config import Config
from tfdsl.weights.families import bert
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of a RoBERTa, with the heads that the checkpoint has."""
    pad, rows = c.whole("pad_token_id", 1), c.whole("max_position_embeddings", 512)
    tied = c.truth("tie_word_embeddings", True)
    tree = bert.spec(c)
    tree["name"] = "roberta"
    tree["dims"]["context"] = rows - pad - 1
    tree["inputs"]["tokens"]["pad"] = pad
    place = {"type": "learned", "length": "context", "offset": pad + 1, "padding": "skipped"}
    tree["model"]["encoder"] = [_placed(node, place) for node in tree["model"]["encoder"]]
    weights = {ours: _renamed(theirs) for ours, theirs in tree["weights"]["map"].items()}
    if c.has("lm_head.bias"):
        words = {"tie": "tok"} if tied else {"width": "vocab_size"}
        tree["model"]["word"] = [
            {"linear": {"from": "encoder", "width": "d_model", "bias": True}},
            {"activation": "gelu"},
            "norm",
            {"unembed": {"id": "logits", "bias": True, **words}},
        ]
        tree["outputs"] = {"logits": ["B", "T", "vocab_size"], **tree["outputs"]}
        tree["outputs"].pop("encoder", None)
        weights |= {
            "word.linear.*": "lm_head.dense.*",
            "word.norm.*": "lm_head.layer_norm.*",
            "word.logits.weight": "lm_head.decoder.weight",
            "word.logits.bias": {"from": "lm_head.bias", "also": "lm_head.decoder.bias"},
        }
    tree["weights"] = {"prefix": "roberta.", "ignore": ["*.position_ids"], "map": weights}
    return tree


def _placed(node: Any, place: Tree) -> Any:
    return {"position": place} if isinstance(node, dict) and "position" in node else node


def _renamed(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_renamed(each) for each in entry]
    return entry.replace("bert.", "roberta.", 1) if isinstance(entry, str) else entry
