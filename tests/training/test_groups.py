"""Which weights move alike: by their kinds, by patterns, as a table; and what a pattern cannot say."""

from pathlib import Path

import pytest
import torch

import tfdsl
from tests.training.gpt import GPT
from tfdsl.settings import Train
from tfdsl.training import groups

SPECS = Path(__file__).parents[2] / "specs"


def parted(spec: str, optimizer: object) -> dict[str, groups.Group]:
    weights = groups.known(tfdsl.check(SPECS / spec))
    return {each.about: each for each in groups.part(weights, Train.read({"optimizer": optimizer}).optimizer)}


def test_matrices_decay_and_norms_biases_embeddings_and_positions_do_not() -> None:
    for spec in ("gpt2", "bert", "t5", "vit", "hybrid", "deepseek_v3"):
        for weight in groups.known(tfdsl.check(SPECS / f"{spec}.yaml")):
            kept = weight.role in ("embeddings", "positions", "norms", "biases")
            assert weight.decays != kept or weight.role == "others", (spec, weight.name)
            assert weight.decays or len(weight.shape) <= 2, (spec, weight.name)


def test_every_weight_is_in_one_group_and_is_one_of_the_modules() -> None:
    checked = tfdsl.check(SPECS / "transformer.yaml")
    with torch.device("meta"):
        model = tfdsl.build(SPECS / "transformer.yaml")
    chosen = Train.read({"optimizer": {"type": "muon", "groups": [{"match": "decoder.*", "lr": 0.5}]}}).optimizer
    names = [name for group in groups.part(groups.known(checked), chosen) for name in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


def test_muon_turns_the_matrices_inside_blocks() -> None:
    found = parted("gpt2.yaml", "muon")
    muon = [each for each in found.values() if each.by == "muon"]
    assert [len(each.names) for each in muon] == [48]
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in muon[0].names} == {"qkv", "out", "up", "down"}
    outside = {name for each in found.values() if each.by == "adamw" for name in each.names}
    assert {"tok.weight", "position.weight"} <= outside


def test_groups_change_what_they_name_and_the_last_word_goes_first() -> None:
    optimizer = {
        "lr": 0.01,
        "groups": [{"match": "layers.*", "lr": 0.1}, {"match": "*.qkv.*", "lr": 0.5, "weight_decay": 0.3}],
    }
    chosen = Train.read({"optimizer": optimizer}).optimizer
    found = {each.about: each for each in groups.part(groups.of_model(GPT(11)), chosen)}
    both = found["`layers.*` `*.qkv.*` matrices"]
    assert (both.names, both.lr, both.decay) == (("layers.0.qkv.weight",), pytest.approx(0.0005), 0.3)
    assert {(each.lr, each.decay) for each in found.values()} == {
        (0.01, 0.0),
        (0.001, 0.1),
        (0.001, 0.0),
        (both.lr, 0.3),
    }


def test_a_tied_weight_answers_to_each_of_its_names() -> None:
    chosen = Train.read({"optimizer": {"groups": [{"match": "head.*", "freeze": True}]}}).optimizer
    found = {each.about: each for each in groups.part(groups.of_model(GPT(11)), chosen)}
    assert (found["`head.*` embeddings"].names, found["`head.*` embeddings"].by) == (("tok.weight",), "frozen")


def test_the_table_says_it_all() -> None:
    optimizer = {"type": "muon", "lr": 0.02, "rest": {"lr": 0.001}, "groups": [{"match": "pos.*", "freeze": True}]}
    found = groups.part(groups.of_model(GPT(11)), Train.read({"optimizer": optimizer}).optimizer)
    assert groups.table(found) == (
        "weights             tensors  numbers  moved by     lr  decay\n"
        "embeddings, norms         4      224  adamw     0.001      0\n"
        "`pos.*` embeddings        1      256  frozen        –      –\n"
        "matrices                  4    3,072  muon       0.02    0.1"
    )


def test_a_pattern_that_matches_nothing_is_said() -> None:
    optimizer = {"groups": [{"match": "tok.*", "lr": 3}, {"match": "encoder.*", "lr": 2}]}
    found = groups.against(groups.of_model(GPT(11)), Train.read({"optimizer": optimizer}).optimizer)
    assert [(path, each.code, each.message) for path, each in found] == [
        ("train.optimizer.groups.1.match", "R771", "no weight is called `encoder.*`")
    ]


def test_nothing_left_to_train_is_said() -> None:
    chosen = Train.read({"optimizer": {"groups": [{"match": "*", "freeze": True}]}}).optimizer
    assert [each.code for _, each in groups.against(groups.of_model(GPT(11)), chosen)] == ["R772"]


def test_a_pattern_that_matches_nothing_is_told_what_is_near() -> None:
    names = ["encoder.tok.weight", "encoder.encoder_layers.0.norm_1.weight"]
    names += [
        f"{side}.{side}_layers.{layer}.attention.qkv.weight" for side in ("encoder", "decoder") for layer in (0, 1)
    ]
    near = groups.nearest
    assert near("encoder.layers.0.attention.*", names)[0] == "encoder.encoder_layers.0.attention.qkv.weight"
    assert near("decoder.layers.1.attention.*", names)[0] == "decoder.decoder_layers.1.attention.qkv.weight"
    assert near("*.norm.*", names)[0] == "encoder.encoder_layers.0.norm_1.weight"
    assert near("zzz", names) == []
