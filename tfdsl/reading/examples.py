"""What a model is asked about: texts, pairs of texts, images; given one by one, or read from files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from tfdsl import settings
from tfdsl.data import find, fit, pictures, values
from tfdsl.data.absent import Absent
from tfdsl.data.learn import gathered
from tfdsl.data.source import Record, Source
from tfdsl.data.table import Array, Fixed, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.disk import reason
from tfdsl.reading.trained import Trained
from tfdsl.roles import Extent
from tfdsl.sampling import aside

Kind = Literal["text", "image"]
TABLES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".npy"})
LABEL = Field("label", "label", optional=True)
TEXTS = (Field("text"), Field("second", optional=True), LABEL)
IMAGES = (Field("image", "image"), LABEL)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A text, perhaps with a second one, or an image [C, H, W]; its `name`, and its class where that is known."""

    name: str
    text: str = ""
    second: str | None = None
    image: Array | None = None
    label: str | None = None


Given = Example | str | tuple[str, str] | Path | Array
Read = tuple[list[Example], list[Diagnostic]]


def few(given: Sequence[Any], top: int = 1) -> list[Diagnostic]:
    """Say where there is nothing to read, or where fewer answers than one are asked for."""
    if not given:
        return [Diagnostic("R836", "there is nothing to read: no text and no image was given", label="nothing")]
    return counted("top", top)


def counted(name: str, value: Any, code: str = "R836") -> list[Diagnostic]:
    """Say where so many of something are no whole number from 1 up: from Python, anything may be given."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return []
    message = f"`{name}` is {value!r:.40}, and is to be a whole number from 1 up"
    return [Diagnostic(code, message, label="no such number", help=f"`{name}=1` is the least")]


def texts_alone(given: Sequence[Any]) -> list[Diagnostic]:
    """Say what of it is no text, where a model reads nothing else."""
    other = next((each for each in given if not isinstance(each, str)), None)
    if all(isinstance(each, str) for each in given):
        return []
    told = "a pair of texts" if is_pair(other) else values.named(other)
    return [Diagnostic("R836", f"the model reads texts, and was given {told}", label="not read", help="give texts")]


def is_pair(each: Any) -> TypeGuard[tuple[str, str]]:
    """Return whether a value is two texts."""
    return isinstance(each, tuple) and len(each) == 2 and all(isinstance(one, str) for one in each)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def of(given: Sequence[Given], kind: Kind) -> Read:
    """Return what was given as examples: texts and pairs of texts, or images as arrays and as paths."""
    found: list[Example] = []
    problems: list[Diagnostic] = []
    for number, each in enumerate(given, 1):
        if isinstance(each, Example):
            found.append(each)
        elif isinstance(each, np.ndarray) and kind == "image":
            if (image := _image(each, f"image {number}", problems)) is not None:
                found.append(Example(f"image {number}", image=image))
        elif isinstance(each, str | Path) and kind == "image":
            some, said = images(Path(each))
            found, problems = found + some, problems + said
        elif isinstance(each, str):
            found.append(Example(each, each))
        elif isinstance(each, tuple) and kind == "text" and is_pair(each):
            found.append(Example(" | ".join(each), *each))
        else:
            message = f"the model reads {'texts' if kind == 'text' else 'images'}, and was given {values.named(each)}"
            problems.append(Diagnostic("R836", message, label="not read"))
    return found, problems


def is_picture(name: str) -> bool:
    """Return whether a name is that of an image, or of a folder that may hold some."""
    try:
        return Path(name).suffix.lower() in pictures.SUFFIXES or Path(name).is_dir()
    except (OSError, ValueError):  # a long text is no name
        return False


def images(path: Path) -> Read:
    """Return the image in a file, or those in a folder; folders in it are their classes."""
    if path.suffix.lower() in TABLES or path.is_dir():
        return table(str(path), IMAGES, settings.Data(source=str(path)))
    try:
        return [Example(str(path), image=pictures.decoded(path.read_bytes()))], []
    except Absent as absent:
        return [], [absent.diagnostic]
    except OSError as error:
        return [], [Diagnostic("R744", f"`{path}` cannot be read: {reason(error)}", label="no image")]
    except values.Unfit as fault:
        return [], [Diagnostic("R744", f"`{path}` {fault}", label="no image")]


def file(name: str, fields: Sequence[Field], trained: Trained) -> Read:
    """Return the examples of a file or a folder of examples; a file of another kind holds a text a line."""
    path = Path(name)
    if path.suffix.lower() in TABLES or path.is_dir() or fields[0].kind != "text":
        return table(name, fields, trained.train.data or settings.Data(source=name))
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        return [], [Diagnostic("R703", f"`{name}` is not UTF-8 text", label=f"byte {error.start:,}")]
    except (OSError, ValueError) as error:
        return [], [Diagnostic("R703", f"`{name}` cannot be read: {reason(error)}")]
    return listed(text)


def listed(text: str) -> Read:
    """Return each line of a text that is not blank as an example."""
    return [Example(each, each) for each in (line.rstrip("\r") for line in text.split("\n")) if each.strip()], []


def table(name: str, fields: Sequence[Field], data: settings.Data) -> Read:
    """Return the examples of a source as the trainer finds them, all of them, whatever it would hold out."""
    here = f"./{name}" if Path(name).exists() and not Path(name).is_absolute() else name  # no built-in set of that name
    data = data.model_copy(update={"source": here, "held_out": 0.1})
    found = find.find(data)
    if found.source is None:
        return [], list(found.problems)
    names = {field.name for field in fields}
    data = data.model_copy(update={"fields": {key: each for key, each in data.fields.items() if key in names}})
    source: Source = found.source
    chosen, problems = fit.choose(Wanted((tuple(fields),)), source, _without(data, source))
    if chosen is None:
        return [], [each for _, each in problems]
    examples: list[Example] = []
    said: list[Diagnostic] = []
    told = list(found.remarks)  # what of a folder is left out
    for part in (source, found.held_out):
        for record in part.read(0, part.count) if part is not None else ():
            if isinstance(record, Diagnostic):
                said.append(record)
                continue
            try:
                examples.append(_example(record, chosen, source))
            except values.Unfit as fault:
                said.append(fault.diagnostic(record, chosen.columns[fields[0].name]))
    return examples, [*told, *(each for _, each in gathered(said))]


def _without(data: settings.Data, source: Source) -> settings.Data:
    """Return the settings without names of columns that this source does not have: the run's data may have had them."""
    fields = {name: column for name, column in data.fields.items() if column in source.columns}
    return data.model_copy(update={"fields": fields})


def _example(record: Record, chosen: fit.Chosen, source: Source) -> Example:
    """Return a record as an example; raises Unfit."""
    found: dict[str, Any] = {}
    for field in chosen.fields:
        column = chosen.columns[field.name]
        if field.optional and record.values.get(column) is None:
            continue
        value = values.held(record, column)
        match field.kind:
            case "label":
                found["label"] = values.label(value, source.classes.get(column, ()))
            case "image":
                found["image"] = values.image(value)
            case _:
                found[field.name] = values.text(value)
    texts = [found[name] for name in ("text", "second") if name in found]
    return Example(" | ".join(texts) or record.place.replace("`", ""), **found)


def _image(array: Array, name: str, problems: list[Diagnostic]) -> Array | None:
    try:
        return values.image(array)
    except values.Unfit as fault:
        problems.append(Diagnostic("R744", f"{name} {fault}", label="no image"))
        return None


def pile(
    examples: Sequence[Example], setting: settings.Image | None, shape: Sequence[Extent]
) -> tuple[Table | None, list[int], list[Diagnostic]]:
    """Return the images that a model of [B, C, H, W] reads as a table, which they are, and what is wrong with others.

    `setting` brings them to a shape.
    """
    found: list[Array] = []
    sound: list[int] = []
    faults: dict[int, Diagnostic] = {}
    for at, each in enumerate(examples):
        assert each.image is not None, "it is an image"
        try:
            image = pictures.shaped(each.image, setting)
        except Absent as absent:
            return None, [], [absent.diagnostic]
        if len(image) == 1 and isinstance(shape[1], int):
            image = np.repeat(image, shape[1], 0)  # a grey one
        if any(isinstance(want, int) and want != has for want, has in zip(shape[1:], image.shape, strict=True)):
            told = f"`{each.name}` is {_by(image.shape)}, the model takes {_by(shape[1:])}"
            help_ = "bring it to that; the commands do so with `--size`"
            faults[at] = Diagnostic("R805", told, label="not of that shape", help=help_)
        elif found and image.shape != found[0].shape:
            told = f"`{each.name}` is {_by(image.shape)}, those before it {_by(found[0].shape)}"
            faults[at] = Diagnostic("R745", told, label="of another shape", help="bring them to one shape")
        else:
            found.append(image)
            sound.append(at)
    return (Table({"image": Fixed(np.stack(found))}) if found else None), sound, aside.told(faults)


def _by(shape: Sequence[Extent]) -> str:
    return " × ".join(map(str, shape))
