"""tfdsl new: every template trains at once, on data that every machine has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tfdsl import settings
from tfdsl.cli import main
from tfdsl.cli.new import TEMPLATES, names
from tfdsl.data.built_in import SETS
from tfdsl.training.log import read

OWN = {"stdlib": "text", "docstrings": "pairs.jsonl"}  # in place of what takes ten seconds to read
BRIEF = ("steps=2", "batch=4", "threads=1", "evaluate.final=false", "evaluate.every=1", "evaluate.batches=1")


@pytest.mark.parametrize("template", names())
def test_a_template_trains_on_what_is_built_in(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").mkdir()
    for name in ("abc.py", "ast.py"):
        (tmp_path / "text" / name).write_text((Path(re.__file__).parent.parent / name).read_text())
    pairs = [{"query": f"the number {number}", "positive": f"{number} is meant"} for number in range(80)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    assert main(["new", template]) == 0
    text = (tmp_path / f"{template}.yaml").read_text()
    source = re.search(r"^  data: (\w+)", text, re.MULTILINE)
    assert source is not None and source[1] in SETS
    size = "" if source[1] in {*OWN, "digits"} else ", size: 400"
    chosen = [f"train.data={{source: {OWN.get(source[1], source[1])}{size}}}"]
    words = [word for each in (*chosen, *(f"train.{brief}" for brief in BRIEF)) for word in ("--set", each)]
    assert main(["train", f"{template}.yaml", "-o", "run", *words]) == 0
    assert read(tmp_path / "run" / "log.jsonl")[-1]["end"] == "steps"


def test_there_is_a_template_for_each_objective() -> None:
    told = {
        found[1] if (found := re.search(r"objective: \{?(?:type: )?(\w+)", path.read_text())) else "next_token"
        for path in TEMPLATES.glob("*.yaml")
    }
    assert told == set(settings.Objective.types) - {"preference"}  # which begins with another run
