"""A spec's text with all that it stands on: `extends`, `imports` and `--set`, in one tree that knows its places."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tfdsl import source
from tfdsl.diagnostics import Diagnostic, Note, Span, suggest
from tfdsl.source import Mapping, Scalar, Sequence, Value

OVERRIDABLE = ("dims", "train", "sample", "init")
DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Document:
    """A merged spec: its tree (None where there is none), what is wrong with it, and the text of every file in it."""

    file: str
    value: Mapping | None
    diagnostics: tuple[Diagnostic, ...]
    texts: Map[str, str] = field(default_factory=dict[str, str])

    def span(self, path: tuple[str | int, ...], key: bool = False) -> Span | None:
        """Return where the value at `path` (or its key) was written."""
        if self.value is None:
            return None
        return source.key_span(self.value, path) if key else source.find(self.value, path).span


class Gathering:
    """The files that are being merged, the texts read so far, and what was wrong."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.found: list[Diagnostic] = []

    def report(self, code: str, message: str, span: Span, **more: object) -> None:
        self.found.append(Diagnostic(code, message, span, **more))  # type: ignore[arg-type]

    def file(self, path: Path, chain: tuple[str, ...]) -> Mapping | None:
        """Return the merged tree of the file at `path`."""
        document = source.load(path)
        return self.merged(document.value, document.text, list(document.diagnostics), str(path), path.parent, chain)

    def merged(
        self, value: Value | None, text: str, found: list[Diagnostic], file: str, folder: Path, chain: tuple[str, ...]
    ) -> Mapping | None:
        """Return `value` on top of what it extends and imports."""
        self.found += found
        if text or value is not None:
            self.texts[file] = text  # of a file that could not be read there is nothing to show
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.report("D100", "a spec is a mapping", value.span, help="begin with `tfdsl: 1` and `name: ...`")
            return None
        value = self._imports(value, folder, (*chain, file))
        return self._extends(value, folder, (*chain, file))

    def _extends(self, value: Mapping, folder: Path, chain: tuple[str, ...]) -> Mapping:
        named = value.index.get("extends")
        if named is None:
            return value
        own = without(value, "extends")
        base = self._other(named, folder, chain)
        merged = source.merge(_retyped(_met(base, own), own), own) if base is not None else own
        assert isinstance(merged, Mapping), "two mappings merge to a mapping"
        return merged

    def _imports(self, value: Mapping, folder: Path, chain: tuple[str, ...]) -> Mapping:
        imports = value.index.get("imports")
        if imports is None:
            return value
        value = without(value, "imports")
        if not isinstance(imports, Mapping):
            self.report(
                "D103", "`imports` is a mapping", imports.span, help="write `imports: {blocks: parts/name.yaml}`"
            )
            return value
        for key, named in imports.entries:
            if key.text != "blocks":
                self.report("D102", f"`imports` cannot borrow `{key.text}`", key.span, help="it borrows `blocks`")
                continue
            files = named.items if isinstance(named, Sequence) else (named,)
            for each in files:
                value = self._borrow(value, each, folder, chain)
        return value

    def _borrow(self, value: Mapping, named: Value, folder: Path, chain: tuple[str, ...]) -> Mapping:
        other = self._other(named, folder, chain)
        if other is None:
            return value
        blocks = other.index.get("blocks")
        if not isinstance(blocks, Mapping):
            self.report("D112", "the imported file has no blocks", named.span)
            return value
        borrowed = Mapping(((Scalar("blocks", "blocks", named.span), blocks),), named.span)
        merged = source.merge(borrowed, value)
        assert isinstance(merged, Mapping), "two mappings merge to a mapping"
        return merged

    def _other(self, named: Value, folder: Path, chain: tuple[str, ...]) -> Mapping | None:
        if not isinstance(named, Scalar) or not isinstance(named.value, str):
            self.report("D103", "a file is named by its path", named.span, help="write `extends: base.yaml`")
            return None
        name = PurePosixPath(named.value)
        if name.is_absolute() or name.suffix not in (".yaml", ".yml"):
            self.report(
                "D113",
                f"`{named.value}` is not a relative path of a `.yaml` file",
                named.span,
                help="a spec names other specs by their place beside it",
            )
            return None
        path = folder / name
        if str(path) in chain or len(chain) > DEEPEST:
            self.report(
                "D114", f"`{named.value}` extends itself", named.span, notes=(Note(" → ".join((*chain, str(path)))),)
            )
            return None
        if not path.is_file():
            self.report("D115", f"there is no file `{path}`", named.span, help=_nearby(path))
            return None
        return self.file(path, chain)


def gather(path: Path, overrides: Seq[str] = ()) -> Document:
    """Read the spec at `path`, merge what it extends and imports, and set what `overrides` say (`dims.d_model=64`)."""
    gathering = Gathering()
    return _document(gathering, gathering.file(path, ()), str(path), overrides)


def gather_text(text: str | bytes, file: str, folder: Path, overrides: Seq[str] = ()) -> Document:
    """Read a spec from its text; `file` names it in diagnostics, `folder` is where it looks for other files."""
    gathering, taken = Gathering(), source.take(text, file)
    value = gathering.merged(taken.value, taken.text, list(taken.diagnostics), file, folder, ())
    return _document(gathering, value, file, overrides)


def _document(gathering: Gathering, value: Mapping | None, file: str, overrides: Seq[str]) -> Document:
    for override in overrides if value is not None else ():
        assert value is not None, "an override changes a mapping"
        value = _override(gathering, value, override)
    return Document(file, value, tuple(gathering.found), gathering.texts)


def _override(gathering: Gathering, value: Mapping, override: str) -> Mapping:
    file = f"--set {override}"
    where, equals, text = override.partition("=")
    gathering.texts[file] = override
    whole = Span(file, 1, 1, 1, len(override) + 1)
    path = tuple(where.strip().split("."))
    if not equals or len(path) < 2 or not all(path):
        gathering.report(
            "D116", f"`{override}` is not of the form `section.name=value`", whole, help="for example `dims.d_model=64`"
        )
        return value
    if not text.strip():
        gathering.report("D116", f"`{override}` gives no value", whole, help=f"for example `{where.strip()}=64`")
        return value
    if path[0] not in OVERRIDABLE:
        gathering.report(
            "D117",
            f"`{path[0]}` cannot be set from outside",
            whole,
            help=f"sizes and settings can ({', '.join(OVERRIDABLE)}); structure is edited in the file",
        )
        return value
    dims = value.index.get("dims")
    if path[0] == "dims" and not (isinstance(dims, Mapping) and path[1] in dims.index):
        known = tuple(dims.index) if isinstance(dims, Mapping) else ()
        near = suggest(path[1], known)
        gathering.report("N301", f"there is no dim `{path[1]}`", whole, help=f"did you mean `{near}`?" if near else "")
        return value
    new, found = source.parse(" " * (len(where) + 1) + text, file)
    gathering.found += found
    if new is None:
        return value
    for key in reversed(path):
        new = Mapping(((Scalar(key, key, whole), new),), whole)
    merged = source.merge(_retyped(_opened(value, path), new), new)
    assert isinstance(merged, Mapping), "two mappings merge to a mapping"
    return merged


def _opened(value: Mapping, path: tuple[str, ...]) -> Mapping:
    """Return the mapping with a value that stands alone above `path` written in full: `data: {source: text.txt}`."""
    from tfdsl.settings import headlines  # slow, and of use to few

    for length in range(2, len(path)):
        lone = source.find(value, path[:length])
        field = headlines.headline(path[:length])
        if not isinstance(lone, Scalar) or not field:
            continue
        written: Value = Mapping(((Scalar(field, field, lone.span), lone),), lone.span)
        for key in reversed(path[:length]):
            written = Mapping(((Scalar(key, key, lone.span), written),), lone.span)
        merged = source.merge(value, written)
        assert isinstance(merged, Mapping), "two mappings merge to a mapping"
        value = merged
    return value


def _met(base: Mapping, own: Mapping) -> Mapping:
    """Return `base` with the settings that stand alone written in full where `own` has fields of them."""
    for section, content in own.entries:
        for key, value in content.entries if isinstance(content, Mapping) else ():
            if isinstance(value, Mapping):
                base = _opened(base, (section.text, key.text, ""))
    return base


def _retyped(base: Mapping, over: Value) -> Mapping:
    """Return `base` without the settings that lose their meaning, as `over` gives what they are of another type."""
    from tfdsl.settings import headlines  # slow, and of use to few

    for section, content in over.entries if isinstance(over, Mapping) else ():
        for key, value in content.entries if isinstance(content, Mapping) else ():
            path, new = (section.text, key.text), _type(value)
            if new is not None:
                base = _less(base, path, headlines.meaningless(path, _type(source.find(base, path)), new))
    return base


def _type(value: Value) -> str | None:
    """Return the type that a mapping says it is, where it says one."""
    named = value.index.get("type") if isinstance(value, Mapping) else None
    return named.text if isinstance(named, Scalar) else None


def _less(value: Mapping, path: tuple[str, ...], gone: frozenset[str]) -> Mapping:
    """Return a mapping, the mapping at `path` in it without the keys that are `gone`."""
    entries: list[tuple[Scalar, Value]] = []
    for key, child in value.entries:
        if path and key.text == path[0] and isinstance(child, Mapping):
            child = _less(child, path[1:], gone)
        if path or key.text not in gone:
            entries.append((key, child))
    return Mapping(tuple(entries), value.span)


def without(value: Mapping, name: str) -> Mapping:
    """Return the mapping without one of its keys."""
    return Mapping(tuple(entry for entry in value.entries if entry[0].text != name), value.span)


def _nearby(path: Path) -> str:
    near = suggest(path.name, tuple(each.name for each in path.parent.glob("*.y*ml"))) if path.parent.is_dir() else None
    return f"did you mean `{near}`?" if near else ""
