# SPDX-License-Identifier: EUPL-1.2
"""Logins of workloads that fail: the caller learns nothing, operators why: in a list, in the audit log, in the log."""

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from nhi.biscuit.login.failures import SENTENCES, Reason
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.routes.test_proofs import (
    CA,
    JWT,
    _assertion,
    _claims,
    _form,
    _jwt_registration,
    _login,
    _register,
    _review,
    issuer,
)
from tests.tokens import KEY, OTHER, pem, token
from tests.unit.outbound.authority import Authority
from vault.server.compose.groups.capacities import Capacities

pytestmark = pytest.mark.asked_alone("each lists the failed logins that it saw itself", nodes=True)
__all__ = ["issuer"]
GRANT = {"grant_type": "client_credentials"}


def _seen(issuer: Issuer, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = issuer.root(f"nhi/failures{query}", method="GET")["data"]["failures"]
    return found


def _recorded(issuer: Issuer) -> Any:
    """Why the last login failed, as the audit log has it."""
    records = [json.loads(line) for line in issuer.application.audit.read_bytes().splitlines()]
    logins = [
        one
        for one in records
        if one["request"]["path"] in {"nhi/login", "auth/nhi/login", "nhi/oauth2/token"}
    ]
    return logins[-1]["response"].get("login_failure")


def _why(issuer: Issuer, token: str = "", **body: object) -> str:
    """How a login that fails is explained, everywhere alike. The caller is told what everybody is told."""
    answer = issuer.application.request("POST", "/v1/nhi/login", {"client_id": "r", **body}, token=token)
    told = {"invalid client id or proof", "permission denied", "1 error occurred:\n\t* permission denied\n\n"}
    told.add("the registration has changed, or the proof was used before: log in again")
    assert (answer.status, answer.json()["errors"][0] in told) == (403, True)
    newest = _seen(issuer)[0]
    record = _recorded(issuer)
    assert (record["reason"], record.get("registration", "")) == (newest["reason"], newest["registration"])
    assert newest["message"].startswith(SENTENCES[Reason(newest["reason"])])
    assert (newest["source"], newest["registration"]) == ("127.0.0.1", "r")
    return str(newest["reason"])


def test_a_secret_that_is_refused_is_explained(issuer: Issuer) -> None:
    _register(issuer)
    assert _why(issuer, client_secret="x") == "no-secret"
    made = issuer.root("nhi/registrations/r/secret", {"secret_ttl": "60"})["data"]["client_secret"]
    assert [_why(issuer), _why(issuer, jwt="x"), _why(issuer, client_secret="x")] == [
        "no-proof",
        "other-method",
        "wrong-secret",
    ]
    _register(issuer, cidrs="10.0.0.0/8")
    assert _why(issuer, client_secret=made) == "address"
    _register(issuer, cidrs="")
    assert _login(issuer, client_secret=made) == 200
    assert _recorded(issuer) is None
    issuer.application.clock.sleep(61)
    assert _why(issuer, client_secret=made) == "expired-secret"
    known = f"sha256:{hashlib.sha256(b'old').hexdigest()}"
    issuer.root("nhi/registrations/r/secret", {"secret_hash": known})
    assert _why(issuer, client_secret="old\n") == "line-break"
    assert [_why(issuer, client_secret="x") for _ in range(5)] == ["wrong-secret"] * 4 + ["locked"]
    issuer.application.clock.sleep(1000)
    issuer.root("nhi/workloads/w1/revoke")
    assert _why(issuer, client_secret="old") == "workload-disabled"
    issuer.root("nhi/workloads/w1", {"owner": "a", "ttl": "60"})
    issuer.application.clock.sleep(61)
    assert _why(issuer, client_secret="old") == "workload-ended"
    issuer.root("nhi/workloads/w1", method="DELETE")
    assert _why(issuer, client_secret="old") == "workload-gone"


def test_a_jwt_that_is_refused_is_explained(issuer: Issuer) -> None:
    _jwt_registration(issuer, bound_claims={"environment": "prod"}, one_time=True)
    good = _claims(issuer, environment="prod")
    now = issuer.application.clock.millis() // 1000
    assert [_why(issuer), _why(issuer, jwt="x"), _why(issuer, jwt=token(good, OTHER))] == [
        "no-proof",
        "malformed-token",
        "unknown-key",
    ]
    for changes, reason in (
        ({"sub": "repo:a/c"}, "wrong-subject"),
        ({"iss": "https://other"}, "wrong-issuer"),
        ({"aud": "other"}, "wrong-audience"),
        ({"environment": "dev"}, "wrong-claim"),
        ({"exp": None}, "endless-token"),
        ({"exp": now - 3600}, "expired-token"),
        ({"iat": now - 4000}, "too-old"),
        ({"nbf": now + 4000}, "early-token"),
    ):
        assert (changes, _why(issuer, jwt=token({**good, **changes}))) == (changes, reason)
    assert _login(issuer, jwt=token(good)) == 200
    assert _why(issuer, jwt=token(good)) == "replayed"


def test_certificates_and_approle_logins_that_are_refused_are_explained(issuer: Issuer) -> None:
    _register(issuer, method="cert", certificate=CA.pem, bound_common_names="w")
    assert _why(issuer) == "no-certificate"
    for leaf, reason in (
        (Authority("trusted").issue("w"), "unknown-certificate"),
        (CA.issue("other"), "wrong-certificate-name"),
    ):
        issuer.application.certificate = leaf.der
        assert _why(issuer) == reason
    issuer.application.certificate = None
    issuer.root("auth/approle/role/ci", {})
    _register(issuer, method="approle", approle_mount="approle", approle_role="other")
    assert [_why(issuer), _why(issuer, issuer.logged_in("ci"))] == ["no-approle-login", "wrong-approle-login"]


@pytest.mark.loopback
def test_what_a_cluster_or_an_issuer_of_keys_says_is_explained(issuer: Issuer) -> None:
    for verdict, reason in (
        ({"authenticated": False}, "refused-by-cluster"),
        ({"audiences": ["other"]}, "wrong-audience"),
        ({"user": {"username": "system:serviceaccount:shop:web2"}}, "wrong-subject"),
    ):
        assert issuer.application.run(_review(issuer, verdict))[0] == 403
        assert _seen(issuer)[0]["reason"] == reason
    _register(issuer, method="kubernetes", kubernetes_host="http://127.0.0.1:1")
    assert _why(issuer, jwt=token({"sub": "x"})) == "unreachable"
    _jwt_registration(issuer, pubkeys=[], jwks_url="http://127.0.0.1:1/keys")
    assert _why(issuer, jwt=token(_claims(issuer))) == "unreachable"
    assert _seen(issuer)[0]["message"].endswith(": connection refused")


def test_oauth_clients_that_are_refused_are_explained(issuer: Issuer) -> None:
    _register(issuer, method="private_key_jwt", pubkeys=[pem(KEY)], pop="mtls")

    def why(**body: str) -> str:
        told = _form(issuer, "token", urlencode({**GRANT, **body})).json()
        assert told["error"] in {"invalid_client", "invalid_request"}
        assert _recorded(issuer)["reason"] == _seen(issuer)[0]["reason"]
        return str(_seen(issuer)[0]["reason"])

    assert why(**_assertion(issuer, jti="1", exp=_claims(issuer)["iat"] + 7200)) == "too-long"
    assert why(**_assertion(issuer, jti="2"), client_id="r", client_secret="x") == "two-proofs"
    assert why(**{**_assertion(issuer), "client_assertion_type": "x", "client_id": "r"}) == "other-method"
    assert why(client_assertion_type=_assertion(issuer)["client_assertion_type"], client_assertion="x") == (
        "unknown-registration"
    )
    assert why(**_assertion(issuer, jti="3")) == "no-possession"
    assert why(client_id="r") == "no-proof"
    exchange = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "client_id": "r"}
    assert why(**exchange, subject_token="x", subject_token_type=JWT) == "other-method"


def test_a_good_proof_that_no_token_comes_of_is_explained_with_what_the_caller_is_told(
    issuer: Issuer,
) -> None:
    _register(issuer, pop="mtls")
    secret = issuer.root("nhi/registrations/r/secret")["data"]["client_secret"]
    assert _login(issuer, client_secret=secret) == 400
    newest = _seen(issuer)[0]
    assert (newest["reason"], newest["message"].partition(": ")[2]) == (
        "not-made",
        "the registration wants a proof of possession: mtls",
    )


def test_strangers_fill_neither_the_list_nor_the_log_and_their_names_are_nowhere(issuer: Issuer) -> None:
    _register(issuer)
    issuer.root("nhi/registrations/r/secret")
    assert _why(issuer, client_secret="hunter2") == "wrong-secret"
    for number in range(30):
        issuer.application.client = (f"10.0.0.{number}", 1)
        issuer.application.clock.sleep(0.2)
        path = ("nhi/login", "auth/nhi/login")[number % 2]
        body = {"client_id": f"guess-{number}", "client_secret": "hunter2"}
        assert issuer.application.request("POST", f"/v1/{path}", body).status == 403
    unknown, known = _seen(issuer)
    assert (unknown["registration"], unknown["reason"], unknown["count"]) == ("", "unknown-registration", 30)
    assert unknown["sources"] == [f"10.0.0.{number}" for number in range(29, 21, -1)]
    assert (known["registration"], known["count"], known["time"] <= unknown["time"]) == ("r", 1, True)
    assert _seen(issuer, "?registration=r") == [known]
    lines = [line for line in issuer.application.log.getvalue().splitlines() if "failed to log in" in line]
    assert len(lines) == 1
    for word in (
        "registration=r",
        "method=client_secret",
        "reason=wrong-secret",
        "address=127.0.0.1",
        "count=1",
    ):
        assert word in lines[0]
    issuer.application.clock.sleep(11)
    issuer.application.vault.credentials.failures.settle()
    issuer.application.vault.credentials.failures.settle()
    lines = [line for line in issuer.application.log.getvalue().splitlines() if "failed to log in" in line]
    assert (len(lines), "count=30" in lines[1], "address=10.0.0.29" in lines[1]) == (2, True, True)
    everywhere = (
        issuer.application.log.getvalue() + issuer.application.audit.read_text() + json.dumps(_seen(issuer))
    )
    assert "hunter2" not in everywhere and "guess-" not in everywhere


@pytest.mark.parametrize("capacities", [Capacities(failed_logins=3)], ids=["three"])
def test_what_is_kept_is_bounded_for_each_mount_and_for_all(issuer: Issuer) -> None:
    for name in ("a", "b", "c", "d", "a"):
        issuer.root(f"nhi/registrations/{name}", {"workload": "w1", "policies": "app"})
        issuer.application.request("POST", "/v1/nhi/login", {"client_id": name, "client_secret": "x"})
    assert [one["registration"] for one in _seen(issuer)] == ["a", "d", "c"]
    issuer.root("sys/mounts/nhi2", {"type": "nhi"})
    assert issuer.root("nhi2/failures", method="GET")["data"] == {"failures": []}
    issuer.application.request("POST", "/v1/nhi2/login", {"client_id": "a", "client_secret": "x"})
    assert len(issuer.root("nhi2/failures", method="GET")["data"]["failures"]) == 1
    assert len(_seen(issuer)) == 3


def test_a_seal_forgets_failures() -> None:
    with Application() as application:
        issuer = Issuer(application)
        application.request("POST", "/v1/nhi/login", {"client_id": "a", "client_secret": "x"})
        failures = application.vault.credentials.failures
        assert len(failures._mounts) == 1
        issuer.root("sys/seal", method="PUT")
        assert len(failures._mounts) == 0
