"""write: from a checked spec to the text of its model."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tfdsl
from tfdsl.checking import Checked
from tfdsl.codegen.format import lay
from tfdsl.codegen.gather import gather
from tfdsl.codegen.library import also
from tfdsl.codegen.names import LAYERS, Letters, camel, harmless
from tfdsl.codegen.scope import CACHE, START, Program, Scope, Seen, Want
from tfdsl.codegen.start import reset
from tfdsl.codegen.text import construct, literal, module
from tfdsl.codegen.told import begin, told
from tfdsl.declared import Declared, each_weight, several
from tfdsl.identifiers import attribute
from tfdsl.node import Flow, Shared, Value
from tfdsl.remembering import Remembered, once, outside, remembered, steps
from tfdsl.shapes import Axis


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a model. `lines` gives the line of the spec that each line of the text was written for."""

    name: str
    text: str
    lines: tuple[int | None, ...]


def write(checked: Checked) -> Source:
    """Return the text of the model that a sound spec describes: one file that needs torch alone."""
    token = also.set(_layers(checked))
    try:
        return _written(checked)
    finally:
        also.reset(token)


def _layers(checked: Checked) -> tuple[Path, ...]:
    """Return the files of layers that the kinds of other packages have."""
    classes = {type(step.node) for stream in checked.streams.values() for step in steps(stream.flow)}
    return tuple(sorted({Path(inspect.getfile(each)).with_name(each.layers) for each in classes if each.layers}))


def _written(checked: Checked) -> Source:
    assert checked.ok and checked.spec is not None, "only a sound spec is compiled"
    program = Program(checked.document, Letters(), _referred(checked), inputs=checked.inputs, pads=checked.pads)
    _name_axes(checked, program.letters)
    found = {
        id(each): each.name
        for stream in checked.streams.values()
        for step in steps(stream.flow)
        for each in step.instances
    }
    program.variants = Counter(found.values())
    kept = remembered(checked)
    program.remembers, program.early = kept.axes, kept.early
    body = _streams(checked, program, kept) if several(checked) else _single(checked, program, kept.streams)
    gathered = gather("\n\n\n".join([*program.texts(), body]))
    apart = [""] if re.match(r"[A-Z_]+ = ", gathered) else ["", ""]
    text = lay("\n".join([_head(checked, program, gathered), *_imports(gathered), *apart, gathered]))
    return Source(checked.spec.name, text, tuple(_spec_lines(text)))


def _referred(checked: Checked) -> frozenset[str]:
    """Return the ids of nodes whose values are read somewhere."""
    values = [
        value for stream in checked.streams.values() for step in steps(stream.flow) for value in step.reads.values()
    ]
    return frozenset(value.name for value in (*values, *checked.outputs.values()) if value.kind == "node")


def _name_axes(checked: Checked, letters: Letters) -> None:
    """Give the axes of inputs and outputs their letters first."""
    for value in (*checked.inputs.values(), *checked.outputs.values()):
        for place, axis in enumerate(value.tensor.axes):
            if not isinstance(axis.size, int):
                letters.letter(str(axis.size), "BTS"[min(place, 2)])


# -- streams ----------------------------------------------------------------------------------------------------------


class Top(Scope):
    """A stream, which makes what its blocks share."""

    def __init__(self, program: Program, home: str, cached: bool) -> None:
        super().__init__(program, home, cached)

    def supply(self, want: Want) -> list[str]:
        """Return the lines that make what is wanted here."""
        if want == START:
            return [f"start = 0 if {self.want(CACHE)} is None else cache.position"]
        if isinstance(want.about, Seen):
            return self._seen(want.name, want.about.axis)
        if not isinstance(want.about, Shared):
            return []
        if want.about.role == "mask" or want.about.call is None:
            return self._mask(want.name, want.about)
        held = attribute(want.about.held)
        declaration = f"self.{held} = {construct(want.about.call)}"
        self.made += [] if declaration in self.made else [declaration]
        start = self._start(want.about.queries, want.mask.spans if want.mask is not None else "{start}")
        place = self.place(want.about.queries) if want.about.role == "rope" else ""
        given = [self.x, *([start] if start else []), *([f"place_BT={place}"] if place else [])]
        given += [f"mask={self.shared(want.mask)}"] if want.mask else []
        return [f"{want.name} = self.{held}({', '.join(given)})"]

    def _start(self, queries: Axis, count: str) -> str:
        """Return a count of how many came before the queries, where a cache may hold some; else nothing."""
        if not self.cached or queries.size not in self.program.remembers:
            return ""
        return count.format(start=self.want(START))

    def _mask(self, name: str, mask: Shared) -> list[str]:
        """Return the lines of a boolean mask: which keys a query may see, and which are not padding."""
        start, begun, parts = self._start(mask.queries, mask.behind), begin(self, mask.keys), list[str]()
        if mask.call is not None:
            named = [f"{name}={literal(value)}" for name, value in mask.call.named.items()]
            named += [f"begin_BS={begun}"] if begun else []
            given = [self.x, *([start] if start else []), *map(literal, mask.call.positional), *named]
            parts.append(f"{mask.call.layer}({', '.join(given)})")
        apart = f"same_document({begun}, {self.x})"
        if begun and mask.queries.parts != mask.keys.parts:
            return self._paired(name, mask, begun)
        if mask.optional:
            return [f"{name} = None if {begun} is None else {parts[0] if parts else apart}"]
        keep = self.seen(mask.keys) if start else self.keep(mask.keys)
        parts += [self._real(keep, mask, bool(start))] if keep else []
        if len(parts) == 2 and len(parts[0]) > 60:
            return [f"{name} = {parts[0]}", f"{name} = {name} & {parts[1]}"]
        if begun and mask.call is None:
            return [f"{name} = {' & '.join(parts)}", f"if {begun} is not None:", f"    {name} = {name} & {apart}"]
        one = f"None if {self.x}.size(1) == 1 else " if mask.single else ""
        return [f"{name} = {one}{' & '.join(parts)}"]

    def _real(self, keep: str, mask: Shared, behind: bool) -> str:
        """Return which of the keys that a mask spans are real, `keep` being that of all so far."""
        if not behind or mask.spans == "{start}":
            return f"{keep}[:, None, None, :]"
        start = self.want(START)
        held = mask.spans.format(start=start)
        if mask.first:
            return f"first_and_newest({keep}, {held} + {self.x}.size(1), {mask.first})[:, None, None, :]"
        return f"{keep}[:, None, None, {start} - {held} :]"

    def _paired(self, name: str, mask: Shared, begun: str) -> list[str]:
        """Return the lines of a mask between two rows: the documents of one number, and which keys are not padding."""
        apart = f"paired_documents({begin(self, mask.queries)}, {begun}, {self.x})"
        if mask.optional:
            return [f"{name} = {apart}"]
        pairs, keep = f"{name}_pairs", self.keep(mask.keys)
        lines = [f"{name} = {keep}[:, None, None, :]", f"{pairs} = {apart}"]
        return [*lines, f"if {pairs} is not None:", f"    {name} = {name} & {pairs}"]

    def _seen(self, seen: str, axis: Axis) -> list[str]:
        """Return the line that says which positions are real, those that a cache holds among them."""
        keep, cache = self.keep(axis), self.want(CACHE)
        late = f"{keep}[:, -{self.x}.size(1) :]" if axis.keep is not None and axis.keep.before else keep
        return [f"{seen} = {keep} if {cache} is None else {cache}.extend({late}, 1)"]


class Whole(Scope):
    """The model itself, where it has several streams."""

    def __init__(self, program: Program) -> None:
        super().__init__(program, "", False)

    def supply(self, want: Want) -> list[str]:
        """Return the lines that say which tokens are not padding, and where documents begin."""
        return told(self, want)


class Alone(Top):
    """The model itself, where it is one pipe."""

    def supply(self, want: Want) -> list[str]:
        """Return the lines that make what is wanted here."""
        return told(self, want) or super().supply(want)


def _single(checked: Checked, program: Program, cached: frozenset[str]) -> str:
    """Return the class of a model that is one pipe."""
    ((name, stream),) = checked.streams.items()
    scope = Alone(program, name, name in cached)
    end = scope.run_whole(stream)
    found = {key: scope.values.get(value.name, end) for key, value in checked.outputs.items()}
    return _model(checked, program, scope, found)


def _streams(checked: Checked, program: Program, kept: Remembered) -> str:
    """Return the classes of the streams, and of the model that runs one after the other."""
    whole, texts = Whole(program), list[str]()
    classes = _stream_classes(checked, program)
    for name, stream in checked.streams.items():
        scope = Top(program, name, name in kept.streams)
        end = scope.run_whole(stream)
        exports = outside(checked, name)
        ends = {value.name: scope.values.get(value.name, end) for value in exports}
        texts.append(_stream(classes[name], name, scope, list(dict.fromkeys(ends.values())) or [end]))
        whole.made.append(f"self.{attribute(name)} = {classes[name]}()")
        if exports:
            _run(whole, f"self.{attribute(name)}", scope.ordered(), exports, ends, once(checked, kept, name))
    found = {key: whole.values[value.name] for key, value in checked.outputs.items()}
    return "\n\n\n".join([*texts, _model(checked, program, whole, found)])


def _stream(made: str, name: str, scope: Scope, ends: list[str]) -> str:
    wanted = [want.parameter for want in scope.ordered()]
    lines = [*scope.lines, f"return {', '.join(ends)}"]
    return module(made, f"Stream `{name}`", scope.made, ["self", *wanted], lines)


def _run(
    whole: Whole, held: str, wants: Iterable[Want], exports: list[Value], ends: dict[str, str], keeps: bool
) -> None:
    """Write the line that runs a stream and keeps what others read of it; where it `keeps` it, in the cache."""
    given = [f"cache={whole.want(want)}" if want == CACHE else _from_outside(whole, want) for want in wants]
    targets: dict[str, str] = {}
    for value in exports:
        if value.kind in ("node", "part") or ends[value.name] not in targets:
            targets[ends[value.name]] = whole.program.held(value)
    whole.values |= {value.name: targets[ends[value.name]] for value in exports}
    call = f"once({', '.join([whole.want(CACHE), held, *given])})" if keeps else f"{held}({', '.join(given)})"
    whole.lines.append(f"{', '.join(targets.values())} = {call}")


def _from_outside(whole: Whole, want: Want) -> str:
    return whole.named(want.about) if isinstance(want.about, Value) else whole.want(want)


def _stream_classes(checked: Checked, program: Program) -> dict[str, str]:
    """Return the names of the streams' classes, and keep blocks from taking them."""
    names = {name: camel(name) for name in checked.streams}
    blocks = {camel(name) for name in (checked.spec.blocks if checked.spec is not None else ())}
    return {name: f"{each}Stream" if each in blocks | program.reserved else each for name, each in names.items()}


# -- the model --------------------------------------------------------------------------------------------------------


def _model(checked: Checked, program: Program, scope: Scope, found: dict[str, str]) -> str:
    """Return the class `Model`."""
    assert checked.spec is not None, "a sound spec is there"
    all_declared = list(each_weight(checked))
    cached = CACHE in scope.wants
    inputs = [
        program.named(name, value.tensor) + ("=None" if checked.spec.inputs[name].parts else "")
        for name, value in checked.inputs.items()
    ]
    result = ", ".join(f'"{key}": {each}' for key, each in found.items())
    result = f"{{{result}}}" if len(found) > 1 else next(iter(found.values()))
    lines = [*scope.lines, *(["if cache is not None:", "    cache.advance()"] if cached else []), f"return {result}"]
    made = [*scope.made, *_ties(all_declared), *(["self.reset()"] if all_declared else [])]
    text = module("Model", _title(checked), made, ["self", *inputs, *(["cache=None"] if cached else [])], lines)
    extra = reset(checked.init, all_declared) if all_declared else []
    losing = sorted({loss for stream in checked.streams.values() for loss in _losses(stream.flow)})
    if losing:
        extra += ["", *_auxiliary_loss(losing)]
    if cached:
        extra += [
            "",
            "def new_cache(self, length):",
            '    """Return an empty cache for `length` positions."""',
            f"    return Cache(length{', parted=True' if program.apart else ''})",
        ]
    head, forward = text.split("\n    def forward", 1)
    return "\n".join(
        [head.rstrip(), *(f"    {line}" if line else "" for line in extra), "", f"    def forward{forward}"]
    )


def _losses(flow: Flow) -> Iterator[str]:
    """Yield the classes of layers that have a loss of their own in training."""
    for step in steps(flow):
        call = step.node.call(step) if step.node.adds_loss() else None
        if call is not None:
            yield call.layer


def _auxiliary_loss(classes: list[str]) -> list[str]:
    kinds = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
    return [
        "def auxiliary_loss(self):",
        '    """Return what the layers add to the loss, as the last forward in training left it."""',
        f"    layers = [each for each in self.modules() if isinstance(each, {kinds})]",
        "    return torch.stack([each.aux_loss for each in layers]).sum()",
    ]


def _title(checked: Checked) -> str:
    assert checked.spec is not None, "a sound spec is there"
    takes = ", ".join(f"{name} {value.tensor}" for name, value in checked.inputs.items())
    gives = ", ".join(f"{name} {value.tensor}" for name, value in checked.outputs.items())
    return f"{takes} -> {gives}"


def _ties(all_declared: list[Declared]) -> list[str]:
    """Return the statements that make parameters one that are tied across blocks; the copies of a repeat in a loop."""
    found: dict[str, list[str]] = {}
    for each in all_declared:
        if not each.weight.tied or each.inside:
            continue
        lines, held, depth = list[str](), "self", 0
        for part in each.path:
            if part is None:
                lines.append(f"{'    ' * depth}for {'layer' if depth == 0 else f'layer_{depth}'} in {held}:")
                held, depth = "layer" if depth == 0 else f"layer_{depth}", depth + 1
            else:
                held = f"{held}.{part}"
        found[held + str(each.path)] = [*lines, f"{'    ' * depth}{held} = self.{each.weight.tied}"]
    return [line for lines in found.values() for line in lines]


def _head(checked: Checked, program: Program, text: str) -> str:
    """Return the docstring of the file: what it is, what its letters mean, whose it is."""
    assert checked.spec is not None, "a sound spec is there"
    about = harmless(checked.spec.about)
    used = set("".join(re.findall(r"[a-z]_([A-Z]+)\b", text)))
    said = {letter: _meaning(checked, label) for label, letter in program.letters.taken.items()}
    legend = "; ".join(f"{letter} {meaning}" for letter, meaning in (said | LAYERS | said).items() if letter in used)
    lines = [
        *textwrap.wrap(f"{harmless(checked.spec.name)}{': ' + about if about else ''}.", 85),
        "",
        *textwrap.wrap(f"The capitals behind a name are its axes: {legend}.", 88),
        "",
        f"Written by tfdsl {tfdsl.__version__} from {harmless(checked.document.file.rpartition('/')[2])}.",
        "The file belongs to whoever compiled it.",
    ]
    return '"""' + "\n".join(lines) + '\n"""\n'


def _meaning(checked: Checked, label: str) -> str:
    """Return what an axis is: a size with its name, or where a symbolic one comes from."""
    if label in checked.dims:
        return f"{label} = {checked.dims[label]}"
    if label == "B":
        return "batch"
    homes = [name for name, value in checked.inputs.items() if label in {str(axis.size) for axis in value.tensor.axes}]
    return f"length of {', '.join(homes)}" if homes else label


def _imports(text: str) -> list[str]:
    """Return the imports that a text needs, as they are sorted."""
    wanted = (
        ("math.", "import math"),
        ("torch.", "import torch"),
        ("F.", "import torch.nn.functional as F"),
        ("nn.", "from torch import nn"),
    )
    found = [line for mark, line in wanted if re.search(rf"(?<![\w.]){re.escape(mark)}", text)]
    return [part for line in found for part in ([line, ""] if line == "import math" else [line])]


def _spec_lines(text: str) -> Iterator[int | None]:
    """Yield, for each line of a text, the line of the spec that the comment above it names."""
    current: int | None = None
    for line in text.splitlines():
        said = re.fullmatch(r" +# \S.*:(\d+)", line)
        if said:
            current = int(said[1])
        elif re.match(r"(class |def |    def )", line):
            current = None
        yield current
