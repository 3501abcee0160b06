# SPDX-License-Identifier: EUPL-1.2
"""Policy names: one form, decided before it is judged (SL-06, SL-11)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import TEXTS
from tests.unit.policy.test_costs import seconds
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


PIECES = st.sampled_from(
    ["a", "A", " ", "\u0301", "\u0323", "\u1112\u1161\u11ab", "\ufdfa", "\u0130", "\u00a8", "K"]
)
LONG = st.lists(PIECES, max_size=400).map("".join)


@given(LONG)
def test_the_form_of_a_name_is_that_of_its_whole_text(name: str) -> None:
    composed = unicodedata.normalize("NFKC", name)
    whole = unicodedata.normalize("NFKC", composed.strip().lower())
    assert normalise(name) == whole or len(composed) > MAX_NAME
    assert (valid_name(name) or whole) == whole


@pytest.mark.parametrize("letter", ["e\u0323\u0302", "\u1112\u1161\u11ab"])
def test_a_name_counts_in_its_one_form_however_it_is_spelled(letter: str) -> None:
    assert valid_name(letter * MAX_NAME) == unicodedata.normalize("NFC", letter) * MAX_NAME
    assert valid_name(letter * (MAX_NAME + 1)) is None


COSTLY = [
    "composed letters",
    "ligatures",
    "combining letters",
    "letters that grow",
    "capitals",
    "spaces around",
]


@pytest.mark.parametrize("pattern", COSTLY)
def test_sl_70_a_text_too_long_for_a_name_is_hardly_looked_at(pattern: str) -> None:
    text = TEXTS[pattern](1 << 20)
    assert seconds(lambda: normalise(text)) < 0.02
    assert seconds(lambda: valid_name(text)) < 0.02
    assert valid_name(text) is None


def test_sl_70_a_mebibyte_of_names_costs_what_as_many_as_long_as_may_be_do() -> None:
    names = [str(number) + "\ufdfa" * 380 for number in range(900)]
    assert seconds(lambda: [normalise(name) for name in names]) < 0.3
