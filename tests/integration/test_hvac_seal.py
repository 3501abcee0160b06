# SPDX-License-Identifier: EUPL-1.2
"""hvac takes a server from nothing to open, seals it and opens it again, over TLS."""

from collections.abc import Generator
from pathlib import Path

import hvac
import pytest
from hvac import exceptions
from requests.exceptions import SSLError

from tests.integration.coffre import Place, empty_server


@pytest.fixture
def empty(kind: str, tmp_path: Path) -> Generator[Place]:
    """A server that nobody has initialised."""
    with empty_server(kind, tmp_path) as running:
        yield running


@pytest.fixture
def client(empty: Place) -> Generator[hvac.Client]:
    """A client without a token."""
    made = empty.client()
    yield made
    made.adapter.close()


def test_one_share_from_nothing_to_open_and_back(client: hvac.Client) -> None:
    assert client.sys.is_initialized() is False
    assert client.sys.read_init_status() == {"initialized": False}
    assert client.sys.read_health_status(method="HEAD").status_code == 501
    made = client.sys.initialize(secret_shares=1, secret_threshold=1)
    assert set(made) == {"keys", "keys_base64", "root_token"}
    assert client.sys.is_initialized() is True
    assert client.sys.is_sealed() is True
    client.token = made["root_token"]
    with pytest.raises(exceptions.VaultDown):
        client.secrets.kv.v1.read_secret("x")
    assert client.sys.submit_unseal_key(made["keys_base64"][0])["sealed"] is False
    assert client.is_authenticated()
    assert client.sys.seal().status_code == 204
    assert client.sys.read_seal_status()["sealed"] is True
    with pytest.raises(exceptions.VaultDown):
        client.is_authenticated()
    assert client.sys.submit_unseal_key(made["keys"][0])["sealed"] is False
    assert client.is_authenticated()


def test_three_of_five_shares_open_it(client: hvac.Client) -> None:
    made = client.sys.initialize(secret_shares=5, secret_threshold=3)
    assert len(made["keys"]) == len(made["keys_base64"]) == 5
    for key, progress in ((made["keys"][4], 1), (made["keys_base64"][0], 2)):
        status = client.sys.submit_unseal_key(key)
        assert (status["sealed"], status["progress"], status["t"], status["n"]) == (True, progress, 3, 5)
    assert client.sys.submit_unseal_key(reset=True)["progress"] == 0
    assert client.sys.submit_unseal_keys(made["keys"][1:4])["sealed"] is False
    status = client.sys.read_seal_status()
    assert (status["type"], status["initialized"], status["progress"]) == ("shamir", True, 0)
    assert status["cluster_id"]


def test_wrong_keys_and_a_second_init_are_refused(client: hvac.Client) -> None:
    with pytest.raises(exceptions.InvalidRequest):
        client.sys.initialize(secret_shares=2, secret_threshold=3)
    made = client.sys.initialize(secret_shares=3, secret_threshold=2)
    with pytest.raises(exceptions.InvalidRequest) as second:
        client.sys.initialize(secret_shares=1, secret_threshold=1)
    assert second.value.errors == ["Vault is already initialized"]
    with pytest.raises(exceptions.InvalidRequest):
        client.sys.submit_unseal_key("zz")
    client.sys.submit_unseal_key(made["keys"][0])
    wrong = made["keys"][1][:-2] + ("00" if made["keys"][1][-2:] != "00" else "01")
    with pytest.raises(exceptions.InvalidRequest):
        client.sys.submit_unseal_key(wrong)
    assert client.sys.read_seal_status()["progress"] in (0, 2)
    client.sys.submit_unseal_key(reset=True)
    assert client.sys.submit_unseal_keys(made["keys"][:2])["sealed"] is False


def test_health_speaks_in_the_codes_asked_for(client: hvac.Client) -> None:
    health = client.sys.read_health_status
    assert health(method="GET").status_code == 501
    assert health(method="GET", uninit_code=299).status_code == 299
    made = client.sys.initialize(secret_shares=1, secret_threshold=1)
    assert health(method="GET").status_code == 503
    assert health(method="GET", sealed_code=222).status_code == 222
    client.sys.submit_unseal_key(made["keys"][0])
    assert health(method="HEAD").status_code == 200
    assert health(method="GET", active_code=201).status_code == 201
    shown = health(method="GET")
    assert (shown["initialized"], shown["sealed"], shown["standby"]) == (True, False, False)
    assert shown["version"]


def test_a_client_that_trusts_others_does_not_connect(empty: Place, tmp_path: Path) -> None:
    stranger = hvac.Client(url=empty.address)
    with pytest.raises(SSLError):
        stranger.sys.is_initialized()
    stranger.adapter.close()
