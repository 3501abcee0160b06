# SPDX-License-Identifier: EUPL-1.2
"""Policy names: one form, decided before it is judged (SL-06, SL-11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.policy.names import MAX_NAME, normalise, valid_name


@pytest.mark.parametrize(
    "name", ["root", "ROOT", " root", "root\n", "\uff52\uff4f\uff4f\uff54", "Root\u3000"]
)
def test_every_spelling_of_root_is_root(name: str) -> None:
    assert valid_name(name) == "root"


@pytest.mark.parametrize("name", ["a", "team/a", "a-b_c.d", "with space", "é", "a:b@c"])
def test_ordinary_names_are_themselves(name: str) -> None:
    assert valid_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "../x",
        "root/x",
        "ROOT/x",
        "..%2fx",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        ".",
        "a\\b",
        "root\u200b",
        "a\x00b",
        "a\tb",
        "a\u2028b",
        "x" * (MAX_NAME + 1),
    ],
)
def test_names_that_could_be_taken_for_something_else_are_refused(name: str) -> None:
    assert valid_name(name) is None


@given(st.text())
def test_a_valid_name_is_its_own_normal_form(name: str) -> None:
    valid = valid_name(name)
    assert valid is None or valid == valid_name(valid) == normalise(valid)
