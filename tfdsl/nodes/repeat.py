"""repeat: several copies of a block, one after the other."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from tfdsl.node import Instance, Node, Pipe, Ports, Step, Work, Writer
from tfdsl.parts import Name, Number, Part, Truth, needed, problem
from tfdsl.shapes import Tensor

Copy = Annotated[int, Number(integer=True, minimum=0, bare=True)]


class Vary(Part):
    """What a parameter is in each copy: a cycle, a list, or a value at some copies and another elsewhere."""

    holds = True

    cycle: tuple[Any, ...] | None = Field(None, description="These values in turn.")
    partial: Truth = Field(False, description="Allow the last cycle to be cut short.")
    list: tuple[Any, ...] | None = Field(None, description="One value for each copy.")
    at: dict[Copy, Any] | None = Field(None, description="The value at these copies, counted from 0.")
    otherwise: Any = Field(None, alias="else", description="The value at all other copies.")
    every: Any = Field(None, exclude=True, description="The value, or an expression in `layer` (0, 1, ...).")

    @model_validator(mode="before")
    @classmethod
    def _expression(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Vary) else {"every": data}

    @model_validator(mode="after")
    def _one_way(self) -> Vary:
        ways = [name for name in ("cycle", "list", "at", "every") if name in self.model_fields_set]
        if len(ways) != 1:
            raise problem(
                "D107",
                "say how it varies in one way",
                expected="`cycle`, `list`, `at` with `else`, or an expression in `layer`",
            )
        return self

    def written(self) -> Any:
        return self.every if "every" in self.model_fields_set else self.given()

    def which(self, copy: int) -> int:
        """Return a number that two copies share only where they have the same value."""
        if "layer" in str(self.value(copy)):
            return copy
        if self.cycle is not None:
            return copy % len(self.cycle)
        return -1 if self.at is not None and copy not in self.at else copy

    def value(self, copy: int) -> Any:
        """Return the value in the copy with this index."""
        if self.cycle is not None:
            return self.cycle[copy % len(self.cycle)]
        if self.list is not None:
            return self.list[copy]
        if self.at is not None:
            return self.at.get(copy, self.otherwise)
        return self.every


class Repeat(Node):
    """Runs `times` copies of a block, each with its own weights: [...] -> the same shape."""

    keeps = True
    headline = "block"
    title = "Repeat"
    form = "group"
    repeats = True
    own_scope = frozenset({"body"})
    example = """
    dims: {d_model: 512, n_layers: 6}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    blocks:
      layer:
        - residual: [norm, ffn: 4 * d_model]
    model:
      - norm: {from: x, type: rms}
      - repeat: {block: layer, times: n_layers}
    """
    block: Name | None = Field(None, description="The name of the block; or give the pipe itself in `body`.")
    body: Pipe | None = Field(None, description="The pipe that is repeated, in place of `block`.")
    times: Annotated[int, Number(integer=True, minimum=1, maximum=10_000)] = needed(description="How many copies.")
    share: Truth = Field(False, description="All copies use one set of weights (arXiv:1909.11942).")
    vary: dict[Name, Vary] = Field({}, description="What the block's parameters are in each copy.")

    @property
    def label(self) -> str:
        return f"{self.block or 'layer'}s".lstrip("$")

    def shape(self, io: Ports) -> Tensor:
        if (self.block is None) == (self.body is None):
            io.fail(
                "D108", "`repeat` takes either `block` or `body`", help="name a block, or write the pipe under `body`"
            )
        if self.share and self.vary:
            io.fail("D119", "copies that share their weights cannot differ", "vary", help="leave out `share` or `vary`")
        self._check_vary(io)
        known: dict[tuple[int, ...], Instance] = {}
        value, broken, before = io.x, False, 0
        for copy in range(self.times):
            # A copy is like an earlier one if those before the two are alike, and every parameter has the same value.
            like = (before, *(vary.which(copy) for vary in self.vary.values()))
            if like in known:
                io.again(known[like])
            else:
                bound = {name: vary.value(copy) for name, vary in self.vary.items()}
                known[like] = io.instance(self.block, bound, value, copy)
            before, start, end = id(known[like]), value, known[like].flow.end
            broken = broken or end is None
            value = end if end is not None else start
            if not self.vary and value == start:
                io.again(known[like], self.times - copy - 1)
                break
            if value.sizes != start.sizes:
                io.fail(
                    "T215",
                    f"copy {copy} of `{self.block or 'body'}` takes {start} and gives {value}",
                    "block" if self.block else "body",
                    help="a repeated block must give the shape that it takes",
                )
        return io.known(None if broken else value)

    def _check_vary(self, io: Ports) -> None:
        for name, vary in self.vary.items():
            field = f"vary.{name}"
            if vary.cycle is not None and (not vary.cycle or self.times % len(vary.cycle)) and not vary.partial:
                io.fail(
                    "E407",
                    f"a cycle of {len(vary.cycle)} does not divide {self.times} copies",
                    f"{field}.cycle",
                    help="make it divide, or say `partial: true` to cut the last cycle short",
                )
            if vary.list is not None and len(vary.list) != self.times:
                io.fail("E408", f"the list has {len(vary.list)} values for {self.times} copies", f"{field}.list")
            late = [copy for copy in vary.at or {} if copy >= self.times]
            if late:
                io.fail(
                    "E409", f"there is no copy {late[0]}: the {self.times} copies count from 0", f"{field}.at.{late[0]}"
                )

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.copies()
