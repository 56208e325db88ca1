"""Find the node at which numbers stopped being numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeGuard

from torch import Tensor, nn

from tfdsl.diagnostics import Diagnostic
from tfdsl.training.parallel import local
from tfdsl.training.processes import Processes


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


def last_gradient(weights: Mapping[str, nn.Parameter]) -> str | None:
    """Return the name of the last weight whose gradient is not finite: gradients come from the end to the beginning."""
    bad = [
        name for name, weight in weights.items() if weight.grad is not None and not local(weight.grad).isfinite().all()
    ]
    return bad[-1] if bad else None


def largest_gradient(weights: Mapping[str, nn.Parameter]) -> tuple[float, str]:
    """Return the largest absolute gradient (the 2-norm of all may overflow where each is finite), and whose it is."""
    found = [(local(weight.grad).abs().max().item(), name) for name, weight in weights.items() if _has(weight.grad)]
    return max(found, default=(0.0, ""))


def _has(grad: Tensor | None) -> TypeGuard[Tensor]:
    return grad is not None and local(grad).numel() > 0


def place(
    model: nn.Module, weights: Mapping[str, nn.Parameter], forward: Callable[[], object], processes: Processes
) -> str:
    """Say where it broke, on any process: the first node without a finite output, or else a weight by its gradient.

    That is the one nearest the end whose gradient is not finite, or where all are, the one with the largest.
    """
    node = next(filter(None, processes.told(first_output(model, forward))), None)
    if node is not None:
        return f", first in the output of `{node}`"
    weight = next(filter(None, processes.told(last_gradient(weights))), None)
    if weight is not None:
        return f", nearest the end in that of `{weight}`"
    size, weight = max(processes.told(largest_gradient(weights)))
    return f", the largest numbers in that of `{weight}` ({size:.3g})" if size > 0 else ""


def unused(names: tuple[str, ...]) -> Diagnostic:
    """Warn of weights that the objective does not reach."""
    some = ", ".join(f"`{name}`" for name in names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    message = f"the objective reaches no gradient to {some}: not trained"
    return Diagnostic("W561", message, help="take the nodes out of the spec, or choose an objective that uses them")
