"""gather: finds the layers that a model uses and gives their text, reduced to what this model does with them.

What a constructor or a function is given, the same at every call, is folded into its text (`fold`), and what is then
not read any more is left out (`prune`). torch is not imported.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from tfdsl.codegen.calls import Signature, Site, Uses, beside, holders, passed, signature, sites, uses, without
from tfdsl.codegen.fold import Fold
from tfdsl.codegen.library import Entry, also, constants, library, read, tables
from tfdsl.codegen.prune import attributes, prune, without_methods, without_parameters


def gather(body: str) -> str:
    """Return the definitions that `body` (the text of a model's own classes) needs, followed by `body`.

    Calls in it lose the arguments that were folded away.
    """
    return _gathered(body, also.get())


@lru_cache(maxsize=64)  # a model is written as text and then built, or built again
def _gathered(body: str, others: tuple[Path, ...]) -> str:
    """Return what `gather` returns, the layers of other packages being those in the files `others`."""
    texts: dict[str, str] = {"": body}
    while (entry := _next(texts)) is not None:
        match entry.node:
            case ast.ClassDef() if not _is_function(entry.node):
                _take_class(entry, entry.node, texts)
            case ast.FunctionDef():
                _take_function(entry, entry.node, texts)
            case _:
                texts[entry.name] = ast.get_source_segment(entry.source, entry.node) or ""
    order = {name: (isinstance(each.node, ast.ClassDef), place) for place, (name, each) in enumerate(library().items())}
    taken = sorted((name for name in texts if name), key=lambda name: order[name])
    return "\n\n\n".join([*(texts[name] for name in taken), texts[""]])


def _next(texts: Mapping[str, str]) -> Entry | None:
    """Return a definition that is needed and that no other needed one, still to come, may call."""
    needed = {name for text in texts.values() for name in read(text)} & set(library()) - set(texts)
    waiting = {name for name in needed if not any(_reaches(other, name) for other in needed - {name})}
    # What is passed to a layer is folded by how that layer calls it.
    waiting = {name for name in waiting if not {owner for owner, _ in passed(name, texts)} & needed} or waiting
    assert waiting or not needed, f"layers call each other, or have methods of one name: {sorted(needed)}"
    return library()[min(waiting, key=list(library()).index)] if waiting else None


def _reaches(start: str, goal: str) -> bool:
    """Return whether a definition, or one that it needs, reads `goal` or calls one of its methods."""
    found, seen = {start}, set[str]()
    while found:
        entry = library()[found.pop()]
        seen.add(entry.name)
        if goal in entry.loads or entry.attributes & library()[goal].methods:
            return True
        found |= (entry.loads & set(library())) - seen
    return False


def _is_function(node: ast.ClassDef) -> bool:
    """Return whether a class is a function with a backward pass of its own, which is taken as it stands."""
    return any(ast.unparse(base) == "torch.autograd.Function" for base in node.bases)


def _take_function(entry: Entry, node: ast.FunctionDef, texts: dict[str, str]) -> None:
    """Add a function to the texts, folded by what its calls give it."""

    def calls_it(site: Site) -> bool:
        return site.name == node.name

    sign = signature(node)
    found = uses(sign, [site for site in sites(texts) if calls_it(site)])
    fold = Fold(entry.source, [constants() | use for use in found.known], found.fixed, tables())
    text, unread = without_parameters(prune("\n".join(_function(fold, node, sign, found, 0))), node.name)
    texts[entry.name] = text
    without(texts, sign, unread | frozenset(found.fixed), calls_it)


def _take_class(entry: Entry, node: ast.ClassDef, texts: dict[str, str]) -> None:
    """Add a class to the texts, folded by what its constructor and its `forward` are given."""
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    held = holders(node.name, texts)

    def makes_it(site: Site) -> bool:
        return site.name == node.name

    def runs_it(site: Site) -> bool:
        return (site.owner, site.name) in held

    made, run = signature(methods["__init__"]), signature(methods["forward"]) if "forward" in methods else Signature()
    calls = list(sites(texts))
    making, running = uses(made, list(filter(makes_it, calls))), uses(run, list(filter(runs_it, calls)))
    text = prune(_class(entry, node, making, running))
    text, dropped = without_parameters(text, "__init__")
    unread = frozenset[str]()
    if not beside(node.name, texts):  # another layer may read what this one does not
        text, unread = without_parameters(text, "forward")
    texts[entry.name] = _without_idle_methods(entry.name, text, texts)
    without(texts, made, dropped | frozenset(making.fixed), makes_it)
    without(texts, run, unread | frozenset(running.fixed), runs_it)


def _without_idle_methods(name: str, text: str, texts: Mapping[str, str]) -> str:
    """Return a class without the methods that nothing calls, nor those that they alone called."""
    while (less := without_methods(text, attributes({**texts, name: text}))) != text:
        text = less
    return text


def _class(entry: Entry, node: ast.ClassDef, making: Uses, running: Uses) -> str:
    """Return a class, each method folded by what is known in it."""
    signs = {each.name: signature(each) for each in node.body if isinstance(each, ast.FunctionDef)}
    inner = {name: sign for name, sign in signs.items() if sign.optional and name not in ("__init__", "forward")}
    idle: dict[str, frozenset[str]] = {}
    while True:
        texts = {node.name: "\n".join(_lines(entry, node, making, running, idle))}
        found = {name: _idle(name, sign, texts) for name, sign in inner.items()}
        if found == idle or not inner:
            break
        idle = found
    for name, dropped in idle.items():
        without(texts, inner[name], dropped, lambda site, name=name: site.name == f"self.{name}")
    return texts[node.name]


def _idle(method: str, sign: Signature, texts: Mapping[str, str]) -> frozenset[str]:
    """Return the parameters of a method that are None in each of its calls within the class."""
    calls = [sign.bind(site.call) for site in sites(texts) if site.name == f"self.{method}"]
    given = {name for call in calls for name, value in call.items() if ast.unparse(value) != "None"}
    return sign.optional - given


def _lines(
    entry: Entry, node: ast.ClassDef, making: Uses, running: Uses, idle: Mapping[str, frozenset[str]]
) -> list[str]:
    """Return the lines of a class, the `idle` parameters of its methods being None."""
    init = next(each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    copies = _copies(init)
    known = [constants() | {f"self.{attr}": use[name] for attr, name in copies.items()} for use in making.known]
    fixed = {f"self.{attr}": making.fixed[name] for attr, name in copies.items() if name in making.fixed}
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    lines = [f"class {node.name}{bases}:"]
    for part in node.body:
        if not isinstance(part, ast.FunctionDef):
            lines += Fold(entry.source, [], {}).statement(part, 4)
            continue
        nothing = dict.fromkeys(idle.get(part.name, ()))
        sign, found, values = signature(part), Uses((), nothing, frozenset()), [each | nothing for each in known]
        if part.name == "__init__":
            found, values = making, [each | use for each, use in zip(known, making.known, strict=True)]
        elif part.name == "forward":
            # Nothing is known of the calls of a layer that is an argument of another.
            found, values = running, [each | use for each in known for use in running.known or ({},)]
        fold = Fold(entry.source, values, {**fixed, **found.fixed}, tables())
        lines += ["", *_function(fold, part, sign, found, 4)]
    return lines


def _function(fold: Fold, node: ast.FunctionDef, sign: Signature, found: Uses, indent: int) -> list[str]:
    """Return the lines of a function without the parameters that are folded; those that all calls give come first."""
    parameters, optional = ["self"] if indent else [], False
    names = sorted(sign.names[found.placed :], key=lambda name: name in sign.defaults and name not in found.given)
    for name in (name for name in (*sign.names[: found.placed], *names) if name not in found.fixed):
        default = sign.defaults.get(name)
        optional = default is not None and (optional or name not in found.given)
        said = f"={ast.unparse(default)}".replace("'", '"') if optional and default is not None else ""
        parameters.append(name + said)
    parameters += [f"*{sign.rest}"] if sign.rest else []
    fold.reached = node.lineno
    return [f"{' ' * indent}def {node.name}({', '.join(parameters)}):", *fold.function(node.body, indent + 4)]


def _copies(init: ast.FunctionDef) -> dict[str, str]:
    """Return the attributes that hold a parameter as it came, with the parameter's name."""
    found: dict[str, str] = {}
    for each in init.body:
        match each:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=ast.Name(id=name)):
                found[attr] = name
            case _:
                pass
    return found
