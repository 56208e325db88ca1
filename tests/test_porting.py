"""Checkpoints to runs and back by command and by call: what is made, what is refused, and that nothing is half made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tfdsl
from tests import beside, foreign, imported
from tfdsl import porting, tokens
from tfdsl.cli import main
from tfdsl.run import open_run
from tfdsl.weights import recognise
from tfdsl.weights.config import Config, Refused


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """Return the folder of a small checkpoint of bytes."""
    beside.lay(tmp_path)
    return tmp_path / "llama"


def test_an_imported_run_writes_text_and_trains_on(llama: Path, tmp_path: Path) -> None:
    run = tfdsl.import_checkpoint(llama, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints",
        "foreign.json",
        "model.py",
        "settings.json",
        "spec.yaml",
        "tokenizer.json",
    ]
    text = "".join(tfdsl.sample(run, "The ", length=4, greedy=True))
    settings = ["train.data=" + str(tmp_path / "text.txt"), "train.steps=2", "train.context=8", "train.threads=1"]
    more = tfdsl.train(tmp_path / "run" / "spec.yaml", tmp_path / "more", settings, start=run)
    assert len(text.encode()) <= 4 * 4
    before, after = run.checkpoint.weights(), open_run(tmp_path / "more", best=False)[0]
    assert after is not None
    moved = after.checkpoint.weights()
    assert before.keys() == moved.keys()
    assert 0 < max(float((moved[name] - before[name]).abs().max()) for name in before) < 0.1  # two steps from there
    tfdsl.export_checkpoint(more, tmp_path / "out")
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == beside.SHAPES.keys()


def test_transformers_loads_an_export_and_agrees(tmp_path: Path) -> None:
    settings = {"vocab_size": 97, "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 40}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "model_type": "qwen3", "head_dim": 8}
    imported.theirs(tmp_path / "in", "Qwen3ForCausalLM", {**settings, **heads})
    run = tfdsl.import_checkpoint(tmp_path / "in", tmp_path / "run")
    tfdsl.export_checkpoint(run, tmp_path / "out")
    again = foreign.loaded("Qwen3ForCausalLM", tmp_path / "out")
    given = foreign.tokens(97)
    model = run.model(lambda: tfdsl.build(run.spec)).double()
    wanted = foreign.run(again, {"input_ids": given}).logits
    assert imported.difference(model, (given,), wanted) < 1e-9


def test_a_dtype_is_told_and_written(llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """bfloat16 comes back bit for bit; what the import leaves out is named by the export."""
    own = load_file(llama / "model.safetensors")
    low = {name: (each + torch.rand(each.shape)).bfloat16() for name, each in own.items()}
    save_file({**low, "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}, llama / "model.safetensors")
    assert main(["import", str(llama), "-o", str(tmp_path / "run")]) == 0
    assert "from 13 tensors of bfloat16, kept as float32, each used or ignored" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "plain")]) == 0
    said = capsys.readouterr().out
    assert "wrote 12 tensors of float32 to" in said
    assert "left out, as the import did: `model.layers.0.self_attn.rotary_emb.inv_freq`\n" in said
    assert "the checkpoint that was imported had bfloat16: --dtype bfloat16 writes that" in said
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out"), "--dtype", "bfloat16"]) == 0
    back = load_file(tmp_path / "out" / "model.safetensors")
    assert back.keys() == low.keys()
    assert all(torch.equal(back[name], each) for name, each in low.items())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    with pytest.raises(ValueError, match="float8"):
        tfdsl.export_checkpoint(tmp_path / "run", tmp_path / "no", dtype="float8")


def test_tensors_in_several_files_are_read_as_one(llama: Path, tmp_path: Path) -> None:
    whole = load_file(llama / "model.safetensors")
    (llama / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, inside in parts.items():
        save_file({name: whole[name] for name in inside}, llama / file)
    index = {"weight_map": {name: file for file, inside in parts.items() for name in inside}}
    (llama / "model.safetensors.index.json").write_text(json.dumps(index))
    run = tfdsl.import_checkpoint(llama, tmp_path / "run")
    assert torch.equal(run.checkpoint.weights()["tok.weight"], whole["model.embed_tokens.weight"])


HOSTILE = {
    "config.json": [
        b"",
        b"[1]",
        b'{"model_type": 3}',
        b'{"model_type": "../llama"}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"{}",
    ],
    "model.safetensors": [
        b"",
        b"\x00" * 7,
        b"\xff" * 64,
        (1 << 60).to_bytes(8, "little") + b"{}",
        b"\x02" + b"\0" * 7 + b"{}",
    ],
    "model.safetensors.index.json": [
        b"{",
        b'{"weight_map": []}',
        b'{"weight_map": {"x": "../llama/model.safetensors"}}',
        b'{"weight_map": {"x": "/etc/passwd"}}',
        b'{"weight_map": {"x": "none.safetensors"}}',
        b'{"weight_map": {"x": "other.safetensors"}}',
    ],
}
SETTINGS = [
    {"hidden_size": 10**9},
    {"hidden_size": "8"},
    {"hidden_size": 0},
    {"num_attention_heads": 3},
    {"num_attention_heads": 0},
    {"num_hidden_layers": 10**9},
    {"vocab_size": -1},
    {"hidden_act": ["silu"]},
    {"rms_norm_eps": "tiny"},
    {"rms_norm_eps": float("nan")},
    {"rope_parameters": 3},
    {"rope_parameters": {"rope_type": "new"}},
    {"rope_parameters": {"rope_type": ["linear"]}},
    {"rope_scaling": {"rope_type": "linear"}},
    {"rope_scaling": {"rope_type": "longrope", "short_factor": [1] * 3, "long_factor": ["x"]}},
    {"a setting of tomorrow": 1},
    {"quantization_config": {"bits": 4}},
    {"attention_bias": 1},
]


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_none_are_told_and_leave_nothing(name: str, llama: Path, tmp_path: Path) -> None:
    for content in HOSTILE[name]:
        if name.endswith("index.json"):
            (llama / "model.safetensors").rename(llama / "other.safetensors") if (
                llama / "model.safetensors"
            ).exists() else None
        (llama / name).write_bytes(content)
        brought, found = porting.bring(llama, tmp_path / "run")
        assert brought is None
        assert {each.code for each in found} <= {"R721", "R722", "R723", "R727", "R728", "R729"}, content
        assert found
        assert not list(tmp_path.glob("*run*"))


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: str(each)[:60])
def test_settings_that_cannot_be_are_told(settings: dict[str, object], llama: Path, tmp_path: Path) -> None:
    config = {**beside.CONFIG, **settings}
    (llama / "config.json").write_text(json.dumps(config))
    brought, found = porting.bring(llama, tmp_path / "run")
    assert brought is None
    assert found
    assert {each.code for each in found} <= {"R723", "R725", "R728"}
    assert not list(tmp_path.glob("*run*"))


def test_a_setting_that_no_recipe_asks_for_is_refused_by_its_name() -> None:
    spec, found = recognise({**beside.CONFIG, "softmax_temperature": 2.0}, beside.SHAPES)
    assert spec is None
    assert [each.message for each in found] == ["`softmax_temperature` is `2.0`, which this import does not know"]
    with pytest.raises(Refused, match="`a` is `1`, which is not true or false"):
        Config({"a": 1}).truth("a")


def test_a_tokenizer_in_the_manner_of_sentencepiece_writes_its_text() -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models

    vocab = {"<s>": 0, "<0x0A>": 1, "\u2581the": 2, "re": 3, "<0xE2>": 4}
    tokenizer = Tokenizer(models.BPE(vocab, [], byte_fallback=True, unk_token=None))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken("<s>", special=True)])
    assert tokens.pieces(tokenizer) == [b"", b"\n", b" the", b"re", b"\xe2"]
    assert tokens.unknown(tokenizer, "anything") == []


@pytest.mark.parametrize(
    "words",
    [
        ["import", "nowhere", "-o", "run"],
        ["import", "llama", "-o", "run", "--set", "dims.d_ff=3"],
        ["export", "nowhere", "-o", "out"],
        ["weights", "nowhere.yaml"],
        ["train", "gpt.yaml", "--from", "nowhere", "-o", "run"],
    ],
    ids=" ".join,
)
def test_commands_refuse_and_write_nothing(
    words: list[str], llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) in (1, 2)
    assert capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()


def test_an_entry_that_makes_all_0_is_refused() -> None:
    text = "tfdsl: 1\nname: m\ninputs: {x: {shape: [B, T, 4], dtype: float}}\nmodel: [linear: {from: x, width: 4}]\n"
    text += "weights: {map: {linear.*: {from: theirs.*, scale: 0}}}\n"
    assert [(each.code, each.help) for each in tfdsl.check(text).diagnostics] == [
        ("E405", "`fill: 0` is a weight that is 0 throughout")
    ]
