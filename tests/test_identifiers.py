"""The names that Python, torch and emitted models have taken."""

from __future__ import annotations

import pytest
from torch import nn

from tfdsl.identifiers import TORCH, attribute


def test_no_public_attribute_of_a_module_is_missing() -> None:
    """A name that a later torch adds fails here: a word more for `identifiers`. Names of a spec are lower case."""
    taken = {name for name in dir(nn.Module()) if name[0].islower() and _of_torch(name)}
    assert taken - TORCH == set()
    assert all(attribute(name) == f"{name}_" for name in taken)


def _of_torch(name: str) -> bool:
    """Return whether torch put it there: another library that the tests import adds a method of its own."""
    return not getattr(getattr(nn.Module, name, None), "__module__", "torch").startswith("transformers")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("train", "train_"), ("lambda", "lambda_"), ("reset", "reset_"), ("norm_1", "norm_1"), ("match", "match")],
)
def test_an_attribute_is_the_name_unless_it_is_taken(name: str, wanted: str) -> None:
    assert attribute(name) == wanted
