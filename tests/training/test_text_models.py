"""Every text model in `specs/` takes two steps of its objective, cut down, and none of its losses is out of range."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import tfdsl
from tests.training import texts
from tfdsl import roles, settings
from tfdsl.training import objectives
from tfdsl.training.subject import of
from tfdsl.training.task import Place

WORDS = np.random.default_rng(0).integers(65, 91, 4000).tolist()
PAIRS = [WORDS[at : at + 3 + at % 7] for at in range(0, 200, 10)]
MODELS = {
    "seq2seq": ("transformer", "transformer_big", "t5", "t5_v1_1", "switch_base_8", "bart"),
    "span_corruption": ("t5", "t5_v1_1", "switch_base_8", "bart", "transformer"),
    "masked_token": ("bert", "bert_large", "albert", "roberta", "distilbert", "bigbird", "longformer", "linformer"),
    "replaced_token": ("electra",),
    "next_token": (
        "gpt1",
        "gpt2",
        "gpt3",
        "nanogpt_char",
        "stdlib",
        "bloom",
        "opt_6_7b",
        "llama2_7b",
        "mamba2",
        "performer",
    ),
}


@pytest.mark.parametrize(("objective", "name"), [(o, name) for o, names in MODELS.items() for name in names])
def test_a_text_model_learns(objective: str, name: str) -> None:
    checked = tfdsl.check(f"specs/{name}.yaml", texts.reduced(name))
    assert checked.ok, checked.diagnostics
    signature = roles.of(checked)
    context = min(signature.limits.values(), default=64)
    train = settings.Train.read({"objective": objective, "context": min(context, 64)})
    task, problems = objectives.bind(train, signature)
    assert task is not None, problems
    columns = {"source": PAIRS, "target": PAIRS[::-1]} if objective == "seq2seq" else {"text": [WORDS]}
    pad = next((each.pad for each in signature.texts()), None)
    data = texts.prepared(task.wanted.marks, task.wanted.extras, pad=pad, **columns)
    assert task.against(data) == []
    task.open(data)
    torch.manual_seed(0)
    model = of(checked).build().train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        batch = task.batch(data.train, [Place(0, index) for index in range(3)])
        loss = task.loss(model, batch) / batch.count
        loss.backward()
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert losses[0] < (1 if objective == "replaced_token" else 9)
