"""Train from data that were prepared before: check them against what is wanted now, and point to them."""

from __future__ import annotations

from pathlib import Path

from tfdsl import settings
from tfdsl.data import manifest
from tfdsl.data.asked import Asked
from tfdsl.data.fit import Problems
from tfdsl.data.learn import against
from tfdsl.data.table import Prepared
from tfdsl.data.wanted import Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.parts import one_of


def adopt(asked: Asked, folder: Path) -> tuple[Prepared | None, Problems]:
    """Return the data in the folder that the settings name, `folder` pointing to it; or say why they do not fit."""
    data, source = asked.data, Path(asked.data.source)
    try:
        found = manifest.opened(source)
        content = manifest.read(source)
        if "at" in content:  # of a run that was trained from prepared data
            content = manifest.read(Path(content["at"]))
    except manifest.Damaged as damage:
        return None, [("train.data.source", damage.diagnostic)]
    problems = _settings(data, asked.tokenizer, content["tokenizer"]) or _columns(
        asked.wanted, found, content, data.source
    )
    if not problems and found.tokenizer is not None:
        if asked.own is not None and asked.own.to_str() != found.tokenizer.to_str():
            problems.append(("train.data.source", _other_tokenizer(data.source)))
        else:
            problems = against(asked, found.tokenizer)
    if problems:
        return None, problems
    manifest.point(folder, source, found.digest)
    return found, []


def _settings(data: settings.Data, tokenizer: settings.Tokenizer, made: dict[str, object]) -> Problems:
    """Refuse settings that were settled when the data were prepared."""
    problems = _set(data)
    if tokenizer.model_fields_set and tokenizer.model_dump() != made:
        message = f"`{data.source}` was prepared with the tokenizer `{made['file'] or made['type']}`"
        help_ = "leave `train.tokenizer` out, or prepare the data again"
        problems.append(("train.tokenizer", Diagnostic("R749", message, label="another one", help=help_)))
    return problems


def _set(data: settings.Data) -> Problems:
    fields = [name for name in type(data).model_fields if name != "source"]
    default = settings.Data(source=data.source)
    message = "`{}` was settled when `{}` was prepared"
    return [
        (f"train.data.{name}", Diagnostic("R755", message.format(name, data.source), label="cannot be changed now"))
        for name in fields
        if getattr(data, name) != getattr(default, name)
    ]


def _columns(wanted: Wanted, found: Prepared, content: dict[str, object], source: str) -> Problems:
    """Say what of the fields that are wanted the data do not have."""
    kinds = {name: told["kind"] for name, told in content["train"].items()}  # type: ignore[index, union-attr]
    for way in wanted.ways:
        if all(field.optional or kinds.get(field.name) == field.kind for field in way):
            if wanted.whole == content["whole"]:
                return []
            how = "one long text, with the end of each document marked" if content["whole"] else "examples, each apart"
            message = f"`{source}` was prepared as {how}, which is not what the objective reads"
            break
    else:
        has = one_of([f"{name}" for name in kinds]).replace(" or ", " and ")
        message = f"`{source}` was prepared with {has}, which is not what the objective reads"
    help_ = "prepare the data again with the spec: `tfdsl prepare SPEC -o FOLDER`"
    return [("train.data.source", Diagnostic("R749", message, label="prepared for something else", help=help_))]


def _other_tokenizer(source: str) -> Diagnostic:
    message = f"`{source}` was prepared with another tokenizer than the one that the weights were trained with"
    return Diagnostic("R749", message, label="another one", help="prepare the data again with the spec and `--from`")
