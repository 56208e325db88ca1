"""start: how an emitted model gives its weights their first values."""

from __future__ import annotations

from tfdsl.declared import Declared
from tfdsl.spec import Init


def reset(init: Init, weights: list[Declared]) -> list[str]:
    """Return the lines of the method `reset`: a branch for each way in which some weight of the model starts."""
    own = [each for each in weights if not each.weight.tied]
    scaled = [each for each in own if each.scaled and init.residual_scale != 1.0]
    others = {each.name: action for each in own if (action := _own_way(each, init))}
    cases: list[tuple[str, str]] = []
    for action in dict.fromkeys(others.values()):
        cases.append((_ends([each for each in own if others.get(each.name) == action], own), action))
    rest = [each for each in own if each not in scaled and each.name not in others]
    if scaled:
        cases.append((_ends(scaled, own), f"nn.init.normal_(weight, std={init.std!r} * {init.residual_scale!r})"))
    if any(len(each.weight.shape) > 1 for each in rest):
        cases.append(("weight.dim() > 1", f"nn.init.normal_(weight, std={init.std!r})"))
    if any(each.weight.init == "zeros" for each in rest):
        cases.append(('name.endswith("bias")', "nn.init.zeros_(weight)"))
    if any(each.weight.init == "ones" for each in rest):
        cases.append(("", "nn.init.ones_(weight)"))
    lines = ["", "def reset(self):", f'    """{_said(init, bool(scaled), cases)}"""']
    lines.append("    for name, weight in self.named_parameters():")
    if len(cases) == 1:
        return [
            "",
            "def reset(self):",
            f'    """{_said(init, bool(scaled), cases)}"""',
            "    for weight in self.parameters():",
            f"        {cases[0][1]}",
        ]
    for place, (test, action) in enumerate(cases):
        word = "if" if place == 0 else "elif"
        lines.append(f"        {word} {test}:" if place < len(cases) - 1 else "        else:")
        lines.append(f"            {action}")
    if not any("name" in test for test, _ in cases[:-1]):
        lines[3] = "    for weight in self.parameters():"
    return lines


def _own_way(each: Declared, init: Init) -> str:
    """Return the statement that starts a weight otherwise than those of its shape and name; else nothing."""
    way, vector = each.weight.init, len(each.weight.shape) < 2
    usual = ("zeros" if each.name.endswith("bias") else "ones") if vector else "normal"
    if way == usual or (way == "output" and not vector):
        return ""
    if isinstance(way, int | float):
        return f"nn.init.constant_(weight, {way!r})"
    return {"zeros": "nn.init.zeros_(weight)", "ones": "nn.init.ones_(weight)"}.get(
        way, f"nn.init.normal_(weight, std={init.std!r})"
    )


def _said(init: Init, scaled: bool, cases: list[tuple[str, str]]) -> str:
    actions = " ".join(action for _, action in cases)
    parts = ["matrices normal"]
    parts += ["biases at zero"] if "zeros_" in actions else []
    parts += ["norms at one"] if "ones_" in actions else []
    return f"Start the weights: {', '.join(parts)}."


def _ends(scaled: list[Declared], own: list[Declared]) -> str:
    """Return the test that holds for the last projections of branches and for no other weight."""
    ends = {".".join(str(part) for part in each.path[-2:]) for each in scaled}
    rest = [each for each in own if each not in scaled]
    if any(each.name.endswith(tuple(ends)) for each in rest):
        ends = {each.name for each in scaled}
    listed = sorted(ends)
    said = ", ".join(f'"{end}"' for end in listed)
    return f"name.endswith({said})" if len(listed) == 1 else f"name.endswith(({said}))"
