"""Foreign checkpoints: what their files hold, what spec they are, and their tensors as our weights and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.spec import Spec
from tfdsl.weights import families
from tfdsl.weights.config import Config, Refused


def recognise(values: Mapping[str, Any], names: Collection[str]) -> tuple[Spec | None, list[Diagnostic]]:
    """Return the spec that a `config.json` and the names of its tensors are, or what of it cannot be honoured."""
    family = values.get("model_type")
    known = families.known()
    if family not in known:
        near = suggest(str(family), known)
        help = f"there is `{near}`" if near else f"there are {', '.join(known)}"
        help += "; with a spec of your own: `tfdsl import DIR --spec my.yaml`"
        said = f"`{str(family)[:60]}` is no family that is known" if family else "`model_type` is missing"
        return None, [Diagnostic("R729", f"config.json: {said}", help=help)]
    config = Config(values, names)
    try:
        tree = families.recipe(family)(config)
    except Refused as refused:
        return None, [refused.diagnostic]
    problems = config.finish()
    if problems:
        return None, problems
    try:
        return Spec.model_validate(tree), []
    except ValidationError as error:
        return None, [_unsound(line) for line in error.errors(include_url=False, include_input=False)]


def _unsound(line: Any) -> Diagnostic:
    """Return what a value of a config cannot be in a spec."""
    field = ".".join(str(step) for step in line["loc"])
    return Diagnostic("R728", f"config.json makes no model: `{field}`: {line['msg'][:200]}")
