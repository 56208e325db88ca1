"""The palettes keep families apart under colour-blindness, and text readable: measured, not judged by eye."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tfdsl.diagram.palette import DARK, LIGHT, Paint, Theme

# Machado, Oliveira and Fernandes 2009, severity 1.0, in linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
COLOURED = ("embedding", "attention", "norm", "ffn", "linear", "softmax")


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* (D65) of a linear RGB colour."""
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    ratio = (matrix @ np.clip(rgb, 0, 1)) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def ciede2000(one: np.ndarray, two: np.ndarray) -> float:
    """Return the CIEDE2000 difference (Sharma, Wu and Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    hue_step = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    weights = ((-30, 1, -0.17), (0, 2, 0.24), (6, 3, 0.32), (-63, 4, -0.20))
    t = 1 + sum(factor * np.cos(np.radians(times * mean_h + shift)) for shift, times, factor in weights)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    around_blue = 30 * np.exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(2 * around_blue))
    dl, dc, dh = (l2 - l1) / s_l, (c2 - c1) / s_c, hue_step / s_h
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + r_t * dc * dh))


def contrast(one: str, two: str) -> float:
    """Return the WCAG 2 contrast ratio of two colours."""
    bright, dim = sorted((float([0.2126, 0.7152, 0.0722] @ linear(colour)) for colour in (one, two)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def apart(one: Paint, two: Paint, sight: str) -> float:
    """Return how far two cards are seen apart: fill and stroke as two axes of one distance."""
    matrix = np.array(SIGHT[sight])
    fill, stroke = (
        ciede2000(lab(matrix @ linear(a)), lab(matrix @ linear(b)))
        for a, b in ((one.fill, two.fill), (one.stroke, two.stroke))
    )
    return float(np.hypot(fill, stroke))


def test_the_measure_agrees_with_published_pairs() -> None:
    # Sharma, Wu and Dalal 2005, table 1, pairs 1, 7, 17 and 25.
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, two, difference in pairs:
        assert ciede2000(np.array(one), np.array(two)) == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_families_are_apart_for_every_sight(theme: Theme) -> None:
    worst = min(
        (apart(theme.families[one], theme.families[two], sight), sight, one, two)
        for one, two in combinations(COLOURED, 2)
        for sight in SIGHT
    )
    assert worst[0] >= {"light": 18.1, "dark": 16.3}[theme.name], worst


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_text_is_readable(theme: Theme) -> None:
    fills = [theme.page, theme.frame.fill, *(paint.fill for paint in theme.families.values())]
    assert min(contrast(theme.ink, fill) for fill in fills) >= 9
    assert min(contrast(theme.muted, fill) for fill in fills) >= 4.7
    assert min(contrast(colour, theme.page) for colour in (theme.memory, theme.tie)) >= 4.5
    assert min(contrast(theme.lane, fill) for fill in (theme.page, theme.frame.fill)) >= 3


def test_a_hand_picked_set_would_fail() -> None:
    # Red and green cards of one lightness: the mistake that this measurement is for.
    red, green = Paint("#ff8989", "#b0413e"), Paint("#a9bf5a", "#5f7a1e")
    assert apart(red, green, "full") > 40
    assert apart(red, green, "deutan") < 16
