# SPDX-License-Identifier: EUPL-1.2
"""What several of the tests of routes begin with."""

from collections.abc import Generator, Iterator

import pytest

from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, Issuer


@pytest.fixture
def application() -> Iterator[Application]:
    """An application in memory, furnished and open."""
    with Application() as application:
        yield application


@pytest.fixture
def issuer() -> Generator[Issuer]:
    """An issuer of Biscuits, and two secrets that they may be about."""
    application = Application()
    made = Issuer(application)
    for path in (DB, OTHER):
        made.root(path, {"data": {"a": "1"}})
    yield made
    application.close()
