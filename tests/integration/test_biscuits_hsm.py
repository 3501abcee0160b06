# SPDX-License-Identifier: EUPL-1.2
"""Biscuits whose issuer and approver keys never leave a SoftHSM token: every way in which they are used."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest
from biscuit_auth import Biscuit, PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import ECKey

from nhi.holder.approvals import approved, asked
from tests.hsm.tokens import SoftHsm
from tests.integration.softhsm import CONFIGS, HSM, hsm_server, token
from tests.integration.test_server_vault import Client
from tests.tokens import KEY, pem
from tests.tokens import token as jwt

__all__ = ["token"]


pytestmark = pytest.mark.loopback
CUBBY = {"paths": ["cubbyhole/a"]}


@pytest.fixture
def client(tmp_path: Path, token: SoftHsm) -> Iterator[Client]:
    """A server whose `nhi` mount has its keys in a token, and three registrations."""
    with hsm_server(tmp_path, token, more="") as (_, client):
        own = {"method": "private_key_jwt", "pubkeys": [pem(KEY)]}
        for path, body in (
            ("sys/mounts/nhi", {"type": "nhi"}),
            (f"{CONFIGS}/c", HSM),
            (f"{CONFIGS}/c/keys/k", {"label": "p256"}),
            (f"{CONFIGS}/c/keys/k/grants/nhi", {}),
            ("nhi/keys", {"external": "c:k"}),
            ("nhi/approvers/lead", {"external": "c:k"}),
            ("nhi/workloads/w", {"owner": "somebody", "ttl": "24h"}),
            ("nhi/registrations/r", {"workload": "w", "policies": "default"}),
            ("nhi/registrations/s", {"workload": "w", "policies": "default", "approvers": "lead"}),
            ("nhi/registrations/j", {"workload": "w", "policies": "default", **own}),
        ):
            _good(client, "POST", path, body)
        yield client


def _good(client: Client, method: str, path: str, body: object = None) -> Any:
    status, answer = client.ask(method, path, body)
    assert status in {200, 204}, (path, answer)
    return answer


def _key(client: Client) -> tuple[str, str]:
    [key] = _good(client, "GET", "nhi/public-keys")["data"]["keys"]
    return key["algorithm"], key["key_bytes"]


def test_a_login_and_a_renewal_are_signed_in_the_token(client: Client) -> None:
    secret = _good(client, "POST", "nhi/registrations/r/secret", {})["data"]["client_secret"]
    client.token = ""
    made = _good(client, "POST", "nhi/login", {"client_id": "r", "client_secret": secret})
    client.token = held = made["auth"]["client_token"]
    renewed = _good(client, "POST", "auth/token/renew-self", {})["auth"]["client_token"]
    assert renewed != held
    for one in (held, renewed):
        assert Biscuit.from_base64(one, PublicKey("/".join(_key(client)))).block_count() == 1


def test_a_proof_that_counts_once_counts_once_although_the_call_begins_again(client: Client) -> None:
    client.token = ""
    metadata = client.ask("GET", "nhi/.well-known/oauth-authorization-server")[1]
    now = int(time())
    said = {
        "iss": "j",
        "sub": "j",
        "iat": now,
        "exp": now + 300,
        "jti": "1",
        "aud": metadata["token_endpoint"],
    }
    assertion = {"client_id": "j", "client_assertion": jwt(said)}
    assert [client.ask("POST", "nhi/login", assertion)[0] for _ in range(3)] == [200, 403, 403]


def test_an_approver_and_a_list_of_revocations_sign_in_the_token(client: Client) -> None:
    waiting = _good(client, "POST", "nhi/issue/s", {})["auth"]["client_token"]
    asking = {"request": asked(waiting), "change": "CHG-1"}
    good = approved(waiting, _good(client, "POST", "nhi/approve/lead", asking)["data"]["block"])
    signed = _good(client, "GET", "nhi/revocations")["data"]["list"]
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(_key(client)[1]))
    found = jws.deserialize_compact(signed, ECKey.import_key(point), algorithms=["ES256"])
    assert json.loads(found.payload)["complete"] is True
    for held, words in ((waiting, ["deny"]), (good, ["create", "delete", "list", "read", "update"])):
        client.token = held
        assert _good(client, "POST", "sys/capabilities-self", CUBBY)["data"]["cubbyhole/a"] == words
