# SPDX-License-Identifier: EUPL-1.2
"""Initialised servers with TLS, ours and the field's, that the tests of stock clients share."""

import uuid
from collections.abc import Generator

import hvac
import pytest
from pytest_socket import enable_socket

from tests.integration.coffre import KINDS, Place, open_server


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which server: what a test claims of ours it must be seen to claim of the field's as well."""
    return str(request.param)


@pytest.fixture(scope="session")
def place(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """An initialised, unsealed server that tests share: each keeps to names of its own."""
    enable_socket()
    with open_server(kind, tmp_path_factory.mktemp(kind)) as running:
        yield running


@pytest.fixture
def root(place: Place) -> Generator[hvac.Client]:
    """A client with the root token."""
    client = place.client()
    yield client
    client.adapter.close()


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"t{uuid.uuid4().hex[:12]}"
