"""Norms, residuals, feed-forward layers and experts."""

from typing import get_args

from tfdsl.activations import Activation, Pointwise

NORM, MOE = "norm: {type: ", "moe: {experts: 4, top_k: 2, hidden: 8"
GROUPS = {
    "norms": [
        "norm: layer",
        *(f"{NORM}layer, {field}}}" for field in ("eps: 0.1", "weight: false", "offset: true", "groups: 4")),
        NORM + "layer, bias: false}",
        NORM + "layer, bias: true, weight: false}",
        "norm: rms",
        *(
            f"{NORM}rms, {field}}}"
            for field in ("eps: 0.1", "weight: false", "bias: true", "offset: true", "groups: 4")
        ),
        "norm: scale",
        "norm: {type: scale, eps: 3}",
        "norm: l2",
        *(f"{NORM}l2, {field}}}" for field in ("eps: 3", "weight: true")),
        "norm: affine",
        "norm: {type: affine, bias: false}",
        "norm: dyt",
        *(f"{NORM}dyt, {field}}}" for field in ("alpha: 0.7", "weight: false", "bias: false")),
    ],
    "residuals": [
        "residual: [norm]",
        *(
            f"residual: {{body: [norm], {field}}}"
            for field in (
                "keep: 2.83",
                "gate: scalar",
                "gate: {type: scalar, init: 0.5}",
                "gate: {type: scalar, tanh: true}",
                "gate: channel",
                "gate: {type: channel, init: 0.1}",
                "gate: {type: channel, tanh: true}",
                "drop_path: 0.1",
                "drop_path: 0.2",
            )
        ),
    ],
    "ffns": [
        "ffn: 8",
        *(f"ffn: {{hidden: 8, activation: {name}}}" for name in get_args(Activation) if name != "gelu"),
        "ffn: {hidden: 8, gated: true, activation: mish}",
        *(f"ffn: {{hidden: 8, {field}}}" for field in ("bias: {up: true}", "bias: {down: true}", "norm: rms")),
        *(f"ffn: {{hidden: 8, norm: {norm}}}" for norm in ("layer", "{type: rms, eps: 3}", "{type: layer, eps: 3}")),
        "ffn: {hidden: 8, activation: swiglu, limit: 3}",
        "ffn: {hidden: 8, activation: swiglu, gate_scale: 3}",
        "ffn: {hidden: 8, activation: clamped_swiglu, limit: 3}",
        "ffn: {hidden: 8, activation: clamped_swiglu, alpha: 3}",
    ],
    "activations": [f"activation: {name}" for name in get_args(Pointwise)],
    "experts": [
        MOE + "}",
        *(
            f"{MOE}, {field}}}"
            for field in (
                "activation: mish",
                "activation: mish, gated: true",
                "activation: swiglu, limit: 3",
                "activation: clamped_swiglu, alpha: 3",
                "bias: true",
                "bias: {up: true}",
                "bias: {down: true}",
                "scores: sigmoid",
                "scores: sqrt_softplus",
                "scores: sparsemixer",
                "scores: sparsemixer, margin: 0.1",
                "router_bias: true",
                "renormalise: false",
                "scale: 2.5",
                "choice_bias: true",
                "choice_bias: true, bias_speed: 0.1",
                "groups: 2",
                "groups: 2, top_groups: 2",
                "groups: 2, group_best: 2",
                "weigh: input",
                "shared: 6",
                "shared: 7",
                "shared: 6, shared_gate: true",
                "jitter: 0.1",
                "balance_loss: 0.1",
                "balance_loss: 0.2",
                "z_loss: 0.1",
                "capacity: {tokens: 3}",
                "capacity: {factor: 1.25}",
                "capacity: {factor: 1.25, per: batch}",
            )
        ),
    ],
    "streams": [
        "hyper: [hyper_residual: [norm]]",
        *(
            f"hyper: {{body: [hyper_residual: [norm]], {field}}}"
            for field in ("streams: 2", "end: mean", "end: head", "end: head, eps: 0.1", "end: head, norm_eps: 0.1")
        ),
        *(
            f"hyper: [hyper_residual: {{body: [norm], {field}}}]"
            for field in (
                "first: 1",
                "connection: static",
                "connection: {type: dynamic, norm: rms}",
                "connection: {type: dynamic, eps: 0.1}",
                "connection: manifold",
                "connection: {type: manifold, rounds: 2}",
                "connection: {type: manifold, eps: 0.1}",
                "connection: {type: manifold, norm_eps: 0.1}",
            )
        ),
    ],
    "unets": [
        *(f"unet: {{down: {down}, up: {up}, times: 2}}" for down, up in (("l", "l"), ("k", "l"), ("l", "k"))),
        "unet: {down: l, up: l, times: 3}",
        "unet: {down: l, up: l, times: 2, join: concat}",
        "unet: {down: l, up: l, times: 2, middle: [norm]}",
    ],
}
