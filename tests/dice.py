"""Sound specs thrown at random: small, of every kind, with blocks, parameters, forks, ties and several streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from tests.thrown import Plain, Throw

Pipe = list[Plain]
POINTWISE = ("relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "relu2", "gelu_quick", "mish", "laplace")
GATED = ("swiglu", "geglu", "geglu_tanh", "reglu", "glu", "clamped_swiglu", "bilinear")
NORMS = (
    {"type": "layer", "bias": False},
    {"type": "layer", "weight": False},
    {"type": "layer", "offset": True},
    {"type": "rms", "offset": True},
    {"type": "rms", "groups": "n_heads"},
    {"type": "rms", "weight": False},
    "scale",
    "l2",
    "dyt",
    "affine",
)


class Dumper(yaml.SafeDumper):
    """Writes a value as often as it stands there: the language has no aliases."""

    def ignore_aliases(self, data: Plain) -> bool:
        return True


def text(seed: int) -> str:
    """Return the spec that a seed throws, as YAML."""
    return dumped(Dice(seed).spec())


def dumped(document: Plain) -> str:
    """Return a document as YAML."""
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=110)


class Dice(Throw):
    """One throw. Every pipe that it makes takes and gives `width` features."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.blocks: dict[str, Plain] = {}
        self.ids: list[str] = []
        self.words = self.pick(11, 23)
        self.defaults = self._defaults()

    # -- the document -------------------------------------------------------------------------------------------------

    def spec(self) -> dict[str, Plain]:
        """Return a whole spec."""
        model = self.pick(self._decoder, self._encoder, self._both, self._image)
        inputs, outputs, pipes = model()
        document = {
            "tfdsl": 1,
            "name": f"dice_{self.seed}",
            "dims": {"d_model": self.width, "n_heads": self.heads, "p": self.pick(0, 0.1), "n_words": self.words},
            "inputs": inputs,
            "outputs": outputs,
            "defaults": self.defaults,
            "blocks": self.blocks,
            "model": pipes,
        }
        return {key: value for key, value in document.items() if value != {}}

    def _defaults(self) -> dict[str, Plain]:
        defaults: dict[str, Plain] = {}
        if self.chance():
            defaults["norm"] = self.pick("rms", {"type": "layer", "eps": 0.001}, {"type": "rms", "eps": 1e-5})
        if self.chance():
            defaults["attention"] = {"heads": "n_heads", "bias": self.pick(True, False)}
        if self.chance():
            defaults["ffn"] = {"activation": self.pick(*POINTWISE, *GATED)}
        return defaults

    def _tokens(self, axis: str, pad: bool) -> Plain:
        return {"shape": ["B", axis], "vocab": "n_words", **({"pad": 0} if pad else {})}

    def _decoder(self) -> tuple[Plain, Plain, Plain]:
        self.causal = True
        head, tied = self._embed("tokens")
        pipe = [*head, *self.pipe(2), *self.copies(), "norm", self._unembed(tied)]
        return {"tokens": self._tokens("T", self.chance(0.3))}, {"logits": ["B", "T", "n_words"]}, pipe

    def _encoder(self) -> tuple[Plain, Plain, Plain]:
        head, _ = self._embed("tokens")
        start = [{"prepend": self.pick(1, 2)}, *self.pick([], [{"append": 1}])] if self.chance(0.3) else []
        pool = {"pool": self.pick("first", "last", "mean", "max")}
        pipe = [
            *head,
            *start,
            *self.copies(),
            *self.pipe(2),
            pool,
            {"linear": {"id": "scores", "width": 5, "bias": True}},
        ]
        return {"tokens": self._tokens("T", self.chance())}, {"scores": ["B", 5]}, pipe

    def _both(self) -> tuple[Plain, Plain, Plain]:
        pad = self.chance()
        head, tied = self._embed("source")
        encoder = [*head, *self.copies(), *self.pipe(2)]
        self.causal, self.memory = True, "encoder"
        head = [{"embed": {"from": "target", "tie": "tok"}}] if tied else self._embed("target", "word")[0]
        layer = [{"residual": ["norm", self.attention()]}, {"residual": ["norm", self.cross()]}]
        again = {"repeat": {"body": layer, "times": 2}} if self.chance() else layer[-1]
        decoder = [*head, *layer, again, *self.pipe(2), self._unembed(tied)]
        inputs = {"source": self._tokens("S", pad), "target": self._tokens("T", pad and self.chance())}
        return inputs, {"logits": ["B", "T", "n_words"]}, {"encoder": encoder, "decoder": decoder}

    def _image(self) -> tuple[Plain, Plain, Plain]:
        patch = {"patch": {"from": "pixels", "size": 2, "width": "d_model", "bias": self.chance()}}
        start = [{"prepend": 1}] if self.chance() else []
        pool = {"pool": self.pick("first", "mean", "max")}
        pipe = [
            patch,
            *start,
            {"position": "learned"},
            *self.copies(),
            *self.pipe(2),
            pool,
            {"linear": {"id": "out", "width": 3}},
        ]
        return {"pixels": {"shape": ["B", 3, 8, 6], "dtype": "float"}}, {"out": ["B", 3]}, pipe

    def _embed(self, source: str, id: str = "tok") -> tuple[Pipe, bool]:
        embed = {"id": id, "from": source, "width": "d_model"}
        if self.chance(0.3):
            embed["scale"] = self.pick("sqrt(d_model)", 2.5)
        learned = {"type": "learned", "length": 40, "offset": self.pick(0, 2)}
        sines = {"type": "sinusoidal", "style": "concatenated", "inclusive": True, "offset": 1}
        position = self.pick(learned, "sinusoidal", sines, None)
        rest = [{"position": position}] if position is not None else []
        return [{"embed": embed}, *rest, *([{"dropout": "p"}] if self.chance() else [])], self.chance()

    def _unembed(self, tied: bool) -> Plain:
        where = {"tie": "tok"} if tied else {"width": "n_words"}
        return {"unembed": {"id": "logits", **where, **({"bias": True} if self.chance(0.3) else {})}}

    # -- pipes --------------------------------------------------------------------------------------------------------

    def pipe(self, depth: int, least: int = 1) -> Pipe:
        """Return a pipe; `depth` bounds how deep others stand in it."""
        made: Pipe = []
        for _ in range(self.random.randint(least, 3)):
            made += self.pick(*self._flat(), *(self._deep() if depth > 0 else ()))(depth)
        return made

    def _flat(self) -> Sequence[Any]:
        return (
            self._norm,
            self._attention,
            self._mixer,
            self._ffn,
            self._moe,
            self._linear,
            self._activation,
            self._plain,
            self._primitive,
            self._named,
        )

    def _deep(self) -> Sequence[Any]:
        return (
            self._residual,
            self._residual,
            self._hyper,
            self._unet,
            self._join,
            self._concat,
            self._use,
            self._repeat,
        )

    def _norm(self, depth: int) -> Pipe:
        return [self.pick("norm", "norm", {"norm": "rms"}, *({"norm": each} for each in NORMS))]

    def _ffn(self, depth: int) -> Pipe:
        fields: dict[str, Plain] = {"hidden": self.pick("2 * d_model", 12)}
        if self.chance():
            fields["activation"] = self.pick(*POINTWISE, *GATED)
        fields |= self.pick(
            {}, {"bias": True}, {"dropout": "p"}, {"norm": "rms"}, {"activation": "mish", "gated": True}
        )
        return [{"ffn": fields}]

    def _moe(self, depth: int) -> Pipe:
        count = self.pick(2, 4)
        fields = {"experts": count, "top_k": self.pick(2, count), "activation": self.pick(*POINTWISE, *GATED)}
        router = self.pick(
            {},
            {"top_k": 1, "renormalise": False},
            {"scores": "sigmoid", "choice_bias": True, "scale": 1.5},
            {"groups": 2, "top_groups": 2},
            {"bias": True, "router_bias": True},
            {"shared": 6, "shared_gate": True},
            {"weigh": "input", "balance_loss": 0.1, "z_loss": 0.1},
        )
        return [{"moe": {"hidden": 8, **fields, **router}}]

    def _linear(self, depth: int) -> Pipe:
        other = self.pick(5, 16)
        return [
            {"linear": {"width": other, "bias": self.chance()}},
            {"activation": self.pick(*POINTWISE)},
            {"linear": "d_model"},
        ]

    def _activation(self, depth: int) -> Pipe:
        return [{"activation": self.pick(*POINTWISE)}]

    def _plain(self, depth: int) -> Pipe:
        return [self.pick({"dropout": "p"}, {"scale": self.pick(0.5, "d_model ** -0.5")}, {"linear": "d_model"})]

    def _primitive(self, depth: int) -> Pipe:
        """Return nodes that move axes, look back a little, or join by name, and give the width that they take."""
        heads = {"h": "n_heads"}
        if self.chance(0.4):
            split = {"rearrange": {"pattern": "b t (h k) -> b t h k", "sizes": heads}}
            return [split, self.pick("norm", "softmax", {"softcap": 3}), {"rearrange": "b t h k -> b t (h k)"}]
        if self.chance():
            padding = "causal" if self.causal else self.pick("same", 1)
            conv = {"kernel": 3, "padding": padding, "bias": self.chance(), **self.pick({}, {"groups": "n_heads"})}
            return [self.pick({"conv": conv}, {"shift": self.pick(1, 2)}, {"scale": {"by": -1, "add": 1}})]
        if self.chance(0.4):
            return [self._scored()]
        gate = {"parameter": {"shape": ["d_model"], "init": self.pick("normal", 0.5)}}
        halves = [[{"slice": {"stop": "n_heads"}}], [{"slice": {"start": "n_heads"}}]]
        return [self.pick({"multiply": [["norm"], [gate]]}, {"concat": halves}, {"sum": [["norm"], [{"scale": 2}]]})]

    def _scored(self) -> Plain:
        """Return a sum of the value before and of what its features read of each other, mixed by hand."""
        name = f"own_{len(self.ids)}"
        self.ids.append(name)
        apart = {"rearrange": {"id": name, "pattern": "b t (h k) -> b t h k", "sizes": {"h": "n_heads"}}}
        pairs = {"einsum": {"with": name, "pattern": "b t h k, b t g k -> b t h g"}}
        seen = self.pick(["softmax"], [{"mask": "causal"}, "softmax"], [{"softmax": {"mask": "causal"}}])
        read = {"einsum": {"with": name, "pattern": "b t h g, b t g k -> b t h k"}}
        mean = {"reduce": {"pattern": "b t (h k) -> b t h", "sizes": {"h": "n_heads"}}}
        wide = [mean, {"linear": "d_model"}] if self.chance(0.3) else []
        return {"sum": [["norm"], [apart, pairs, *seen, read, {"rearrange": "b t h k -> b t (h k)"}, *wide]]}

    def _named(self, depth: int) -> Pipe:
        """Return a node with a name, and perhaps one that shares its matrix and one that reads it again."""
        if depth < 2:
            return self._linear(depth)
        name = f"node_{len(self.ids)}"
        self.ids.append(name)
        tied = [{"linear": {"width": "d_model", "tie": name}}] if self.chance() else ["norm"]
        again = [{"sum": [["norm"], [{"scale": {"from": name, "by": 0.5}}]]}] if self.chance() else []
        return [{"linear": {"id": name, "width": "d_model"}}, *tied, *again]

    def _residual(self, depth: int) -> Pipe:
        body = self.pipe(depth - 1)
        gates: tuple[Plain, ...] = ({"gate": "scalar"}, {"gate": {"type": "channel", "init": 0.1}}, {"keep": 1.5})
        more = self.pick(None, None, {"dropout": "p"}, {"scale": 0.5}, {"drop_path": "p"}, *gates)
        return [{"residual": body if more is None else {"body": body, **more}}]

    def _hyper(self, depth: int) -> Pipe:
        fields = self.pick(
            {}, {"connection": "static"}, {"connection": {"type": "manifold", "rounds": 2}}, {"first": 1}
        )
        body = [{"hyper_residual": {"body": self.pipe(0), **fields}} for _ in range(self.pick(1, 2))]
        return [{"hyper": {"body": body, "streams": self.pick(2, 3), "end": self.pick("sum", "mean", "head")}}]

    def _unet(self, depth: int) -> Pipe:
        down, up = self.block(0), self.block(0)
        fields = {"middle": self.pipe(0)} if self.chance() else {}
        return [{"unet": {"down": down, "up": self.pick(down, up), "times": self.pick(1, 2), **fields}}]

    def _join(self, depth: int) -> Pipe:
        return [{self.pick("sum", "multiply"): [self.pipe(depth - 1) for _ in range(self.pick(2, 2, 3))]}]

    def _concat(self, depth: int) -> Pipe:
        return [{"concat": [self.pipe(depth - 1), [{"linear": 7}]]}, {"linear": "d_model"}]

    def _mixer(self, depth: int) -> Pipe:
        """Return latent attention, or where the stream looks back alone perhaps a mixer that must."""
        heads = {"heads": "n_heads"}
        latent = {"kv_rank": self.pick(6, 9), "head_dim": 5, "rope_dim": 4, "mask": "causal" if self.causal else "full"}
        latent |= self.pick(
            {}, {"q_rank": 7}, {"value_dim": 3}, {"position": "none"}, {"bias": True}, {"latent_scale": 1.5}
        )
        behind = (
            {"short_conv": {"size": self.pick(2, 4), "gated": self.chance()}},
            {
                "mamba2": {
                    **heads,
                    "head_dim": 6,
                    "state": 5,
                    "chunk": self.pick(2, 64),
                    **self.pick({}, {"groups": "n_heads"}),
                }
            },
            {"mamba": {"inner": 10, "state": 3, "rank": 2, "norm": self.pick("none", "rms")}},
            {"gated_delta": {**heads, "key_heads": 1, "key_dim": 4, "value_dim": 5, "chunk": self.pick(2, 64)}},
        )
        return [self.pick({"latent_attention": {**heads, **latent}}, *(behind * 2 if self.causal else ()))]

    def _attention(self, depth: int) -> Pipe:
        return [self.cross() if self.memory and self.chance(0.3) else self.attention()]

    # -- blocks -------------------------------------------------------------------------------------------------------

    def block(self, depth: int, **params: Plain) -> str:
        """Make a block for the stream that is being thrown, and return its name."""
        memory, self.memory = self.memory, ""
        body = self.pipe(min(depth, 1))
        if "hidden" in params:
            body.append({"residual": ["norm", {"ffn": {"hidden": "$hidden"}}]})
        if "mix" in params:
            body.append({"residual": ["norm", {"use": "$mix"}]})
        name = f"block_{len(self.blocks)}"
        self.blocks[name] = {"params": params, "body": body} if params else body
        self.memory = memory
        return name

    def _use(self, depth: int) -> Pipe:
        if self.chance():
            return [{"use": self.block(depth - 1)}]
        return [{"use": {"block": self.block(depth - 1, hidden=8), "hidden": self.pick(4, "3 * d_model")}}]

    def _repeat(self, depth: int) -> Pipe:
        return [
            {
                "repeat": {
                    "body": self.pipe(min(depth - 1, 1)),
                    "times": self.pick(1, 2, 3),
                    **self.pick({}, {"share": True}),
                }
            }
        ]

    def copies(self) -> Pipe:
        """Return copies of a block, perhaps with parameters that differ."""
        if self.chance(0.4):
            return [{"repeat": {"block": self.block(1), "times": self.pick(1, 3), **self.pick({}, {"share": True})}}]
        one, two = self.block(0), self.block(0)
        vary: dict[str, Plain] = {}
        if self.chance(0.7):
            vary["hidden"] = self.pick({"cycle": [4, 8]}, {"list": [4, 8, 4, "2 * 3"]}, "4 * (layer + 1)")
        if self.chance(0.7):
            vary["mix"] = self.pick({"cycle": [one, two]}, {"at": {1: two}, "else": one})
        name = self.block(1, hidden=6, mix=one)
        if "mix" not in vary:
            vary["mix"] = {"at": {0: two}, "else": one}
        return [{"repeat": {"block": name, "times": 4, "vary": vary}}]
