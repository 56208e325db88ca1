"""hyper_residual: a branch that reads from several residual streams and writes to all of them (arXiv:2409.19606)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field

from tfdsl.identifiers import attribute
from tfdsl.node import Call, Node, Pipe, Ports, Size, Step, Weight, Work, Writer
from tfdsl.parts import Choice, Natural, Positive, PositiveReal, needed
from tfdsl.shapes import Tensor


class Connection(Choice):
    """How the branch reads and writes, over n streams h_1 … h_n of a position."""

    def weights(self, streams: int, width: int, first: int) -> Mapping[str, Weight]:
        """Return its parameters; `first` is the stream that the branch reads at the start of training."""
        alpha = f"weight.data.copy_(torch.eye({streams})[:, {[first % streams, *range(streams)]}])"
        return {
            "alpha": Weight((streams, streams + 1), alpha, decays=False),
            "beta": Weight((streams,), "ones", decays=False),
        }

    def flops(self, count: Size, streams: int) -> tuple[Size, Size]:
        """Return the FLOPs over streams of `count` elements: all, and those that multiply the streams by weights."""
        mix = 2 * count * (streams + 1)
        return mix, mix

    def kept(self, count: Size, rows: Size, streams: int) -> Size:
        """Return the elements that the backward pass needs; there are `rows` positions times streams."""
        return count + 2 * count // streams

    def call(self, streams: int, width: int) -> Call:
        """Return its layer."""
        return Call("HyperConnection", (width, streams), {"dynamic": False})


class Static(Connection, type="static"):
    """The numbers are learned, and the same for every position: alpha [n, n + 1] and beta [n].

    The branch reads y = Σ_i alpha_i0 · h_i; then h_j becomes Σ_i alpha_ij · h_i + beta_j · body(y).
    """


class Dynamic(Connection, type="dynamic"):
    """Each stream of a position adds to the learned numbers: with u_i = norm(h_i),

    alpha_i = alpha_i + alpha_scale · tanh(W_alpha u_i), beta_i = beta_i + beta_scale · tanh(w_beta · u_i); then as
    `static`. At the start W_alpha and w_beta are 0 and the two scales 0.01.
    """

    norm: Literal["layer", "rms"] = Field("layer", description="The norm of each stream, LayerNorm or RMSNorm.")
    eps: PositiveReal = Field(1e-5, description="Added to its variance or mean square.")

    def weights(self, streams: int, width: int, first: int) -> Mapping[str, Weight]:
        shift = {"norm.bias": Weight((width,), "zeros", decays=False)} if self.norm == "layer" else {}
        return {
            **super().weights(streams, width, first),
            "norm.weight": Weight((width,), "ones", decays=False),
            **shift,
            "to_alpha.weight": Weight((streams + 1, width), "zeros"),
            "to_beta.weight": Weight((1, width), "zeros"),
            "alpha_scale": Weight((1,), 0.01, decays=False),
            "beta_scale": Weight((1,), 0.01, decays=False),
        }

    def flops(self, count: Size, streams: int) -> tuple[Size, Size]:
        mix = 2 * count * (streams + 1)
        return mix + 2 * count * (streams + 2), mix

    def kept(self, count: Size, rows: Size, streams: int) -> Size:
        return 2 * count + count // streams + rows * (2 * streams + 6)

    def call(self, streams: int, width: int) -> Call:
        norm = Call("nn.LayerNorm" if self.norm == "layer" else "RMSNorm", (width,), {"eps": self.eps})
        return Call("HyperConnection", (width, streams), {"dynamic": True, "norm": norm})


class Manifold(Connection, type="manifold"):
    """Streams are mixed by matrices whose rows and columns add up to one (arXiv:2512.24880, DeepSeek-V4).

    With u = flat(h) / sqrt(mean(flat(h)²) + norm_eps) over all n · D features of a position and W u in three parts:
    take = sigmoid(s_1 · W_1 u + b_1) + eps; give = 2 · sigmoid(s_2 · W_2 u + b_2); K = softmax over the last axis of
    the n × n numbers s_3 · W_3 u + b_3, plus eps, then each column divided by its sum + eps, and `rounds` - 1 times
    each row, then each column. The branch reads y = Σ_i take_i · h_i; then h_j becomes Σ_i K_ij · h_i +
    give_j · body(y).
    """

    rounds: Positive = Field(20, description="Sinkhorn's rounds.")
    eps: PositiveReal = Field(1e-6, description="Added to shares, and to sums that are divided by.")
    norm_eps: PositiveReal = Field(1e-6, description="Added to the mean square.")

    def weights(self, streams: int, width: int, first: int) -> Mapping[str, Weight]:
        rows = streams * (2 + streams)
        return {
            "to_mix.weight": Weight((rows, streams * width)),
            "to_mix.bias": Weight((rows,), "zeros", decays=False),
            "scale": Weight((3,), 0.01, decays=False),
        }

    def flops(self, count: Size, streams: int) -> tuple[Size, Size]:
        both = 2 * count * (streams * (2 + streams)) + 2 * count * streams
        return both, both

    def kept(self, count: Size, rows: Size, streams: int) -> Size:
        return 2 * count + rows * ((2 * self.rounds - 1) * (streams + 1) + 2 * streams + 6)

    def call(self, streams: int, width: int) -> Call:
        named = {"eps": self.eps, "norm_eps": self.norm_eps, "rounds": self.rounds}
        return Call("ManifoldConnection", (width, streams), named)


class HyperResidual(Node):
    """A residual over n streams, inside `hyper`: [B, T, n, D] -> [B, T, n, D]; its body is over [B, T, D].

    The body's input is a mixture of the streams, the streams are mixed with each other, and what the body gives is
    added to each stream with a factor of its own.
    """

    keeps = True
    headline = "body"
    title = "Hyper-connection"
    example = """
    dims: {d_model: 512, streams: 4}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - hyper: {streams: streams, body: [hyper_residual: [norm, ffn: 4 * d_model]]}
    """
    form = "branch"
    branches = True
    body: Pipe = needed(description="The branch, a pipe over [B, T, D].")
    connection: Connection = Field(
        Dynamic(norm="layer", eps=1e-5),
        description="How it reads and writes: `dynamic`, `static`, or `manifold` (mHC).",
    )
    first: Natural = Field(
        0,
        description="The number of this branch in the model, from 0: at the start of training it reads stream `first` "
        "mod n alone. Vary it from layer to layer: `vary: {first: 2 * layer, second: 2 * layer + 1}`.",
    )

    def shape(self, io: Ports) -> Tensor:
        x, width = io.floats(), io.width()
        *outer, stream, last = x.axes
        streams = stream.size if len(outer) > 1 else None
        if not isinstance(streams, int):
            io.fail(
                "T258",
                f"`{io.name}` works on streams [B, T, n, D], and this is {x}",
                help="let it stand in the body of `hyper`",
            )
        if "first" in self.model_fields_set and self.connection.type_name == "manifold":
            io.fail("T258", "a `manifold` connection reads all streams from the start", "first")
        start = replace(x, axes=(*outer, last))
        end = io.known(io.flow("body", start).end)
        if end.sizes != start.sizes or end.dtype != start.dtype:
            notes = io.origin(last, f"the streams were made here, {width} wide")
            io.fail("T203", f"`{io.name}` adds {start} and {end}", "body", f"this branch ends at {end}", notes)
        return x

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return self.connection.weights(self._streams(step), step.width, self.first)

    def _streams(self, step: Step) -> int:
        size = step.x.axes[-2].size
        assert isinstance(size, int), "the shape rule asked for streams that are known"
        return size

    def work(self, step: Step) -> Work:
        streams, count = self._streams(step), step.x.count
        flops, entering = self.connection.flops(count, streams)
        kept = self.connection.kept(count, step.x.positions, streams)
        return Work(flops=flops, entering=entering, kept=kept, needs=("x",))

    def call(self, step: Step) -> Call:
        return self.connection.call(self._streams(step), step.width)

    def facts(self, step: Step) -> str:
        return f"{self.connection.type_name}, {self._streams(step)} streams"

    def write(self, w: Writer, step: Step) -> None:
        name = attribute(step.name).replace("hyper_residual", "hyper")
        taken, kept, share = (f"{name}_{word}" for word in ("in", "kept", "share"))
        w.put(f"{taken}, {kept}, {share} = {w.layer(self.call(step))}({w.x})")
        branch = w.run(step.flows[0], taken)
        w.let(f"{kept} + {share}.unsqueeze(-1) * {branch}.unsqueeze(-2)")
