# SPDX-License-Identifier: EUPL-1.2
"""One development server per program for all sessions, and an empty one for those that ask."""

from collections.abc import Callable, Generator

import pytest

from tests.cli.servers import PROGRAMS, Server, dev_server
from tests.started import started_once


@pytest.fixture(params=sorted(PROGRAMS))
def program(request: pytest.FixtureRequest) -> str:
    """The name of the server program."""
    return str(request.param)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], Server]]:
    """Gives the development server of a program, started when it is first asked for."""
    yield from started_once(dev_server, tmp_path_factory)


@pytest.fixture
def server(program: str, servers: Callable[[str], Server]) -> Server:
    """A development server that sessions share: each keeps to paths of its own."""
    return servers(program)
