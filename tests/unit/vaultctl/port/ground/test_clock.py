# SPDX-License-Identifier: EUPL-1.2
"""What a server's answer says of its clock."""

from datetime import UTC, datetime

import pytest

from vaultctl.port.ground.clock import ahead

_NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Mon, 30 Nov 2026 12:00:00 GMT", 0),
        ("Mon, 30 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 30 Nov 2026 10:00:00 GMT", -7200),
        ("", 0),
        ("soon", 0),
        ("Mon, 99 Nov 2026 12:00:00 GMT", 0),
    ],
)
def test_how_far_ahead_a_clock_is(date: str, seconds: float) -> None:
    assert ahead(date, _NOW) == seconds
