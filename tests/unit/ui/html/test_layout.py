# SPDX-License-Identifier: EUPL-1.2
"""Colours that can be read, in light and in dark (WCAG 2.2, success criterion 1.4.3)."""

import re
from itertools import product

import pytest

from nhi.picture.svg import STYLE
from vault.ui.html.layout import style

_SHEET = bytes(style().body).decode().removesuffix(STYLE)
_TEXTS = ("ink", "dim", "link", "good", "bad", "alarm")
_GROUNDS = ("paper", "soft", "glow", "doom")
_IN_TREES = ("ink", "dim", "bad", "alarm")
_BOXES = ("box", "glow", "doom")


def _colours(text: str, *, dark: bool) -> dict[str, str]:
    """The variables of a style sheet, in light or with those of dark upon them."""
    light, _, rest = text.partition("@media(prefers-color-scheme:dark)")
    if not rest:
        light, _, rest = text.partition("@media (prefers-color-scheme: dark)")
    found = re.findall(r"--([\w-]+):\s*#([0-9a-f]{3,6})\b", light + (rest if dark else ""))
    return {name: value if len(value) == 6 else "".join(one * 2 for one in value) for name, value in found}


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_guidelines_do() -> None:
    assert _contrast("000000", "ffffff") == pytest.approx(21)
    assert _contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("sheet", "texts", "grounds"),
    [(_SHEET, _TEXTS, _GROUNDS), (STYLE, _IN_TREES, _BOXES)],
    ids=["page", "tree"],
)
def test_every_text_stands_out_from_what_it_is_on(
    sheet: str, texts: tuple[str, ...], grounds: tuple[str, ...], dark: bool
) -> None:
    colours = _colours(sheet, dark=dark)
    faint = {
        (text, ground): round(_contrast(colours[text], colours[ground]), 2)
        for text, ground in product(texts, grounds)
        if _contrast(colours[text], colours[ground]) < 4.5
    }
    assert faint == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_head_and_the_buttons_stand_out(dark: bool) -> None:
    colours = _colours(_SHEET, dark=dark)
    for text, ground in (("on-bar", "bar"), ("paper", "link"), ("paper", "bad")):
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
