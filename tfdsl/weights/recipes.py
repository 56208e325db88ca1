"""What the families' recipes have in common: the pieces of a spec that a config's settings stand for."""

from __future__ import annotations

from typing import Any

from tfdsl.weights.config import Config
from tfdsl.weights.rope import Tree, rope

__all__ = ["Tree", "rope"]
TOKENS: Tree = {"tokens": {"shape": ["B", "T"], "vocab": "vocab_size"}}
LOGITS: Tree = {"logits": ["B", "T", "vocab_size"]}
GELU_TANH = dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast"), "gelu_tanh")
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu", "tanh": "tanh", **GELU_TANH}
GEGLU_TANH = dict.fromkeys(GELU_TANH, "geglu_tanh")
GATED = {"gelu": "geglu", "relu": "reglu", "silu": "swiglu", "swish": "swiglu", "sigmoid": "glu", **GEGLU_TANH}


def rows(*names: str) -> list[str]:
    """Return the names of tensors that are joined."""
    return list(names)


def each(prefix: str, *names: str, end: str = "*") -> list[str]:
    """Return `prefix.name.*` for each name: tensors that are joined."""
    return [f"{prefix}.{name}.{end}" for name in names]


def start(c: Config) -> Tree:
    """Return how weights start, where the config says it."""
    std = c.get("initializer_range")
    return {"init": {"std": std}} if isinstance(std, float) and 0 < std < 1 else {}


def dropout(c: Config, **keys: str) -> Tree:
    """Return the probabilities of dropout that are above 0, by their names in a spec."""
    found = {name: c.number(key, 0.0) for name, key in keys.items()}
    return {name: value for name, value in found.items() if value}


def joined(names: list[str], apart: bool) -> Any:
    """Return a join of queries, keys and values, with their rows where those differ."""
    few = "n_kv_heads * head_dim"
    return {"from": names, "heights": ["n_heads * head_dim", few, few]} if apart else names


def varied(tree: Tree, name: str, values: list[Any], block: str = "layer") -> Any:
    """Return what a field of a block is set to where it differs by layer: the value, or the parameter `$name`.

    The block gets the parameter, and its repeat what it is in each copy.
    """
    if all(value == values[0] for value in values):
        return values[0]
    body = tree["blocks"][block]
    held = body if isinstance(body, dict) else {"params": {}, "body": body}
    tree["blocks"][block] = {"params": {**held["params"], name: values[0]}, "body": held["body"]}
    for node in tree["model"]:
        if isinstance(node, dict) and node.get("repeat", {}).get("block") == block:
            node["repeat"].setdefault("vary", {})[name] = _by_layer(values)
    return f"${name}"


def _by_layer(values: list[Any]) -> Tree:
    """Return the shortest way to say one value for each copy."""
    for period in range(1, len(values) // 2 + 1):
        if all(value == values[index % period] for index, value in enumerate(values)):
            rest = {} if len(values) % period == 0 else {"partial": True}
            return {"cycle": values[:period], **rest}
    usual = max(values, key=values.count)
    odd = {index: value for index, value in enumerate(values) if value != usual}
    return {"at": odd, "else": usual} if len(odd) <= len(values) // 3 else {"list": values}


def masks(c: Config, count: int, types: list[str], window: int | None) -> list[Any]:
    """Return the mask of each layer: `layer_types` where the config has it, else `types`."""
    sliding: Any = {"type": "sliding", "window": "window"} if window else "causal"
    meanings = {"full_attention": "causal", "sliding_attention": sliding}
    return c.words("layer_types", meanings, count) or [meanings[each] for each in types]


def experts(place: str, gate: str, up: str, down: str, shared: str = "") -> Tree:
    """Return the entries of a mixture whose experts stand apart in the checkpoint, and of what all positions share."""
    inner, beside = f"{place}.experts.$e", f"{place}.{shared}"
    found: Tree = {
        "layers.$i.moe.router.weight": f"{place}.gate.weight",
        "layers.$i.moe.up": {"stack": [f"{inner}.{gate}.weight", f"{inner}.{up}.weight"]},
        "layers.$i.moe.down": {"stack": f"{inner}.{down}.weight"},
    }
    if shared:
        found["layers.$i.moe.shared.up.weight"] = [f"{beside}.{gate}.weight", f"{beside}.{up}.weight"]
        found["layers.$i.moe.shared.down.weight"] = f"{beside}.{down}.weight"
    return found


def late_windows(c: Config) -> tuple[list[Any], Tree]:
    """Return Qwen's masks, and its window: where windows are in use, layers from `max_window_layers` on have one."""
    layers = c.whole("num_hidden_layers")
    window = c.limit("sliding_window", 4096) if c.truth("use_sliding_window", False) else None
    c.inert("sliding_window")
    first = c.whole("max_window_layers", 28)
    types = ["full_attention" if layer < first else "sliding_attention" for layer in range(layers)]
    found = masks(c, layers, types, window)
    return found, {"window": window} if window and any(mask != "causal" for mask in found) else {}


def head_by_head(layer: str, attention: str, bias: bool = True) -> Tree:
    """Return a layer's entries where each head has its queries, keys and values beside each other, as in GPT-NeoX."""
    apart, sizes = f"{layer}.{attention}.query_key_value", {"h": "n_heads", "three": 3}
    turned: Tree = {}
    for end, axes in (("weight", "w"), *([("bias", "")] if bias else [])):
        pattern = f"(h three d) {axes} -> (three h d) {axes}".replace("  ", " ").strip()
        turned[f"layers.$i.attention.qkv.{end}"] = {"from": f"{apart}.{end}", "rearrange": pattern, "sizes": sizes}
    return {
        "layers.$i.norm_1.*": f"{layer}.input_layernorm.*",
        **turned,
        "layers.$i.attention.out.*": f"{layer}.{attention}.dense.*",
        "layers.$i.norm_2.*": f"{layer}.post_attention_layernorm.*",
        "layers.$i.ffn.up.*": f"{layer}.mlp.dense_h_to_4h.*",
        "layers.$i.ffn.down.*": f"{layer}.mlp.dense_4h_to_h.*",
    }


def towers(keys: bool) -> Tree:
    """Return the entries of BART's and Whisper's layers; `keys` says whether keys have a bias."""
    found: Tree = {}
    for side in ("encoder", "decoder"):
        ours, theirs = f"{side}.{side}_layers.$i", f"model.{side}.layers.$i"
        own = "attention" if side == "encoder" else "attention_1"
        found |= self_attention(f"{ours}.{own}", f"{theirs}.self_attn", keys)
        found[f"{ours}.norm_1.*"] = f"{theirs}.self_attn_layer_norm.*"
        if side == "decoder":
            found |= cross_attention(f"{ours}.attention_2", f"{theirs}.encoder_attn", keys)
            found[f"{ours}.norm_2.*"] = f"{theirs}.encoder_attn_layer_norm.*"
        found[f"{ours}.ffn.up.*"], found[f"{ours}.ffn.down.*"] = f"{theirs}.fc1.*", f"{theirs}.fc2.*"
        found[f"{ours}.norm_{2 if side == 'encoder' else 3}.*"] = f"{theirs}.final_layer_norm.*"
    return found


def self_attention(ours: str, theirs: str, keys: bool) -> Tree:
    """Return the entries of attention whose projections stand apart."""
    ends = each(theirs, "q_proj", "k_proj", "v_proj", end="weight")
    found: Tree = {f"{ours}.qkv.weight": ends, f"{ours}.out.*": f"{theirs}.out_proj.*"}
    if keys:
        return {**found, f"{ours}.qkv.bias": each(theirs, "q_proj", "k_proj", "v_proj", end="bias")}
    return {**found, f"{ours}.q_bias": f"{theirs}.q_proj.bias", f"{ours}.v_bias": f"{theirs}.v_proj.bias"}


def cross_attention(ours: str, theirs: str, keys: bool) -> Tree:
    """Return the entries of attention over another stream."""
    found: Tree = {
        f"{ours}.q.*": f"{theirs}.q_proj.*",
        f"{ours}.kv.weight": each(theirs, "k_proj", "v_proj", end="weight"),
        f"{ours}.out.*": f"{theirs}.out_proj.*",
    }
    if keys:
        return {**found, f"{ours}.kv.bias": each(theirs, "k_proj", "v_proj", end="bias")}
    return {**found, f"{ours}.v_bias": f"{theirs}.v_proj.bias"}
