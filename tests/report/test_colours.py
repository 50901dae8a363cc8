"""Contrast of the page's colours, and distances of the series to viewers of any colour vision."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from lightning_mia.report import templates
from lightning_mia.report.figures.style import CSS_VARIABLES, SERIES

STYLE = Path(templates.__file__).with_name("style.css").read_text(encoding="utf-8")

VISIONS = {  # Machado, Oliveira and Fernandes (2009), severity 1, linear RGB
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def colours(scheme: str) -> dict[str, str]:
    """The colours of the light or the dark style sheet."""
    light, dark = STYLE.split("@media screen and (prefers-color-scheme: dark)")
    part = light if scheme == "light" else dark.split("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast of WCAG 2.2."""
    low, high = sorted(float(linear(colour) @ TO_XYZ[1]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colour: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ np.clip(colour, 0, 1) / WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_contrast_is_that_of_wcag():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "wash"])
def test_text_has_contrast_aa(scheme, ground):
    palette = colours(scheme)
    for name in ("ink", "muted", "leak", "no_evidence", "not_assessable"):
        assert contrast(palette[name], palette[ground]) >= 4.5, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_of_figures_have_contrast_aa(scheme):
    palette = colours(scheme)
    for number in range(1, len(SERIES) + 1):
        assert contrast(palette[f"series-{number}"], palette["paper"]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_series_are_told_apart(scheme, vision):
    """A distance of 25 is far above what is seen side by side, about 2."""
    palette = colours(scheme)
    seen = [lab(VISIONS[vision] @ linear(palette[f"series-{number}"])) for number in range(1, len(SERIES) + 1)]
    assert min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2)) > 25


def test_figures_are_drawn_in_the_colours_of_the_light_style_sheet():
    palette = colours("light")
    for colour, variable in CSS_VARIABLES.items():
        name = re.fullmatch(r"var\(--([\w-]+)\)", variable)[1]
        if name != "muted":  # drawn a little lighter than text
            assert palette[name] == colour
