"""Tones of a telephone's keys (ITU-T Q.23) as log-mel spectrograms, and the digits that were dialled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdsl.data.source import Listed
from tfdsl.data.table import Array

RATE, HOP, WINDOW = 8000, 80, 200  # samples a second, between frames, and in a frame
MELS, FRAMES = 80, 64
KEYS = {"1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "4": (770, 1209), "5": (770, 1336), "6": (770, 1477),
        "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "0": (941, 1336)}  # fmt: skip
MANY = 2000


def tones(size: int | None, seed: int) -> Listed:
    """Return spectrograms (`sound`, float32 [80, 64], 10 ms a frame) of one to five keys, and the digits (`target`)."""
    draw = np.random.default_rng(seed)
    bank = _bank()
    rows = [_dialled(draw, bank) for _ in range(MANY if size is None else size)]
    return Listed(("sound", "target"), rows, "tones")


def _dialled(draw: np.random.Generator, bank: Array) -> Mapping[str, Any]:
    count = int(draw.integers(1, 6))
    keys = "".join(str(each) for each in draw.integers(10, size=count))
    wave = draw.normal(0, 0.02, FRAMES * HOP + WINDOW)
    at = int(draw.integers(0, 400))
    for key in keys:
        length, pause = int(draw.integers(480, 720)), int(draw.integers(160, 280))
        times = np.arange(length) / RATE
        loud = draw.uniform(0.2, 0.5)
        wave[at : at + length] += loud * sum(np.sin(2 * np.pi * tone * times) for tone in KEYS[key])
        at += length + pause
    return {"sound": spectrogram(wave, bank), "target": keys}


def spectrogram(wave: Array, bank: Array) -> Array:
    """Return the logarithm (base 10, of at least 1e-6) of the energy in each band, float32 [80, frames]."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP][:FRAMES]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    return np.log10(np.maximum(bank @ power.T, 1e-6)).astype(np.float32)


def _bank() -> Array:
    """Return triangles over the frequencies, evenly spaced in mel (O'Shaughnessy, 1987), [80, frequencies]."""
    places = np.fft.rfftfreq(WINDOW, 1 / RATE)
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    wide = np.maximum(np.diff(edges), RATE / WINDOW)  # no band narrower than the frames can tell
    rise = (places - edges[1:-1, None] + wide[:-1, None]) / wide[:-1, None]
    fall = (edges[1:-1, None] + wide[1:, None] - places) / wide[1:, None]
    return np.maximum(0, np.minimum(rise, fall))
