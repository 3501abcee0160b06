# SPDX-License-Identifier: EUPL-1.2
"""Batches as they are read: at once where all is as it should be, else one item after the other, alike in both ways."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.engines.transit.batch import (
    NO_CIPHERTEXT,
    NO_PLAINTEXT,
    Item,
    _read_strict,
    read_ciphertexts,
    read_plaintexts,
)
from vault.framework.errors import Malformed
from vault.framework.fields import Json

_VALUES: st.SearchStrategy[Json] = (
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.just([]) | st.just({})
)
_NUMBERS = st.integers(-3, 3) | st.sampled_from(
    [sign * (2**63 + more) for sign in (1, -1) for more in (-1, 0, 1)]
)
_NAMES = ("plaintext", "ciphertext", "context", "associated_data", "key_version", "reference", "text")
_ITEMS = st.fixed_dictionaries({}, optional=dict.fromkeys(_NAMES, _VALUES | _NUMBERS))
_FIT = st.fixed_dictionaries(
    {"plaintext": st.text(), "ciphertext": st.text()},
    optional={
        "context": st.text(),
        "associated_data": st.text(),
        "key_version": _NUMBERS,
        "reference": st.text(),
        "of_no_meaning": _VALUES,
    },
)


def _said(read: Callable[..., Sequence[Item]], *given: Json) -> object:
    try:
        return [
            (item.text, item.context, item.associated_data, item.key_version, item.reference)
            for item in read(*given)
        ]
    except Malformed as error:
        return error.message


@given(st.lists(_ITEMS | _FIT | _VALUES) | _VALUES)
def test_a_batch_is_the_same_however_it_is_read(batch: Json) -> None:
    assert _said(read_plaintexts, batch) == _said(_read_strict, batch, "plaintext", NO_PLAINTEXT)
    assert _said(read_ciphertexts, batch) == _said(_read_strict, batch, "ciphertext", NO_CIPHERTEXT)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_a_version_may_be_any_number_of_64_bits_and_no_other(number: int) -> None:
    def batch(version: int) -> list[Json]:
        return [{"plaintext": "", "key_version": version}]

    assert read_plaintexts(batch(number))[0].key_version == number
    with pytest.raises(Malformed, match="value out of range"):
        read_plaintexts(batch(number + (1 if number > 0 else -1)))


def test_items_show_nothing_of_themselves() -> None:
    for items in (
        read_plaintexts([{"plaintext": "c2VjcmV0"}]),
        read_ciphertexts([{"ciphertext": "c2VjcmV0"}]),
    ):
        assert "c2VjcmV0" not in repr(items)
