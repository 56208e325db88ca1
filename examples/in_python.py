"""A model made of Python objects instead of YAML: checked, written as YAML, read back equal, and built."""

import tfdsl
from tfdsl import Block, Input, Spec
from tfdsl.nodes.attention import Attention
from tfdsl.nodes.embed import Embed
from tfdsl.nodes.ffn import FeedForward
from tfdsl.nodes.norm import RMSNorm
from tfdsl.nodes.repeat import Repeat
from tfdsl.nodes.residual import Residual
from tfdsl.nodes.unembed import Unembed


def gpt(layers: int, width: int) -> Spec:
    """Return a small decoder whose sizes are Python's to choose."""
    return Spec(
        name="made",
        inputs={"tokens": Input(shape=("B", "T"), vocab=256)},
        outputs={"logits": ("B", "T", 256)},
        blocks={
            "layer": Block(
                body=(
                    Residual(body=(RMSNorm(), Attention(heads=width // 32, mask="causal", position="rope"))),
                    Residual(body=(RMSNorm(), FeedForward(hidden=4 * width, activation="swiglu"))),
                )
            )
        },
        model=(
            Embed(id="tok", source="tokens", width=width),
            Repeat(block="layer", times=layers),
            RMSNorm(),
            Unembed(id="logits", tie="tok"),
        ),
    )


if __name__ == "__main__":
    spec = gpt(layers=3, width=96)
    text = spec.to_yaml()
    print(text)
    assert tfdsl.load(text) == spec, "what is written reads back equal"
    model = tfdsl.build(spec)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters")
