# SPDX-License-Identifier: EUPL-1.2
"""Initialised servers with TLS, ours and the field's, that the tests of stock clients share."""

import uuid
from collections.abc import Callable, Generator
from pathlib import Path

import hvac
import pytest

from tests.fuzz.process import VaultProcess
from tests.integration.coffre import KINDS, Place, open_server
from tests.started import started_once


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which server: what a test claims of ours it must be seen to claim of the field's as well."""
    return str(request.param)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], Place]]:
    """Gives an initialised, unsealed server of a kind, started when it is first asked for."""
    yield from started_once(open_server, tmp_path_factory)


@pytest.fixture
def place(kind: str, places: Callable[[str], Place]) -> Place:
    """A server that tests share: each keeps to names of its own."""
    return places(kind)


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


@pytest.fixture
def vault(tmp_path: Path) -> Generator[VaultProcess]:
    """A server of ours that logs all it can, with KV version 1 at `plain/`."""
    made = VaultProcess(tmp_path, more='log_level = "trace"\n')
    try:
        made.start()
        made.initialise()
        with made.client() as client:
            client.request("POST", "/v1/sys/mounts/plain", {"type": "kv"})
        yield made
    finally:
        made.stop()
