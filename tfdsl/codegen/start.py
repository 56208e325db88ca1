"""start: how an emitted model gives its weights their first values."""

from __future__ import annotations

from tfdsl.declared import Declared
from tfdsl.spec import Init

ZEROS, ONES = "nn.init.zeros_(weight)", "nn.init.ones_(weight)"


def reset(init: Init, weights: list[Declared]) -> list[str]:
    """Return the lines of the method `reset`: a branch for each way in which some weight of the model starts.

    Most start in the usual way: matrices normal, biases at 0, other vectors at 1. The others are known by the ends of
    their names.
    """
    own = [each for each in weights if not each.weight.tied and each.weight.trained]
    actions = {each.name: _action(each, init) for each in own}
    usual = {each.name: _usual(each, init) for each in own}
    special: dict[str, list[Declared]] = {}
    for each in own:
        if actions[each.name] != usual[each.name]:
            special.setdefault(actions[each.name], []).append(each)
    cases = [
        (_ends(chosen, [each for each in own if actions[each.name] != action]), action)
        for action, chosen in special.items()
    ]
    rest = {usual[name] for name, action in actions.items() if action == usual[name]}
    tests = {_normal(init): "weight.dim() > 1", ZEROS: 'name.endswith("bias")', ONES: ""}
    cases += [(test, action) for action, test in tests.items() if action in rest]
    head = ["", "def reset(self):", f'    """{_said(cases)}"""']
    if not cases:
        lines = head
    elif len(cases) == 1:
        lines = [*head, "    for weight in self.parameters():", f"        {cases[0][1]}"]
    else:
        lines = [*head, *_loop(cases)]
    return [*lines, *_buffers([each for each in weights if not each.weight.trained])]


def _loop(cases: list[tuple[str, str]]) -> list[str]:
    named = any("name" in test for test, _ in cases[:-1])
    lines = ["    for name, weight in self.named_parameters():" if named else "    for weight in self.parameters():"]
    for place, (test, action) in enumerate(cases):
        word = "if" if place == 0 else "elif"
        lines.append(f"        {word} {test}:" if place < len(cases) - 1 else "        else:")
        lines.append(f"            {action}")
    return lines


def _buffers(found: list[Declared]) -> list[str]:
    """Return the lines that start what no gradient moves."""
    if not found:
        return []
    actions = {each.name: each.weight.init if isinstance(each.weight.init, str) else ZEROS for each in found}
    actions = {name: ZEROS if action in ("normal", "zeros") else action for name, action in actions.items()}
    lines = ["    for name, weight in self.named_buffers():"]
    for action in dict.fromkeys(actions.values()):
        test = _ends([each for each in found if actions[each.name] == action], found)
        lines += [f"        if {test}:", f"            {action}"]
    return lines


def _normal(init: Init) -> str:
    return f"nn.init.normal_(weight, std={init.std!r})"


def _usual(each: Declared, init: Init) -> str:
    """Return how a weight of this shape and name starts where its kind says nothing else."""
    if len(each.weight.shape) > 1:
        return _normal(init)
    return ZEROS if each.name.endswith("bias") else ONES


def _action(each: Declared, init: Init) -> str:
    """Return the statement that starts a weight."""
    first = each.weight.init
    if each.scaled and init.residual_scale != 1.0:
        return f"nn.init.normal_(weight, std={init.std!r} * {init.residual_scale!r})"
    if isinstance(first, str):
        return {"normal": _normal(init), "output": _normal(init), "zeros": ZEROS, "ones": ONES}.get(first, first)
    return {0.0: ZEROS, 1.0: ONES}.get(first, f"nn.init.constant_(weight, {first!r})")


def _said(cases: list[tuple[str, str]]) -> str:
    actions = " ".join(action for _, action in cases)
    parts = ["matrices normal"] if "normal_" in actions or not cases else []
    parts += ["biases at zero"] if "zeros_" in actions else []
    parts += ["norms at one"] if "ones_" in actions else []
    parts += ["others at numbers of their own"] if "constant_" in actions else []
    return f"Start the weights: {', '.join(parts) or 'each in its own way'}."


def _ends(chosen: list[Declared], others: list[Declared]) -> str:
    """Return the test that holds for the chosen weights and for none of the others."""
    ends = {".".join(str(part) for part in each.path[-2:] if part is not None) for each in chosen}
    whole = any(each.name.endswith(tuple(ends)) for each in others)
    listed = sorted({each.name for each in chosen} if whole else ends)
    said = ", ".join(f'"{end}"' for end in listed)
    if whole:  # a whole name may be the end of another
        return f"name == {said}" if len(listed) == 1 else f"name in ({said})"
    return f"name.endswith({said})" if len(listed) == 1 else f"name.endswith(({said}))"
