# SPDX-License-Identifier: EUPL-1.2
"""How records are named."""

import pytest

from vaultctl.commands.audit.pages import place_of, place_text
from vaultctl.errors import UsageError


@pytest.mark.parametrize(
    "text", ["5f3a9c1e-0-0:48211", " 5f3a9c1e-0-0:48211\n", 'log="5f3a9c1e-0-0", seq=48211']
)
def test_a_record_is_named_as_a_table_or_a_receipt_shows_it(text: str) -> None:
    assert place_of(text) == ("5f3a9c1e-0-0", 48211)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a-0-0", "a-0-0:", "a-0:1", "a/b-0-0:1", "a-0-0:x", "a-0-0:-1", "a-0-0:²", "a-0-0:" + "9" * 30],
)
def test_what_names_no_record_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="LOG:SEQ"):
        place_of(text)


def test_the_name_of_a_record_is_read_back() -> None:
    assert place_of(place_text({"log": "5f3a9c1e-0-0", "seq": 3})) == ("5f3a9c1e-0-0", 3)
