"""docs/weights.md: each spec on the page takes the tensors below it, all of them, and gives them back as they were."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tfdsl
from tfdsl.weights import families
from tfdsl.weights.write import write

PAGE = Path(__file__).parents[1] / "docs/weights.md"
EXAMPLE = re.compile(r"^```yaml\n(?P<spec>.*?)^```\n```tensors\n(?P<tensors>.*?)^```$", re.MULTILINE | re.DOTALL)
RANGE = re.compile(r"(\d+)-(\d+)")
IGNORED = "inv_freq"


def tensors(text: str) -> dict[str, Tensor]:
    """Return random tensors of the names and shapes that lines say; `0-2` in a name stands for each number."""
    found: dict[str, Tensor] = {}
    for line in text.splitlines():
        name, *shape = line.split()
        apart = RANGE.split(name)
        counts = [range(int(a), int(b) + 1) for a, b in zip(apart[1::3], apart[2::3], strict=True)]
        for numbers in product(*counts):
            between = [str(number) for number in numbers] + [""]
            full = "".join(part + number for part, number in zip(apart[::3], between, strict=True))
            found[full] = torch.randn([int(size) for size in shape])
    return found


@pytest.mark.parametrize(
    "example", list(EXAMPLE.finditer(PAGE.read_text())), ids=lambda each: each["spec"].splitlines()[1]
)
def test_an_example_takes_its_tensors_and_gives_them_back(example: re.Match[str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = tensors(example["tensors"])
    save_file(given, tmp_path / "model.safetensors")
    checked = tfdsl.check(example["spec"])
    assert checked.diagnostics == ()
    assert checked.spec is not None
    model = tfdsl.load_weights(checked, tmp_path)
    shapes = {name: tuple(each.shape) for name, each in given.items()}
    back, problems = write(dict(model.state_dict()), checked.planned, checked.spec.weights, shapes)
    assert problems == []
    assert back.keys() == {name for name in given if IGNORED not in name}
    assert [name for name, each in back.items() if not torch.equal(each, given[name])] == []


def test_each_whole_spec_has_its_tensors() -> None:
    text = PAGE.read_text()
    assert text.count("```yaml\n") == text.count("```tensors\n") == len(list(EXAMPLE.finditer(text)))


def test_the_page_names_every_family() -> None:
    line = next(each for each in PAGE.read_text().splitlines() if each.startswith("The families that"))
    assert re.findall(r"`([a-z0-9_]+)`", line.partition(": ")[2]) == list(families.known())


def test_layouts_are_what_their_words_say(tmp_path: Path) -> None:
    """Group by group: queries of head h come from group h // 2, place h % 2; keys and values are the last two."""
    example = next(each for each in EXAMPLE.finditer(PAGE.read_text()) if "name: groups" in each["spec"])
    given = tensors(example["tensors"])
    save_file(given, tmp_path / "model.safetensors")
    model = tfdsl.load_weights(example["spec"], tmp_path)
    found = dict(model.state_dict())["layers.0.attention.qkv.weight"].view(8, 8, 32)
    group = given["h.0.wqkv.weight"].view(2, 4, 8, 32)
    wanted = (
        [group[head // 2, head % 2] for head in range(4)]
        + [group[g, 2] for g in range(2)]
        + [group[g, 3] for g in range(2)]
    )
    assert torch.equal(found, torch.stack(wanted))
    assert load_file(tmp_path / "model.safetensors").keys() == given.keys()


HALVES = """
tfdsl: 1
name: halves
inputs: {{x: {{shape: [B, 8], dtype: float}}}}
outputs: {{a: [B, 4], b: [B, 4]}}
model:
  - linear: {{id: a, from: x, width: 4}}
  - linear: {{id: b, from: x, width: 4}}
weights:
  map:
    a.weight: {{from: both.weight, rows: [0, 4]}}
    b.weight: {{from: both.weight, rows: [{0}, {1}]}}
"""


@pytest.mark.parametrize(("rows", "size", "code"), [((2, 6), 8, "R724"), ((4, 8), 10, "R727"), ((6, 10), 8, "R725")])
def test_parts_of_a_tensor_are_all_taken_and_each_once(
    rows: tuple[int, int], size: int, code: str, tmp_path: Path
) -> None:
    save_file({"both.weight": torch.randn(size, 8)}, tmp_path / "model.safetensors")
    with pytest.raises(tfdsl.RunError) as told:
        tfdsl.load_weights(HALVES.format(*rows), tmp_path)
    assert [each.code for each in told.value.diagnostics] == [code]
