"""moe: a mixture of experts, of which a router picks a few for each position (arXiv:1701.06538)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from tfdsl.hidden import Hidden
from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work
from tfdsl.parts import Natural, Part, Positive, PositiveReal, Probability, Real, Truth, needed, problem
from tfdsl.shapes import Tensor

NonNegative = Probability  # the factors of losses, and of noise


class Capacity(Part):
    """How many positions an expert takes; what comes later gets nothing from it."""

    holds = True

    tokens: Positive | None = Field(None, description="So many; HF's `expert_capacity`.")
    factor: PositiveReal | None = Field(
        None, description="The least whole number from factor · positions · top_k / experts up; the papers' way."
    )
    per: Literal["sequence", "batch"] = Field(
        "sequence", description="Whether each sequence of the batch is counted by itself, or all of it together."
    )

    @model_validator(mode="after")
    def _one(self) -> Capacity:
        if (self.tokens is None) == (self.factor is None):
            raise problem("D107", "say the capacity in one way", expected="`tokens` or `factor`")
        return self


class Chosen(Part):
    """How many experts there are, and how many a position goes through."""

    experts: Positive = needed(description="The number of experts.")
    top_k: Positive = needed(description="How many of them a position goes through.")


class MixtureOfExperts(Hidden, Chosen, Node):
    """Sends each position through the `top_k` experts that a router scores highest, and mixes their results.

    With s = router(x), one number an expert: p = softmax(s) over all experts (or `scores: sigmoid`: p = sigmoid(s));
    the `top_k` largest p are chosen (`choice_bias` and `groups` change which); the shares of the chosen are their p,
    divided by the sum of the chosen p where `renormalise` is true, times `scale`. The result is the sum over the chosen
    of share · expert(x), and shared(x) besides. An expert is an `ffn`: down(activation(up(x))), gated as that is.

    Softmax over the chosen scores alone (Mixtral, gpt-oss) is the same as softmax over all, renormalised.

    Mixtral, gpt-oss, Qwen3-MoE: as it is. OLMoE, Qwen2-MoE, Jamba: `renormalise: false`. DeepSeek-V2: `renormalise:
    false, groups: 8, top_groups: 3, scale: 16, shared: n · hidden`. DeepSeek-V3: `scores: sigmoid,
    choice_bias: true, groups: 8, top_groups: 4, group_best: 2, scale: 2.5, shared: n · hidden`; GLM-4.5 and Kimi K2
    without groups, with a scale of their own. Llama 4: `top_k: 1,
    scores: sigmoid, renormalise: false, weigh: input, shared: hidden`. Switch: `top_k: 1, renormalise: false`.

    Without `capacity` no position is dropped, and what a position gets depends on it alone.
    """

    keeps = True
    headline = "experts"
    family = "ffn"
    title = "Mixture of experts"
    example = """
    dims: {d_model: 512, experts: 8, top_k: 2, hidden: 1024}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - moe: {from: x, experts: experts, top_k: top_k, hidden: hidden, activation: swiglu}
    """
    scores: Literal["softmax", "sigmoid", "sqrt_softplus", "sparsemixer"] = Field(
        "softmax",
        description="What makes p of the router's scores: `sqrt_softplus` is √softplus(s) (DeepSeek-V4). `sparsemixer` "
        "(Phi-3.5-MoE, arXiv:2409.12136) chooses one expert after the other: of those left, that with the largest "
        "score m; its share is its softmax over the experts left with (m - s) / max(|s|, m) at most `margin`. It does "
        "so in training too, where the paper draws them at random.",
    )
    margin: PositiveReal = Field(0.02, description="Of `sparsemixer`: how far below the best a score still counts.")
    router_bias: Truth = Field(False, description="Whether the router has a bias (gpt-oss).")
    renormalise: Truth = Field(True, description="Whether the shares of the chosen are scaled to add up to one.")
    scale: Real | None = Field(None, description="Multiply the shares by this number (DeepSeek's routed scaling).")
    choice_bias: Truth = Field(
        False,
        description="Add a number of its own to each expert's p when experts are chosen, and not to its share "
        "(DeepSeek-V3's loss-free balancing, arXiv:2408.15664). It is saved with the weights and moved by no gradient.",
    )
    bias_speed: NonNegative = Field(
        0.001,
        description="In training, after each forward, `choice_bias` goes up by this for experts that were chosen less "
        "than the mean, and down for the others; 0: it stays.",
    )
    groups: Positive | None = Field(
        None, description="Part the experts into this many groups of neighbours, and choose within the best alone."
    )
    top_groups: Positive = Field(1, description="How many groups are open to a position.")
    group_best: Positive = Field(
        1, description="A group's score is the sum of its so many largest p: 1 in DeepSeek-V2, 2 in DeepSeek-V3."
    )
    weigh: Literal["output", "input"] = Field(
        "output", description="Whether the share multiplies what an expert gives, or what it takes (Llama 4)."
    )
    shared: Natural = Field(
        0,
        description="Hidden units of a feed-forward layer that every position goes through besides, of the same "
        "activation and without biases; n shared experts are one of n · hidden units. 0: none.",
    )
    shared_gate: Truth = Field(
        False, description="Multiply what the shared layer gives by sigmoid(w · x), one number a position (Qwen2-MoE)."
    )
    jitter: NonNegative = Field(
        0.0, description="In training, the router sees x times noise that is uniform in 1 ± this (Switch)."
    )
    balance_loss: NonNegative = Field(
        0.0,
        description="In training, the layer's `aux_loss` gets this · E · Σ f_e · P_e: f_e the part of the positions "
        "that chose expert e, P_e its mean softmax share (arXiv:2101.03961, eq. 4). The model's `auxiliary_loss()` "
        "adds up those of all layers, for the trainer to add to its loss.",
    )
    z_loss: NonNegative = Field(
        0.0, description="The same of this · mean(logsumexp(s)²), which keeps scores small (arXiv:2202.08906, eq. 5)."
    )
    capacity: Capacity | None = Field(
        None,
        description="How many positions an expert takes, `{tokens: 64}` or `{factor: 1.25}` (Switch, GShard): first "
        "choices before second ones, earlier positions before later. What does not fit adds nothing. What a position "
        "gets then depends on others, so that such a model is not decoded with a cache.",
    )

    def shape(self, io: Ports) -> Tensor:
        io.width()
        self.check(io)
        if self.top_k > self.experts:
            io.fail("T209", f"a position cannot go through {self.top_k} of {self.experts} experts", "top_k")
        if self.activation == "xielu":
            io.fail("T255", "the experts would share the learned numbers of `xielu`, which no model does", "activation")
        self._check_router(io)
        if self.capacity is not None:
            io.warn(
                "W520",
                "with a capacity, what a position gets depends on those before it",
                "capacity",
                help="leave it out where the model decodes, or where a sequence must not feel its batch",
            )
        return io.x

    def _check_router(self, io: Ports) -> None:
        if self.groups is None:
            for field in ("top_groups", "group_best"):
                if field in self.model_fields_set:
                    io.fail("T256", f"`{field}` is of groups, and there are none", field, help="say how many `groups`")
        else:
            self._check_groups(io, self.groups)
        if self.shared_gate and not self.shared:
            io.fail("T256", "there is no shared layer to gate", "shared_gate", help="say the units of `shared`")
        if "bias_speed" in self.model_fields_set and not self.choice_bias:
            io.fail("T256", "there is no `choice_bias` to move", "bias_speed", help="say `choice_bias: true`")
        self._check_scores(io)

    def _check_scores(self, io: Ports) -> None:
        if self.scores == "sparsemixer":
            for field in ("renormalise", "choice_bias", "groups"):
                if field in self.model_fields_set:
                    io.fail("T256", f"`sparsemixer` makes shares in its own way, without `{field}`", field)
        elif "margin" in self.model_fields_set:
            io.fail("T256", f"`margin` is of `sparsemixer`, and the scores are `{self.scores}`", "margin")
        elif self.renormalise and self.top_k == 1:
            io.warn(
                "W521",
                "the share of one expert, renormalised, is always 1, and the router learns nothing",
                "top_k",
                help="say `renormalise: false`",
            )

    def _check_groups(self, io: Ports, groups: int) -> None:
        if self.experts % groups:
            io.fail("T257", f"{self.experts} experts cannot be parted into {groups} groups of one size", "groups")
        size = self.experts // groups
        if self.top_groups > groups:
            io.fail("T257", f"{self.top_groups} of {groups} groups cannot be open", "top_groups")
        if self.group_best > size:
            io.fail("T257", f"a group has {size} experts, and its best {self.group_best} are asked for", "group_best")
        if self.top_k > self.top_groups * size:
            open_ = f"the {self.top_groups} open groups have {self.top_groups * size} experts"
            io.fail("T257", f"{open_}, and a position goes through {self.top_k}", "top_groups")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        found = {
            "router.weight": Weight((self.experts, width)),
            "up": Weight((self.experts, self.units, width)),
            "down": Weight((self.experts, width, self.hidden), "output"),
        }
        if self.router_bias:
            found["router.bias"] = Weight((self.experts,), "zeros", decays=False)
        if self.choice_bias:
            found["choice_bias"] = Weight((self.experts,), "zeros", decays=False, trained=False)
        if self.bias.up:
            found["up_bias"] = Weight((self.experts, self.units), "zeros", decays=False)
        if self.bias.down:
            found["down_bias"] = Weight((self.experts, width), "zeros", decays=False)
        if self.shared:
            found["shared.up.weight"] = Weight((self._shared_units, width))
            found["shared.down.weight"] = Weight((width, self.shared), "output")
        if self.shared_gate:
            found["shared_gate.weight"] = Weight((1, width))
        return found

    @property
    def _shared_units(self) -> int:
        return self.shared * (2 if self.is_gated else 1)

    def work(self, step: Step) -> Work:
        positions, width = step.x.positions, step.width
        rows = positions * self.top_k  # an expert's for a position
        router = 2 * width * positions * (self.experts + self._shared_units + (1 if self.shared_gate else 0))
        up, down = 2 * width * rows * self.units, 2 * width * (rows * self.hidden + positions * self.shared)
        hidden = (rows * self.hidden + positions * self.shared) * self.kept(dropout=False)
        mixed = rows * (3 * width + 1)  # what the experts take, what they give in two orders, and their shares
        order = 6 * rows  # which expert, from where, and back to where: ids
        entering = router + (up if self.weigh == "output" else 0)
        kept = hidden + mixed + order + positions * self._shares()
        return Work(flops=router + up + down, entering=entering, kept=kept, needs=("x",))

    def _shares(self) -> int:
        """Return what is kept of how a position's shares were made, besides the shares."""
        if self.scores == "softmax" and not self.choice_bias and self.groups is None:
            return (0 if self.renormalise else self.experts + 1) + (self.top_k if self.scale is not None else 0)
        if self.scores == "sparsemixer":
            return 2 * self.top_k * self.experts
        made = 2 * self.experts if self.scores == "sqrt_softplus" else self.experts
        return made + (self.top_k + 1 if self.renormalise else 0)

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {"experts": self.experts, "top_k": self.top_k, **self.options()}
        named |= {"bias": self.bias.up, "down_bias": self.bias.down, **self._routing()}
        if self.shared:
            named["shared"] = Call("FeedForward", (step.width, self.shared), self.options())
            named["shared_gate"] = self.shared_gate
        if self.capacity is not None and self.capacity.tokens is not None:
            named["capacity"] = self.capacity.tokens
        elif self.capacity is not None:
            named["capacity_factor"] = self.capacity.factor
        if self.capacity is not None:
            named["whole_batch"] = self.capacity.per == "batch"
        return Call("MixtureOfExperts", (step.width, self.hidden), named)

    def _routing(self) -> dict[str, Any]:
        """Return what the layer is told of its router, defaults left out."""
        found: dict[str, Any] = {
            "scores": self.scores,
            "router_bias": self.router_bias,
            "renormalise": self.renormalise,
            "choice_bias": self.choice_bias,
            "weigh_input": self.weigh == "input",
        }
        if self.choice_bias:
            found["bias_speed"] = float(self.bias_speed)
        if self.scores == "sparsemixer":
            found["margin"] = self.margin
        if self.groups is not None:
            found |= {"groups": self.groups, "top_groups": self.top_groups, "group_best": self.group_best}
        numbers = {"jitter": self.jitter, "balance_loss": self.balance_loss, "z_loss": self.z_loss}
        found |= {name: float(number) for name, number in numbers.items() if number}
        return found if self.scale is None else {**found, "scale": self.scale}

    def adds_loss(self) -> bool:
        return self.balance_loss > 0 or self.z_loss > 0

    def sight(self, step: Step) -> Sight:
        return "everywhere" if self.capacity is not None else "here"

    def facts(self, step: Step) -> str:
        shared = f" · {self.shared} shared" if self.shared else ""
        return f"{self.top_k} of {self.experts} · {self.said(step.width)}{shared}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        width, weights = step.x.axes[-1].label, step.weights

        def counted(*starts: str) -> str:
            return number(sum(each.count for name, each in weights.items() if name.startswith(starts) and each.trained))

        among = f" in {self.top_groups} of {self.groups} groups" if self.groups is not None else ""
        share = "shares add up to 1" if self.renormalise else ""
        router = (
            Box("router", "linear", "Router", f"{width} → {self.experts}", counted("router")),
            Box("scores", "softmax", {"softmax": "Softmax", "sigmoid": "Sigmoid"}.get(self.scores, "√softplus")),
            Box("choice", "mask", f"Best {self.top_k}{among}", share if self.scale is None else f"× {self.scale:g}"),
        )
        chosen = Box("experts", "ffn", f"{self.experts} experts", self.said(step.width), counted("up", "down"))
        mixed: tuple[Element, ...] = (Fork("mix", (router, (chosen,)), "shares · experts", step.output.label),)
        if self.shared:
            beside = Box("shared", "ffn", "Shared", f"{width} → {self.shared} → {width}", counted("shared"))
            mixed = (Fork("sum", (mixed, (beside,)), "+", step.output.label),)
        return mixed
