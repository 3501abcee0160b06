# SPDX-License-Identifier: EUPL-1.2
"""One development server per program for all sessions, and an empty one for those that ask."""

from collections.abc import Callable, Generator

import pytest
from pytest_socket import enable_socket

from tests.cli.fork_server import ForkServer, fork_server
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


@pytest.fixture(scope="session")
def vaultctl() -> Generator[ForkServer]:
    """Runs `vaultctl` without starting the interpreter for each command line."""
    enable_socket()
    with fork_server() as running:
        yield running


@pytest.fixture
def server(program: str, servers: Callable[[str], Server]) -> Server:
    """A development server that sessions share: each keeps to paths of its own."""
    return servers(program)
