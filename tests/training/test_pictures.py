"""Images: brought to mean 0 and deviation 1, and changed each by itself, by its place alone."""

import numpy as np
import pytest
import torch

from tfdsl.data.table import Fixed, Prepared, Table
from tfdsl.settings.objective import Classify
from tfdsl.training.pictures import Pictures, level, misfit, moved
from tfdsl.training.task import HELD_OUT, Place

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (300, 1, 6, 5), np.uint8)
TABLE = Table({"image": Fixed(IMAGES)})


def reader(channels: int = 1, **change: object) -> Pictures:
    found = Pictures("pixels", ("B", channels, 6, 5), 3, Classify.model_validate(change))
    found.open(Prepared(TABLE, TABLE))
    return found


def test_the_level_is_the_training_sets() -> None:
    colour = Table({"image": Fixed(RANDOM.integers(0, 256, (50, 3, 4, 4), np.uint8))})
    mean, deviation = level(colour)
    values = np.asarray(colour.columns["image"].values, np.float64)
    assert mean == pytest.approx(values.mean((0, 2, 3)))
    assert deviation == pytest.approx(values.std((0, 2, 3)))


def test_an_even_channel_stays_finite() -> None:
    assert level(Table({"image": Fixed(np.full((4, 1, 2, 2), 7, np.uint8))})) == ((7.0,), (1.0,))


def test_held_out_images_are_normalised_and_nothing_else() -> None:
    made = reader(shift=2, flip=True, noise=0.5)
    found = made.inputs(TABLE, [Place(HELD_OUT, index) for index in range(300)])["pixels"]
    assert found.dtype == torch.float32
    assert found.mean().item() == pytest.approx(0, abs=1e-5)
    assert found.std().item() == pytest.approx(1, abs=1e-3)
    assert np.allclose(found[7].numpy() * made.deviation[0] + made.mean[0], IMAGES[7], atol=1e-3)
    assert made.about() == {"image": {"mean": list(made.mean), "deviation": list(made.deviation)}}


def test_a_grey_image_fills_every_channel() -> None:
    found = reader(3).inputs(TABLE, [Place(0, 1)])["pixels"]
    assert found.shape == (1, 3, 6, 5)
    assert torch.equal(found[0, 0], found[0, 2])


def test_changes_are_each_images_own_and_of_its_place_alone() -> None:
    made = reader(shift=2, flip=True, noise=0.1)
    places = [Place(epoch, index) for epoch in (0, 1) for index in range(20)]
    together = made.inputs(TABLE, places)["pixels"]
    alone = torch.cat([made.inputs(TABLE, [each])["pixels"] for each in places])
    assert torch.equal(together, alone)
    assert not torch.equal(together[:20], together[20:])


def test_shifts_cover_all_ways_and_lose_only_what_leaves() -> None:
    made = reader(shift=1)
    plain = reader().inputs(TABLE, [Place(0, 0)])["pixels"][0]
    seen = set()
    for epoch in range(80):
        found = made.inputs(TABLE, [Place(epoch, 0)])["pixels"][0]
        for down, right in ((d, r) for d in (-1, 0, 1) for r in (-1, 0, 1)):
            if torch.equal(found[:, 1:5, 1:4], plain[:, 1 - down : 5 - down, 1 - right : 4 - right]):
                seen.add((down, right))
    assert len(seen) == 9


def test_moved() -> None:
    image = np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3)
    assert moved(image, 1, -1).tolist() == [[[0, 0, 0], [2, 3, 0]]]
    assert moved(image, 0, 3).tolist() == [[[0, 0, 0], [0, 0, 0]]]


def test_flips_are_about_half() -> None:
    made, plain = reader(flip=True), reader()
    places = [Place(0, index) for index in range(300)]
    same = (made.inputs(TABLE, places)["pixels"] == plain.inputs(TABLE, places)["pixels"]).flatten(1).all(1)
    assert 110 < same.sum() < 190


def test_misfits() -> None:
    assert misfit(TABLE, ("B", 3, 6, 5)) == ("", "")
    assert misfit(TABLE, ("B", 1, 6, 6))[0] == "the images are 1 × 6 × 5, the model takes 1 × 6 × 6"
    colour = Table({"image": Fixed(np.zeros((1, 3, 6, 5), np.uint8))})
    assert "train.data.image.channels" in misfit(colour, ("B", 1, 6, 5))[1]
