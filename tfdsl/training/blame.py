"""Find the node at which numbers stopped being numbers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from tfdsl.training.parallel import local


def first_output(model: nn.Module, forward: Callable[[], object]) -> str | None:
    """Return the name of the first module whose output is not finite when `forward` runs, if there is one."""
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def look(module: nn.Module, given: object, output: object) -> None:
            if not found and isinstance(output, Tensor) and not output.isfinite().all():
                found.append(name)

        return look

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def last_gradient(model: nn.Module) -> str | None:
    """Return the name of the last weight whose gradient is not finite: gradients come from the end to the beginning."""
    bad = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is not None and not local(weight.grad).isfinite().all()
    ]
    return bad[-1] if bad else None
