"""pool: one vector from all positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work, Writer
from tfdsl.parts import Name, Number, Positive, Truth, needed
from tfdsl.shapes import Tensor


class Pool(Node):
    """Makes one vector of a sequence: [B, T, D] -> [B, D]. Padding does not count."""

    family = "linear"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - pool: {from: x, type: mean}
    """
    plain: ClassVar[str]  # the expression where there is no padding

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        return replace(x, axes=(*x.axes[:-2], x.axes[-1]))

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call | None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        keep = w.keep(step.x.axes[-2])
        w.let(f"{self.type_name}_of_kept({w.x}, {keep})" if keep else self.plain.format(x=w.x))

    def sight(self, step: Step) -> Sight:
        return "everywhere"


class First(Pool, type="first"):
    """Takes the first position, as BERT and ViT do."""

    title = "First position"
    plain = "{x}[:, 0]"

    def work(self, step: Step) -> Work:
        return Work(view=True)

    def write(self, w: Writer, step: Step) -> None:
        w.let(self.plain.format(x=w.x))


class Last(Pool, type="last"):
    """Takes the last position that is not padding, as GPT-2 does for classification."""

    title = "Last position"
    plain = "{x}[:, -1]"

    def work(self, step: Step) -> Work:
        return Work(view=step.x.axes[-2].keep is None)


class Mean(Pool, type="mean"):
    """Takes the mean of the positions that are not padding."""

    title = "Mean over positions"
    plain = "{x}.mean(dim=1)"


class Max(Pool, type="max"):
    """Takes the greatest value of each feature over the positions that are not padding."""

    title = "Maximum over positions"
    plain = "{x}.amax(dim=1)"

    def work(self, step: Step) -> Work:
        return Work(needs=("x", "y"))


class At(Pool, type="at"):
    """Takes the position that the tokens of an input show: the first that is `token`, or that is highest, as in CLIP.

    Where no position is that token, it takes the first. Without `token` the input holds the positions themselves, [B].
    """

    title = "Position of a token"
    reads = ("from", "of")
    of: Name = needed(description="The input whose tokens show the position, [B, T]; or that is the position, [B].")
    token: Annotated[int | str, Number(integer=True, minimum=0, words=("highest",))] | None = Field(
        None,
        description="The token to look for, such as the end of the text; `highest` takes the position of the greatest "
        "id, as CLIP's first models did.",
    )

    def shape(self, io: Ports) -> Tensor:
        x, shows = io.sequence(), io.value("of")
        wanted = x.sizes[:1] if self.token is None else x.sizes[:2]
        if shows.dtype != "int" or shows.sizes != wanted:
            shape = f"[{', '.join(map(str, wanted))}]"
            what = "tokens" if self.token is not None else "positions"
            message = f"`{self.of}` is {shows}, and does not show a position of {x}"
            io.fail("T267", message, "of", help=f"{what} {shape} of whole numbers are needed")
        if isinstance(self.token, int) and shows.vocab is not None and self.token >= shows.vocab.known:
            message = f"there is no word {self.token}: {shows.vocab} words count from 0"
            io.fail("E405", message, "token", notes=io.origin(shows.vocab, "they are counted here"))
        return super().shape(io)

    def write(self, w: Writer, step: Step) -> None:
        place = w.value("of")
        if self.token is not None:
            place = f"{place}.argmax(dim=-1)" if self.token == "highest" else f"first_of({place}, {self.token})"
        w.let(f"row_at({w.x}, {place})")

    def facts(self, step: Step) -> str:
        return f"{self.token} of {self.of}" if self.token is not None else str(self.of)


class AttentionPool(Pool, type="attention"):
    """Lets one learned query read from all positions (Lee et al., arXiv:1810.00825), as SigLIP's image tower does.

    out(softmax(q kᵀ / √(D / heads)) v) with q = W_q query, and k and v from the positions.
    """

    title = "Attention pooling"
    heads: Positive = needed(description="The number of heads; it divides D.")
    bias: Truth = Field(False, description="Whether each projection has a vector added.")

    def shape(self, io: Ports) -> Tensor:
        width = io.width()
        if width % self.heads:
            left = width % self.heads
            message = f"{width} features do not divide among {self.heads} heads: {left} are left over"
            io.fail("T211", message, "heads", notes=io.origin(io.x.axes[-1], f"the width is {width} here"))
        return super().shape(io)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        rows = {"q": width, "kv": 2 * width, "out": width}
        weights = {"query": Weight((width,), "normal", decays=False)}
        for name, count in rows.items():
            weights[f"{name}.weight"] = Weight((count, width), "output" if name == "out" else "normal")
            if self.bias:
                weights[f"{name}.bias"] = Weight((count,), "zeros", decays=False)
        return weights

    def work(self, step: Step) -> Work:
        here, width, rows = step.x.positions, step.width, step.output.positions
        reading = 4 * here * width * width
        flops = 2 * width * width + reading + 4 * here * width + 2 * rows * width * width
        kept = 2 * here * width + rows * width + rows * self.heads + width
        return Work(flops=flops, entering=reading, kept=kept, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("AttentionPool", (step.width, self.heads), {"bias": self.bias})

    def write(self, w: Writer, step: Step) -> None:
        keep = w.keep(step.x.axes[-2])
        w.let(f"{w.layer(self.call(step))}({w.x}{f', {keep}' if keep else ''})")

    def facts(self, step: Step) -> str:
        return f"{self.heads} heads × {step.width // self.heads}"
