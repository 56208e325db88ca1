"""building: from a checked spec to a torch module: the emitted text, run, and proved to be what was declared."""

from __future__ import annotations

import linecache
from itertools import count
from types import ModuleType

import torch
from torch import nn

from tfdsl.checking import Checked
from tfdsl.codegen.write import Source, write
from tfdsl.declared import count as parameters
from tfdsl.declared import weights

_numbers = count(1)


class Mismatch(AssertionError):
    """What was built is not what was declared: a mistake of the compiler's, never of a spec's."""


def build(checked: Checked) -> nn.Module:
    """Return the model that a sound spec describes, its weights at their first values.

    The module's class stands in the text that `write` returns; a traceback shows the lines of it.
    """
    model = load(write(checked)).Model()
    prove(checked, model)
    return model


def load(source: Source) -> ModuleType:
    """Run an emitted text and return it as a module; its lines are known to tracebacks under a name of their own."""
    file = f"<tfdsl {source.name} {next(_numbers)}>"
    module = ModuleType(f"tfdsl_{source.name}")
    module.__file__ = file
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(keepends=True), file)
    exec(compile(source.text, file, "exec"), module.__dict__)
    return module


def prove(checked: Checked, model: nn.Module) -> None:
    """Compare every declared parameter with the module's: name, shape, ties. Raises Mismatch with all that differs."""
    built = dict(model.named_parameters(remove_duplicate=False)) | _saved_buffers(model)
    wanted = weights(checked)
    found = [f"`{name}` was declared and not built" for name in wanted if name not in built]
    found += [f"`{name}` was built and not declared" for name in built if name not in wanted]
    for name, weight in wanted.items():
        if name in built and tuple(built[name].shape) != weight.shape:
            found.append(f"`{name}` was declared as {weight.shape} and built as {tuple(built[name].shape)}")
        if name in built and weight.trained != isinstance(built[name], nn.Parameter):
            found.append(f"`{name}` was declared as {'a parameter' if weight.trained else 'a buffer'} and is none")
        if weight.tied and built.get(name) is not built.get(weight.tied):
            found.append(f"`{name}` was tied to `{weight.tied}` and is not the same")
    own, total = parameters(checked), sum(weight.numel() for weight in model.parameters())
    if own != total:
        found.append(f"{own:,} parameters were declared and {total:,} built")
    if found:
        raise Mismatch("the built model is not the declared one:\n" + "\n".join(f"  {each}" for each in found))


def _saved_buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the buffers that are saved with the weights."""
    saved = model.state_dict()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def meta(checked: Checked) -> nn.Module:
    """Return the model without memory for its weights, on the meta device, to count and to trace."""
    with torch.device("meta"):
        return build(checked)
