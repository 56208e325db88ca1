"""Specs at random: every kind and most fields, in structures that no person would write."""

from __future__ import annotations

from random import Random

GATES = ("relu", "gelu", "gelu_tanh", "swiglu", "geglu", "reglu", "glu", "relu2", "silu")
TRUTHS = ("true", "false")
BIASES = ("true", "{q: true, v: true}", "{q: true, k: true, v: true}", "{v: true, out: true}", "{k: true}")
RELATIVE = (
    "none",
    "rope",
    "{type: rope, style: interleaved, theta: 50}",
    "{type: t5, buckets: 8, max_distance: 10}",
    "{type: t5, buckets: 8, max_distance: 10, share: @}",
)


class Speaker:
    """Says one spec, all of it a function of the seed. Its streams are `tgt` [B, T] and perhaps `src` [B, S]."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.two = self.maybe(0.5)
        self.causal = self.maybe(0.7)
        self.table = "near"  # what its stream's attention shares

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def attention(self, causal: bool, memory: str) -> str:
        pick, fields = self.random.choice, ["heads: 2"]
        fields += ["head_dim: 6"] if self.maybe(0.3) else []
        fields += ["kv_heads: 1"] if self.maybe(0.3) else []
        fields += [f"bias: {pick(BIASES)}"] if self.maybe(0.4) else []
        fields += [f"qk_norm: {pick(('rms', 'layer'))}"] if self.maybe(0.3) else []
        fields += ["scale: 0.5"] if self.maybe(0.2) else []
        fields += ["dropout: 0.1"] if self.maybe(0.3) else []
        if memory and self.maybe(0.5):
            return f"attention: {{{', '.join([*fields, f'kv: {memory}'])}}}"
        near = pick(("sliding, window: 3", "chunked, size: 3", "dilated, window: 2, step: 2", "block_sparse, block: 2"))
        behind = ("causal", "causal", f"{{type: {near}, causal: true}}")
        mask = pick(behind if causal else ("full", f"{{type: {near}, causal: false}}"))
        position = pick(RELATIVE).replace("@", self.table)
        return f"attention: {{{', '.join([*fields, f'mask: {mask}', f'position: {position}'])}}}"

    def node(self, causal: bool, memory: str, blocks: tuple[str, ...], depth: int = 0) -> str:
        pick, inner = self.random.choice, lambda: f"{{{self.node(causal, memory, blocks, depth + 1)}}}"
        plain = (
            lambda: f"norm: {pick(('layer', 'rms', '{type: layer, bias: false}'))}",
            lambda: self.attention(causal, memory),
            lambda: self.attention(causal, memory),
            lambda: (
                f"ffn: {{hidden: 12, activation: {pick(GATES)}, bias: {pick(TRUTHS)}, dropout: {pick((0.0, 0.1))}}}"
            ),
            lambda: f"moe: {{experts: 4, top_k: 2, hidden: 6, activation: {pick(('swiglu', 'gelu'))}}}",
            lambda: f"linear: {{width: 8, bias: {pick(TRUTHS)}}}",
            lambda: f"activation: {pick(('relu', 'gelu', 'tanh', 'relu2', 'gelu_tanh'))}",
            lambda: pick(("dropout: 0.1", "dropout: 0.0", "scale: 0.7")),
        )
        nested = (
            lambda: f"residual: [{', '.join(inner() for _ in range(self.random.randint(1, 3)))}]",
            lambda: f"residual: {{body: [{inner()}], dropout: {pick((0.0, 0.1))}, scale: 0.5}}",
            lambda: f"{pick(('sum', 'multiply'))}: [[{inner()}], [{inner()}, {inner()}]]",
            lambda: f"use: {pick(blocks)}" if blocks else "norm",
        )
        return pick(plain if depth > 2 or self.maybe(0.5) else nested)()

    def stream(self, source: str, block: str, last: bool) -> list[str]:
        pick = self.random.choice
        copies = pick((f"block: {block}, times: 2", f"block: {block}, times: 2, share: true", "body: [norm], times: 2"))
        if block == "layer" and self.maybe(0.5):
            varied = pick(("{cycle: [8, 12]}", "8 + layer", "{at: {0: 4}, else: 8}"))
            copies = f"block: layer, times: 4, vary: {{size: {varied}}}"
        position = pick(("position: sinusoidal", "position: {type: learned, length: 40}", "scale: 2"))
        lines = [f"embed: {{from: {source}, width: d, id: table_{source}}}", position, f"repeat: {{{copies}}}"]
        ends = (
            f"unembed: {{id: logits, tie: table_{source}}}",
            "unembed: {id: logits, width: 20}",
            "linear: {id: logits, width: 20, bias: true}",
        )
        return [*lines, *(["norm"] if self.maybe(0.5) else []), *([pick(ends)] if last else [])]

    def spec(self) -> str:
        pads = ["vocab: 20, pad: 0" if self.maybe(0.5) else "vocab: 20" for _ in range(2)]
        source = f"src: {{shape: [B, S], {pads[0]}}}, " if self.two else ""
        memory = "enc" if self.two else ""
        body = [self.node(self.causal, memory, ("small",)) for _ in range(self.random.randint(1, 3))]
        blocks = {"small": ["norm", self.node(self.causal, "", (), 2)]}
        self.table = "far"
        blocks["wide"] = [self.node(False, "", ())]
        lines = ["tfdsl: 1", "name: spoken", "dims: {d: 8}", f"inputs: {{{source}tgt: {{shape: [B, T], {pads[1]}}}}}"]
        lines += ["outputs: {logits: [B, T, 20]}", "blocks:"]
        for name, nodes in blocks.items():
            lines += [f"  {name}:", *(f"    - {each}" for each in nodes)]
        lines += [
            "  layer:",
            "    params: {size: 8}",
            "    body:",
            *(f"      - {each}" for each in (*body, "ffn: {hidden: $size}")),
        ]
        if not self.two:
            return "\n".join([*lines, "model:", *(f"  - {each}" for each in self.stream("tgt", "layer", True)), ""])
        lines += ["model:", "  enc:", *(f"    - {each}" for each in self.stream("src", "wide", False))]
        return "\n".join([*lines, "  dec:", *(f"    - {each}" for each in self.stream("tgt", "layer", True)), ""])
