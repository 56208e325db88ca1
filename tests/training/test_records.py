"""Every published spec that reads no text alone takes two steps at a small size, on data that is built in."""

from pathlib import Path

import pytest

import tfdsl
from tfdsl.training import subject, train

SPECS = Path(__file__).parent.parent.parent / "specs"
SMALL = ["image=8", "patch=4", "classes=10", "n_layers=1", "d_model=16", "n_heads=2", "d_ff=32"]
CLIP = [
    *("image=16", "patch=8", "vocab_size=259", "context=48", "d_text=16", "n_text_layers=1", "n_text_heads=2"),
    *("d_image=16", "n_image_layers=1", "n_image_heads=2", "d_common=8"),
]
WHISPER = ["vocab_size=300", "context=16", "frames=64", "d_model=16", "n_layers=1", "n_heads=2", "d_ff=32"]
RUN = ("steps=2", "batch=4", "threads=1", "precision=float32", "evaluate.final=true", "data.size=60")
IMAGES = ["objective=classify", "data=digits"]


@pytest.mark.parametrize(
    "name, dims, train_",
    [
        *((name, SMALL, IMAGES) for name in ("vit", "vit_l16", "deit")),
        ("clip_vit_b32", CLIP, ["objective=contrastive", "data=captions", "context=48"]),
        ("whisper_base", WHISPER, ["data=tones", "context=16", "evaluate.generate=2"]),
    ],
)
def test_two_steps(name: str, dims: list[str], train_: list[str], tmp_path: Path) -> None:
    overrides = [*(f"dims.{each}" for each in dims), *(f"train.{each}" for each in (*RUN, *train_))]
    checked = tfdsl.check(SPECS / f"{name}.yaml", overrides)
    assert checked.ok, checked.diagnostics
    outcome, problems = train(subject.of(checked), checked.train, tmp_path / "run")
    assert outcome is not None and outcome.held_out is not None, problems
    assert outcome.step == 2
