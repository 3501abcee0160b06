# SPDX-License-Identifier: EUPL-1.2
"""Patterns with `*`: what fits them, and that nobody can make that slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.framework.globs import fits, fits_any

FEW = st.text("ab*\n", max_size=8)


@given(FEW, FEW)
def test_a_star_is_any_text_and_nothing_else_is_special(text: str, glob: str) -> None:
    expression = ".*".join(map(re.escape, glob.split("*")))
    assert fits(text, glob) is bool(re.fullmatch(expression, text, re.DOTALL))


@pytest.mark.parametrize("glob", ["a.c", "a?c", "[a]bc", "ABC", "a*bc*bc", ""])
def test_what_is_like_it_does_not_fit(glob: str) -> None:
    assert not fits("abc", glob)
    assert not fits_any("abc", [glob, "b*"])
    assert fits_any("abc", [glob, "a*"])


def test_sl_75_many_stars_and_a_long_text_take_one_pass() -> None:
    assert not fits("a" * 8192, "*a" * 8 + "b*c")
