"""Images as a model takes them: normalised as the training images are, and changed a little, each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl.data.table import Array, Fixed, Prepared, Table
from tfdsl.data.wanted import Field
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Extent
from tfdsl.settings.objective import Classify
from tfdsl.training.reader import Reader
from tfdsl.training.task import HELD_OUT, Place

LOOKED_AT = 10_000  # images, evenly spread, that the mean and the deviation are taken from
DRAW = 2  # sets these draws apart from others of the same seed
Plane = tuple[float, ...]  # a number a channel


class Pictures(Reader):
    """Reads uint8 images [C, H, W] as floats [B, C, H, W] of mean 0 and deviation 1, a grey one for every channel.

    While training, each is moved by up to `shift` pixels (black comes in), mirrored half of the time where `flip`
    says so, and given `noise`: all a function of the seed and the place.
    """

    fields = (Field("image", "image"),)

    def __init__(self, name: str, shape: tuple[Extent, ...], seed: int, change: Classify | None = None) -> None:
        self.name, self.shape, self.seed = name, shape, seed
        self.change = change or Classify()
        self.changes = bool(self.change.shift or self.change.flip or self.change.noise)
        self.mean: Plane = (0.0,)
        self.deviation: Plane = (1.0,)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        message, help_ = misfit(data.train, self.shape)
        said = Diagnostic("R805", message, label="not of that shape", help=help_)
        return [(f"inputs.{self.name}", said)] if message else []

    def open(self, data: Prepared) -> None:
        self.mean, self.deviation = level(data.train)

    def about(self) -> Mapping[str, Any]:
        return {"image": {"mean": list(self.mean), "deviation": list(self.deviation)}}

    def inputs(self, table: Table, places: Sequence[Place]) -> Mapping[str, Tensor]:
        images = column(table)
        found = [self._one(images[each.index], each) for each in places]
        shape = (0, *images.values.shape[1:])
        return {self.name: torch.from_numpy(np.stack(found) if found else np.empty(shape, np.float32))}

    def _one(self, image: Array, place: Place) -> NDArray[np.float32]:
        changed = self.changes and place.epoch != HELD_OUT
        draw = np.random.default_rng([self.seed, place.epoch, place.index, DRAW]) if changed else None
        if draw is not None:
            image = self._changed(image, draw)
        mean, deviation = (np.array(each, np.float32)[:, None, None] for each in (self.mean, self.deviation))
        found = (image.astype(np.float32) - mean) / deviation
        if isinstance(self.shape[1], int) and len(found) != self.shape[1]:
            found = np.repeat(found, self.shape[1], 0)
        if draw is not None and self.change.noise:
            found = found + np.float32(self.change.noise) * draw.standard_normal(found.shape, np.float32)
        return found

    def _changed(self, image: Array, draw: np.random.Generator) -> Array:
        if self.change.shift:
            image = moved(image, *draw.integers(-self.change.shift, self.change.shift + 1, 2))
        return image[..., ::-1] if self.change.flip and draw.random() < 0.5 else image


def column(table: Table) -> Fixed:
    """Return the column of images."""
    found = table.columns["image"]
    assert isinstance(found, Fixed), "images are of one shape"
    return found


def level(table: Table) -> tuple[Plane, Plane]:
    """Return the mean and the standard deviation of each channel, in brightness from 0 to 255."""
    images = column(table).values
    some = min(len(images), LOOKED_AT)
    chosen = np.arange(some) * len(images) // some
    total, squares, count = np.zeros(images.shape[1]), np.zeros(images.shape[1]), 0
    for start in range(0, some, 256):
        part = images[chosen[start : start + 256]].astype(np.float64)
        total += part.sum((0, 2, 3))
        squares += (part**2).sum((0, 2, 3))
        count += part.size // part.shape[1]
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    deviation[deviation < 1e-3] = 1.0  # a channel of one brightness tells nothing
    return tuple(mean.tolist()), tuple(deviation.tolist())


def moved(image: Array, down: int, right: int) -> Array:
    """Return an image [C, H, W] moved by some pixels; what comes in is black."""
    height, width = image.shape[1:]
    found = np.zeros_like(image)
    if abs(down) < height and abs(right) < width:
        found[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
            :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
        ]
    return found


def misfit(table: Table, shape: Sequence[Extent]) -> tuple[str, str]:
    """Return why the images of a table do not fit an input [B, C, H, W] and what to do, or two empty texts."""
    channels, height, width = column(table).values.shape[1:]
    said = f"the images are {channels} × {height} × {width}, the model takes {' × '.join(map(str, shape[1:]))}"
    if any(isinstance(want, int) and want != got for want, got in zip(shape[2:], (height, width), strict=True)):
        help_ = "let `train.data.image.size` bring them to that, or set the model's size to theirs"
        return said, help_ if shape[2] == shape[3] else "set the model's height and width to theirs"
    if shape[1] != channels and channels != 1:
        return said, f"let `train.data.image.channels` make {shape[1]} of them, or set the model's channels to theirs"
    return "", ""
