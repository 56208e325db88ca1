"""Rows of many lengths: specs that go on from a text take them, and give each row what it gives alone."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import tfdsl
from tests.six import SPECS, spread
from tests.test_costing import tiny
from tfdsl import declared, roles
from tfdsl.checking import Checked
from tfdsl.ragged import ragged

SIZES = ("gpt2_medium", "gpt2_large", "gpt2_xl", "gpt3")  # GPT-2 in other sizes
WIDE = {"gpt_j_6b": {"d_model": 128, "n_heads": 2}}  # 64 features of a head turn
LENGTHS = (15, 4, 9)
WRITTEN = """
tfdsl: 1
name: m
inputs: {words: {shape: [N, T], vocab: 50}}
outputs: {logits: [N, T, 50]}
model:
  - embed: {id: documents, from: words, width: 16}
  - residual: [norm, attention: {heads: 2, mask: causal}]
  - unembed: {id: logits, width: 50}
"""


@cache
def written() -> tuple[str, ...]:
    """Return the names of the specs that go on from a text."""
    names = (path.stem for path in sorted(SPECS.glob("*.yaml")) if path.stem not in SIZES)
    return tuple(name for name in names if roles.of(tfdsl.check(SPECS / f"{name}.yaml")).goes_on)


def padded(lengths: tuple[int, ...], vocab: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of random tokens, the shorter ones at the right end, and the numbers that tell them from padding."""
    whole = max(lengths)
    tokens = torch.randint(1, vocab, (len(lengths), whole), generator=torch.Generator().manual_seed(1))
    first = torch.tensor([whole - length for length in lengths])
    return tokens, (torch.arange(whole) >= first[:, None]).long()


@torch.no_grad()
@pytest.mark.parametrize("name", written())
def test_every_row_gives_what_it_gives_alone(name: str) -> None:
    checked = tiny(name, **WIDE.get(name, {}))
    with_documents = ragged(checked)
    assert with_documents is not None
    assert declared.weights(with_documents) == declared.weights(checked)
    plain, model = (spread(tfdsl.build(each)).double().eval() for each in (checked, with_documents))
    model.load_state_dict(plain.state_dict())
    tokens, documents = padded(LENGTHS, 300)
    alone = [plain(tokens[row : row + 1, -length:]) for row, length in enumerate(LENGTHS)]
    sizes = [3, 5, 1, 4]  # prompts, chunk by chunk, then positions without numbers
    kept = model.new_cache(15)
    pieces = list(zip(tokens.split([*sizes, 2], 1), documents.split([*sizes, 2], 1), strict=True))
    found = [model(part, told, cache=kept) for part, told in pieces[:-1]]
    found += [model(part, cache=kept) for part in tokens[:, 13:].split(1, dim=1)]
    for together in (model(tokens, documents), torch.cat(found, dim=1)):
        for row, wanted in enumerate(alone):
            torch.testing.assert_close(together[row : row + 1, -LENGTHS[row] :], wanted, rtol=1e-10, atol=1e-10)


def test_the_input_has_a_name_of_its_own_and_the_words_have_their_shape() -> None:
    checked = ragged(tfdsl.check(WRITTEN))
    assert checked is not None and checked.spec is not None
    assert list(checked.inputs) == ["words", "documents_2"]
    assert "documents_2: {shape: [N, T], parts: [words]}" in checked.spec.to_yaml()
    assert ragged(checked) is checked


def test_what_reads_no_text_or_several_is_not_ragged() -> None:
    def refused(checked: Checked) -> bool:
        return ragged(checked) is None

    assert refused(tiny("vit"))
    assert refused(tiny("transformer"))
