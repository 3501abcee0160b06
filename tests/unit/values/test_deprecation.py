# SPDX-License-Identifier: EUPL-1.2
from datetime import date

import pytest

from vault.values.deprecation import OLD, Deprecation


def test_the_headers_are_those_of_rfc_9745_and_rfc_8594() -> None:
    assert Deprecation(date(2023, 6, 30)).headers == [(b"deprecation", b"@1688083200")]
    assert Deprecation(date(2018, 1, 1), date(2018, 12, 31)).headers == [
        (b"deprecation", b"@1514764800"),
        (b"sunset", b"Mon, 31 Dec 2018 00:00:00 GMT"),
    ]
    assert OLD.sunset is None


def test_nothing_goes_sooner_than_180_days_after_it_was_announced() -> None:
    assert Deprecation(date(2026, 1, 1), date(2026, 6, 30)).sunset == date(2026, 6, 30)
    with pytest.raises(ValueError, match="goes 2026-06-29, less than 180 days after it was announced"):
        Deprecation(date(2026, 1, 1), date(2026, 6, 29))
