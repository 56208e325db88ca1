"""How fast a run goes, what it needs, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.training.runs import chosen, subject
from tfdsl import costing, public, settings
from tfdsl.roles import of
from tfdsl.training import needs, peak, resume, room, train
from tfdsl.training import subject as subjects
from tfdsl.training.log import read
from tfdsl.training.meter import Meter, lengths
from tfdsl.training.needs import Need
from tfdsl.training.task import Batch

SPEC = """\
tfdsl: 1
name: small
inputs: {tokens: {shape: [B, T], vocab: 257}}
outputs: {logits: [B, T, 257]}
model:
  - embed: {id: tok, from: tokens, width: 16}
  - residual: [norm, attention: {heads: 2, mask: causal}]
  - unembed: {id: logits, tie: tok}
train: {tokenizer: bytes, steps: 6, batch: 2, context: 16, threads: 1, precision: float32, checkpoint: {every: 3}}
"""


def batch(rows: int, length: int, tokens: int | None = None) -> Batch:
    tokens_BT = torch.zeros(rows, length, dtype=torch.int64)
    return Batch({"tokens": tokens_BT}, {}, rows * length, tokens_BT.numel() if tokens is None else tokens)


def test_flops_are_those_of_the_cost_at_the_lengths_of_each_batch() -> None:
    checked = public.sound(SPEC)
    signature = of(checked)
    assert lengths(signature, batch(3, 8)) == {"B": 3, "T": 8}
    meter = Meter(signature, lambda axes: costing.count(checked, axes), peak=1e9)
    use = meter.stepped([batch(3, 8), batch(2, 16)], 0.5, 0.1)
    known = [costing.count(checked, {"B": rows, "T": length}).training for rows, length in ((3, 8), (2, 16))]
    assert (meter.tokens, meter.flops) == (56, sum(known))
    assert (use.tokens, use.share, use.waiting) == (112, pytest.approx(sum(known) / 0.5 / 1e9), 0.2)
    meter.stepped([batch(2, 8, tokens=32)], 1.0)  # a task that runs the model on two texts of this shape
    assert meter.flops - sum(known) == 2 * costing.count(checked, {"B": 2, "T": 8}).training


def test_a_meter_goes_on_and_counts_its_own_time_alone() -> None:
    meter = Meter(of(public.sound(SPEC)), None, None, processes=2)
    meter.restore({"tokens": 1000, "flops": 7})
    use = meter.stepped([batch(1, 10)], 2.0)
    assert (meter.state(), use.tokens, use.share) == ({"tokens": 1020, "flops": 7}, 10.0, None)


def test_the_peak_is_measured_once() -> None:
    assert peak.peak("float32") == peak.peak("float32") > 1e8
    assert peak.memory() > 50 << 20


def test_what_a_step_needs_grows_as_the_batch_does() -> None:
    checked = public.sound(SPEC)
    small, large = (
        needs.need(lambda axes: costing.count(checked, axes), of(checked), batch(rows, 16), checked.train)
        for rows in (1, 4)
    )
    assert large.activations == 4 * small.activations
    assert large.loss == 4 * small.loss == 3 * 4 * 4 * 16 * 257
    assert (large.weights, large.optimizer) == (4 * costing.count(checked).parameters, 2 * large.weights)


def test_the_batch_that_would_fit_is_told() -> None:
    need = Need(
        weights=10 << 20, gradients=10 << 20, optimizer=20 << 20, activations=60 << 20, working=0, loss=0, fixed=0
    )
    train_ = settings.Train(batch=12, accumulate=2)
    assert needs.warn(need, 200 << 20, train_, None) == needs.warn(need, None, train_, None) == []
    (tight,) = needs.warn(need, 75 << 20, train_, None)
    assert tight.message == "a step needs about 100.0 MiB of memory, and the machine has 75.0 MiB free"
    assert tight.help == "the same steps in smaller passes: `train.batch` 6 with `train.accumulate` 4"
    (hopeless,) = needs.warn(need, 30 << 20, train_, None)
    assert hopeless.help.startswith("even one example a pass does not fit")


def test_the_system_says_what_is_free() -> None:
    told = room.free()
    assert told is None or 1 << 20 < told < 1 << 50


def test_a_run_says_how_it_ended_and_what_it_took(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 60)
    checked = public.sound(SPEC, [f"train.data={tmp_path / 'text.txt'}"])
    outcome, problems = train(subjects.of(checked), checked.train, tmp_path / "run")
    assert problems == [] and outcome is not None
    entries = read(tmp_path / "run" / "log.jsonl")
    steps = [entry for entry in entries if "loss" in entry]
    assert [entry["tokens"] for entry in steps] == [32 * step for step in range(1, 7)]
    assert all(0 < entry["share_of_peak"] < 1 for entry in steps)
    end = entries[-1]
    assert (end["end"], end["tokens"]) == ("steps", 192)
    assert end["flops"] == 6 * costing.count(checked, {"B": 2, "T": 16}).training
    assert end["peak_memory"] > 50 << 20
    (tmp_path / "run" / "checkpoints" / "step-00000006" / "manifest.json").write_text("")
    resume(subjects.of(checked), tmp_path / "run")
    assert read(tmp_path / "run" / "log.jsonl")[-1]["flops"] == end["flops"]


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    outcome, problems = train(subject(), chosen(tmp_path, steps=8, report="tensorboard"), tmp_path / "run")
    assert problems == [] and outcome is not None
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    entries = read(tmp_path / "run" / "log.jsonl")
    logged = [(entry["step"], pytest.approx(entry["loss"], rel=1e-6)) for entry in entries if "loss" in entry]
    assert [(event.step, event.value) for event in events.Scalars("loss/train")] == logged
    assert {"loss/held out", "lr", "gradient norm", "held out/bits a byte", "tokens"} <= set(events.Tags()["scalars"])


def test_weights_and_biases_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offline run is read back by the package itself, record by record."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    outcome, problems = train(subject(), chosen(tmp_path, steps=4, report=["wandb"]), tmp_path / "run")
    assert problems == [] and outcome is not None
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    (path,) = (tmp_path / "run").glob("wandb/offline-run-*/*.wandb")
    store, told = DataStore(), dict[int, float]()
    store.open_for_scan(str(path))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = {".".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        if "loss/train" in items:
            told[int(record.history.step.num)] = json.loads(items["loss/train"])
    store.close()
    entries = read(tmp_path / "run" / "log.jsonl")
    assert told == {entry["step"]: entry["loss"] for entry in entries if "loss" in entry}
