"""ragged: the same model with an input that says which document a position belongs to, for rows of many lengths."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, count

from tfdsl import checking, roles, source
from tfdsl.checking import Checked
from tfdsl.source import Mapping, Sequence, Value

FILE = "<ragged>"  # where the input would be written, if somebody wrote it


def ragged(checked: Checked) -> Checked | None:
    """Return the spec with an input of whole numbers that `parts` its words, which is what a user would have written.

    Weights have the names that they have without it. A spec that has such an input comes back as it is; one whose
    documents would reach each other (T283, T284), or that does not read one input of words, gives None.
    """
    tree = checked.document.value
    assert checked.ok and checked.spec is not None and tree is not None, "only a sound spec is asked"
    signature = roles.of(checked)
    words = signature.texts()
    if len(words) != 1:
        return None
    if signature.documents(words[0].name) is not None:
        return checked
    shape = ", ".join(map(str, checked.spec.inputs[words[0].name].shape[:2]))
    text = f"inputs: {{{_free(tree)}: {{shape: [{shape}], parts: {words[0].name}}}}}"
    given, _ = source.parse(text, FILE)
    assert given is not None, "what is written here can be read"
    whole = source.merge(tree, given)
    assert isinstance(whole, Mapping), "two mappings merge to a mapping"
    texts = {**checked.document.texts, FILE: text}
    found = checking.run(replace(checked.document, value=whole, texts=texts))
    return found if found.ok else None


def _free(tree: Mapping) -> str:
    """Return a name for the input that stands nowhere in the spec."""
    taken = _words(tree)
    names = chain(["documents"], (f"documents_{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def _words(value: Value) -> set[str]:
    """Return every key and every scalar of a spec."""
    if isinstance(value, Mapping):
        return {key.text for key, _ in value.entries}.union(*(_words(child) for _, child in value.entries))
    if isinstance(value, Sequence):
        return set[str]().union(*map(_words, value.items))
    return {value.text}
