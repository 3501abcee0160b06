# SPDX-License-Identifier: EUPL-1.2
"""The pair of servers that the whole session shares."""

from collections.abc import Iterator

import pytest

from tests.conformance.play import Pair

SUBJECT = "coffre"
"""Which server is judged against OpenBao: ``coffre``, or ``openbao`` to judge the suite itself."""


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Reference and subject, started on first use."""
    servers = Pair(SUBJECT)
    yield servers
    servers.stop()
