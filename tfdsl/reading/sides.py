"""The two sides of a model that scores texts with images: the same model, asked for the vectors that it multiplies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfdsl import building, checking, document
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.reading.trained import Trained
from tfdsl.roles import Input, Signature
from tfdsl.sampling import ready
from tfdsl.training import checkpoint


def image(signature: Signature) -> Input | None:
    """Return the input of images of a model that reads texts too."""
    found = [each for each in signature.inputs.values() if each.kind == "numbers" and len(each.shape) == 4]
    return found[0] if len(found) == len(signature.texts()) == 1 else None


def open_sides(trained: Trained) -> tuple[Trained | None, tuple[str, str], list[Diagnostic]]:
    """Return the model with the vectors of texts and of images as its outputs, their names, or why there are none.

    A side is the stream whose end is [N, D] for texts, or [M, D] for images, with the one D.
    """
    words, picture = trained.signature.texts()[0], image(trained.signature)
    assert picture is not None and trained.checked.spec is not None, "a model of texts and images"
    ends = {name: each.flow.steps[-1].output.sizes for name, each in trained.checked.streams.items() if each.flow.steps}
    sides = [
        {name: sizes[1] for name, sizes in ends.items() if len(sizes) == 2 and str(sizes[0]) == each.shape[0]}
        for each in (words, picture)
    ]
    pairs = [(one, two) for one, width in sides[0].items() for two, other in sides[1].items() if width == other]
    if len(pairs) != 1:
        message = "the model does not say which of its streams gives the vector of a text, and which that of an image"
        help_ = (
            f"end one stream in [{words.shape[0]}, D] and one in [{picture.shape[0]}, D], and multiply them in a third"
        )
        return None, ("", ""), [Diagnostic("R838", message, label="which vectors?", help=help_)]
    names = pairs[0]
    outputs = {name: [str(extent) for extent in ends[name]] for name in names}
    spec = trained.checked.spec
    asked = spec.model_copy(update={"outputs": {**spec.outputs, **outputs}})
    return _rebuilt(trained, checking.run(document.gather_text(asked.to_yaml(), f"<{spec.name}>", Path()))), names, []


def _rebuilt(trained: Trained, checked: Checked) -> Trained:
    """Return the same weights in the module of another spec that declares the same ones."""
    assert checked.ok, "a spec with more outputs is as sound"
    module = building.build(checked)
    checkpoint.fill(module, checkpoint.tensors(trained.model))
    return replace(trained, checked=checked, model=ready(module))
