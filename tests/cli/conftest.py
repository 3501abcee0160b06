# SPDX-License-Identifier: EUPL-1.2
"""One development server per program for all sessions, and an empty one for those that ask."""

from collections.abc import Generator

import pytest
from pytest_socket import enable_socket

from tests.cli.servers import PROGRAMS, Server, dev_server


@pytest.fixture(scope="session", params=sorted(PROGRAMS))
def program(request: pytest.FixtureRequest) -> str:
    """The name of the server program."""
    return str(request.param)


@pytest.fixture(scope="session")
def server(program: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A development server that sessions share: each keeps to paths of its own."""
    enable_socket()
    with dev_server(program, tmp_path_factory.mktemp(program)) as running:
        yield running
