"""Models of `transformers` beside ours: made tiny from a config, run in float64 throughout, and compared with a spec.

config = foreign.config("LlamaConfig", hidden_size=32, ...)
theirs = foreign.tiny("LlamaForCausalLM", config)
foreign.agree(SPEC, theirs, {"input_ids": foreign.tokens(97)}, weights={
    "embed.weight": "model.embed_tokens.weight",
    "layers.{i}.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{p}_proj.weight" for p in "qkv"],
    "layers.{i}.attention.out.weight": lambda w, i: w[f"model.layers.{i}.self_attn.o_proj.weight"],
})
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import tfdsl
from tests.six import first

Weights = Mapping[str, Tensor]
Given = str | Sequence[str] | Tensor | Callable[..., Tensor]  # a name, names of rows, a tensor, or (weights[, i]) -> it


class _Widened(TorchFunctionMode):
    """Every step that asks for float32 is given float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float:
            return args[0].double()
        return func(*_wide(args), **_wide(kwargs or {}))


def _wide(value: Any) -> Any:
    if value is torch.float32:
        return torch.float64
    if isinstance(value, str) and value == "torch.FloatTensor":
        return "torch.DoubleTensor"
    if type(value) in (tuple, list):
        return type(value)(_wide(each) for each in value)
    if type(value) is dict:
        return {key: _wide(each) for key, each in value.items()}
    return value


@contextmanager
def widened() -> Iterator[None]:
    """Run what another library computes in float32 in float64: casts, softmax, tables, and what is made by default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings(), _Widened():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(before)


def config(name: str, **settings: Any) -> Any:
    """Return a configuration of `transformers`, by its class's name."""
    with _quiet() as transformers:
        return getattr(transformers, name)(**settings)


def config_class(family: str) -> Any:
    """Return the class of a family's configurations, by its `model_type`."""
    with _quiet() as transformers:
        return transformers.models.auto.configuration_auto.CONFIG_MAPPING[family]


def tiny(name: str, config: Any, seed: int = 0, attention: str = "eager") -> nn.Module:
    """Return a model of `transformers` in float64, by its class's name, every weight random so that a mistake shows."""
    torch.set_num_threads(1)
    with _quiet() as transformers, widened():
        torch.manual_seed(seed)
        config._attn_implementation = attention
        config._experts_implementation = "eager"  # torch's grouped products know no float64
        model: nn.Module = getattr(transformers, name)(config).double().eval()
        with torch.no_grad():
            for each in model.parameters():
                if each.requires_grad:  # tables by a formula stay
                    each.add_(torch.randn_like(each) * (0.3 if each.dim() == 1 else 0.15))
            kept = model.state_dict()
            for buffer, each in model.named_buffers():
                if buffer in kept and each.is_floating_point() and "correction" in buffer:  # a router's
                    each.add_(torch.randn_like(each) * 0.3)
    return model


def empty(name: str, config: Any) -> nn.Module:
    """Return a model of `transformers` without memory for its weights, by its class's name."""
    with _quiet() as transformers, _unstarted(), torch.device("meta"):
        model: Any = getattr(transformers, name)(config)
    model.tie_weights()
    return model


def run(model: nn.Module, inputs: Mapping[str, Any]) -> Any:
    """Return what a foreign model gives, without its cache."""
    with _quiet(), widened(), torch.no_grad():
        return model(**{"use_cache": False, **inputs} if _caches(model) else inputs)


def written(model: Any, source: Tensor, mask: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return the `length` likeliest tokens, one by one, that a foreign model writes for sources, and their logits."""
    model.generation_config.forced_eos_token_id = None
    settings = {"max_new_tokens": length, "min_new_tokens": length, "do_sample": False, "num_beams": 1}
    told = {"output_logits": True, "return_dict_in_generate": True}
    with _quiet(), widened(), torch.no_grad():
        made = model.generate(input_ids=source, attention_mask=mask, use_cache=False, **settings, **told)
    return made.sequences[:, 1:], torch.stack(made.logits, 1)


def disk(model: Any, folder: Path) -> Path:
    """Save a foreign model in float64 as a checkpoint on disk, and return its folder."""
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
    return folder


def tokens(vocab: int, batch: int = 2, length: int = 13, seed: int = 1, low: int = 3) -> Tensor:
    """Return random ids from `low` on, [batch, length]."""
    return torch.randint(low, vocab, (batch, length), generator=torch.Generator().manual_seed(seed))


def agree(
    spec: str,
    theirs: nn.Module,
    inputs: Mapping[str, Any],
    weights: Mapping[str, Given],
    *,
    ours: Sequence[Tensor] | None = None,
    output: str = "logits",
    result: str | None = None,
    valid: Tensor | None = None,
    ignore: str = r"inv_freq|position_ids|rotary",
    bar: float = 1e-9,
    count: bool = True,
) -> nn.Module:
    """Assert that a spec with the foreign model's weights gives the foreign model's numbers, and return our module.

    `inputs` are the foreign model's arguments, `ours` ours in order (by default the values of `inputs`); `output` is
    their result's attribute and `result` our output's name; `valid` (a mask over leading axes) says where to compare.
    Each of our weights must be given once, of its shape, and each of theirs be used or match `ignore`; `count` holds
    the parameters to the same number.
    """
    model = tfdsl.build(tfdsl.check(spec)).double().eval()
    fill(model, theirs.state_dict(), weights, ignore)
    if count:
        assert _size(model) == _size(theirs), f"we have {_size(model):,} parameters, they have {_size(theirs):,}"
    given = list(inputs.values()) if ours is None else ours
    with torch.no_grad():
        made = model(*(each.double() if each.is_floating_point() else each for each in given))
    found = made[result] if result is not None else first(made)
    wanted = getattr(run(theirs, inputs), output)
    assert found.shape == wanted.shape, f"ours is {tuple(found.shape)}, theirs {tuple(wanted.shape)}"
    apart = (found - wanted).abs()
    far = float((apart if valid is None else apart[valid]).max())
    assert far <= bar, f"the results are {far:.3g} apart"
    return model


def fill(model: nn.Module, theirs: Weights, given: Mapping[str, Given], ignore: str = "$^") -> None:
    """Fill our module from foreign weights; `{i}` in one of our names stands for every copy's number."""
    kept, seen = model.state_dict(), _Seen(theirs)
    own = {**dict(model.named_parameters()), **{name: each for name, each in model.named_buffers() if name in kept}}
    filled: dict[str, Tensor] = {}
    for pattern, value in given.items():
        wanted = re.compile(re.escape(pattern).replace(r"\{i\}", r"(?P<i>\d+)"))
        copies = {name: found.groupdict().get("i") for name in own if (found := wanted.fullmatch(name))}
        assert copies, f"no weight of ours is called `{pattern}`; there are {sorted(own)}"
        for name, copy in copies.items():
            assert name not in filled, f"`{name}` is given twice"
            filled[name] = _taken(value, seen, copy)
    shapes = {name: tuple(each.shape) for name, each in own.items()}
    assert {name: tuple(each.shape) for name, each in filled.items()} == shapes
    used = {theirs[name].data_ptr() for name in seen.read}
    unused = [name for name, each in theirs.items() if each.data_ptr() not in used and not re.search(ignore, name)]
    assert not unused, f"these weights of theirs are not used: {unused}"
    with torch.no_grad():
        for name, each in filled.items():
            own[name].copy_(each)


class _Seen(Mapping[str, Tensor]):
    """Weights that know which of them were read."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.read = weights, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self.weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


def _taken(value: Given, weights: Weights, copy: str | None) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, str):
        return weights[value.replace("{i}", copy or "")]
    if callable(value):
        return value(weights) if copy is None else value(weights, int(copy))
    return torch.cat([weights[name.replace("{i}", copy or "")] for name in value])


def _size(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def _caches(model: Any) -> bool:
    return getattr(getattr(model, "config", None), "use_cache", None) is not None


@contextmanager
def _quiet() -> Iterator[Any]:
    """Give `transformers`, which neither warns nor logs meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers: Any = importlib.import_module("transformers")
        before = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            yield transformers
        finally:
            transformers.logging.set_verbosity(before)


def _unstarted() -> Any:
    """Return a context in which `transformers` gives weights no first values."""
    return importlib.import_module("transformers.initialization").no_init_weights()


def loaded(name: str, folder: Path) -> nn.Module:
    """Return a model of `transformers` as it loads it from a checkpoint, in float64."""
    with _quiet() as transformers, widened():
        model: nn.Module = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager")
        return model.double().eval()
