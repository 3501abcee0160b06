# SPDX-License-Identifier: EUPL-1.2
"""Biscuits whose issuer and approver keys never leave a SoftHSM token: every way in which they are used."""

import json
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
from tests.integration.test_external_keys import CONFIGS, HSM, _server, token
from tests.tokens import KEY, pem
from tests.tokens import token as jwt

__all__ = ["token"]


@pytest.mark.loopback
def test_keys_in_a_token_issue_renew_approve_and_sign_lists(tmp_path: Path, token: SoftHsm) -> None:
    with _server(tmp_path, token) as (_, client):

        def root(path: str, body: object, method: str = "POST") -> Any:
            status, answer = client.ask(method, path, body)
            assert status in {200, 204}, (path, answer)
            return answer

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
            (
                "nhi/registrations/j",
                {"workload": "w", "policies": "default", "method": "private_key_jwt", "pubkeys": [pem(KEY)]},
            ),
        ):
            root(path, body)
        keys = root("nhi/public-keys", None, "GET")["data"]["keys"]
        public = PublicKey(f"{keys[0]['algorithm']}/{keys[0]['key_bytes']}")
        secret = root("nhi/registrations/r/secret", {})["data"]["client_secret"]
        operator = client.token
        client.token = ""
        status, made = client.ask("POST", "nhi/login", {"client_id": "r", "client_secret": secret})
        assert status == 200, made
        held = made["auth"]["client_token"]
        assert Biscuit.from_base64(held, public).block_count() == 1
        now = int(time())
        names = {"iss": "j", "sub": "j", "iat": now, "exp": now + 300, "jti": "1"}
        names["aud"] = client.ask("GET", "nhi/.well-known/oauth-authorization-server")[1]["token_endpoint"]
        assertion = {"client_id": "j", "client_assertion": jwt(names)}
        answers = [client.ask("POST", "nhi/login", assertion)[0] for _ in range(2)]
        assert answers == [200, 403]
        client.token = held
        renewed = client.ask("POST", "auth/token/renew-self", {})[1]["auth"]["client_token"]
        assert renewed != held
        client.token = operator
        waiting = root("nhi/issue/s", {})["auth"]["client_token"]
        block = root("nhi/approve/lead", {"request": asked(waiting), "change": "CHG-1"})["data"]["block"]
        client.token = approved(waiting, block)
        assert client.ask("GET", "auth/token/lookup-self")[0] == 200
        assert client.ask("POST", "sys/capabilities-self", {"paths": ["cubbyhole/a"]})[1]["data"] != {
            "cubbyhole/a": ["deny"]
        }
        client.token = waiting
        assert client.ask("POST", "sys/capabilities-self", {"paths": ["cubbyhole/a"]})[1]["data"][
            "cubbyhole/a"
        ] == ["deny"]
        client.token = operator
        signed = root("nhi/revocations", None, "GET")["data"]["list"]
        point = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), bytes.fromhex(keys[0]["key_bytes"])
        )
        found = jws.deserialize_compact(signed, ECKey.import_key(point), algorithms=["ES256"])
        assert json.loads(found.payload)["complete"] is True
