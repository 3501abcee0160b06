# SPDX-License-Identifier: EUPL-1.2
"""Workloads log in below `auth/`, where stock clients look for logins; what they get is a Biscuit of the mount's namesake."""

import hashlib
import json
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.issuer import DB, Issuer
from tests.unit.outbound.authority import Authority

CA = Authority("trusted")
MINE = CA.issue("mine")


@pytest.fixture
def door(issuer: Issuer) -> Issuer:
    """An issuer with `auth/nhi`, unless the application has it, whose registration has a secret."""
    issuer.application.request("POST", "/v1/sys/auth/nhi", {"type": "nhi"}, token="root")
    return issuer


def login(issuer: Issuer, path: str = "auth/nhi/login", **body: Any) -> Any:
    """Return the answer to a login."""
    return issuer.application.request("POST", f"/v1/{path}", body)


def secret_of(issuer: Issuer, name: str = "r1") -> str:
    """Return a new secret of a registration."""
    made: str = issuer.root(f"nhi/registrations/{name}/secret")["data"]["client_secret"]
    return made


def test_a_login_is_answered_as_any_other_and_gives_a_biscuit(door: Issuer) -> None:
    answer = login(door, client_id="r1", client_secret=secret_of(door), ttl="10m")
    auth = answer.json()["auth"]
    assert (answer.status, auth["token_type"], auth["policies"]) == (200, "biscuit", ["app", "default"])
    assert (auth["lease_duration"], auth["renewable"], auth["metadata"]["workload"]) == (600, True, "w1")
    assert door.status(auth["client_token"], DB) == 200
    assert door.root("nhi/introspect", {"token": auth["client_token"]})["data"]["method"] == "client_secret"
    assert door.root("nhi/report", method="GET")["data"]["registrations"][0]["uses_secret"] is True
    records = [json.loads(line) for line in door.application.audit.read_text().splitlines()]
    assert [one["type"] for one in records if one["request"]["path"] == "auth/nhi/login"] == [
        "request",
        "response",
    ]


def test_the_fields_of_other_methods_are_other_names_of_the_same(door: Issuer) -> None:
    secret = secret_of(door)
    for body in (
        {"role_id": "r1", "secret_id": secret},
        {"role": "r1", "client_secret": secret},
        {"client_id": "r1", "role": "r1", "client_secret": secret},
    ):
        assert login(door, **body).status == 200
    assert login(door, "auth/nhi/login/r1", password=secret).status == 200
    for body in (
        {"client_id": "r1", "role": "r2", "client_secret": secret},
        {"client_id": "r1", "client_secret": secret, "secret_id": "x"},
    ):
        assert login(door, **body).status == 400


def test_a_certificate_logs_in_by_its_name(door: Issuer) -> None:
    fields = {
        "workload": "w1",
        "policies": "app",
        "method": "cert",
        "certificate": MINE.pem,
        "pop": "mtls",
    }
    door.root("nhi/registrations/r3", fields)
    assert login(door, name="r3").status == 403
    door.application.certificate = MINE.der
    held = login(door, name="r3").json()["auth"]["client_token"]
    assert door.status(held, DB) == 200
    door.application.certificate = None
    assert door.status(held, DB) == 403


def test_a_wrong_proof_is_refused_and_locks_an_imported_name_on_both_paths(door: Issuer) -> None:
    secret = secret_of(door)
    for body in (
        {"client_id": "r1"},
        {"client_id": "r1", "client_secret": "x"},
        {"client_secret": secret},
        {},
    ):
        assert login(door, **body).status == 403
    assert login(door, "auth/nhi/login/r1", password="x").status == 403
    assert login(door, "auth/nhi/login/r2", password=secret).status == 403
    hashed = "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"  # of "alice"
    door.root("nhi/registrations/r1/secret", {"secret_hash": hashed})
    for place in range(5):
        assert (
            login(
                door, "auth/nhi/login" if place % 2 else "nhi/login", client_id="r1", client_secret="x"
            ).status
            == 403
        )
    for path in ("auth/nhi/login", "nhi/login"):
        assert login(door, path, client_id="r1", client_secret="alice").status == 403


def test_a_secret_from_a_file_that_ends_with_a_line_break_is_taken_if_it_was_made_here(door: Issuer) -> None:
    secret = secret_of(door)
    for sent, status in (
        (f"{secret}\n", 200),
        (f"{secret}\r\n", 200),
        (f"{secret}\n\n", 403),
        (f" {secret}", 403),
    ):
        for path in ("nhi/login", "auth/nhi/login"):
            assert (sent, login(door, path, client_id="r1", client_secret=sent).status) == (sent, status)
        body = {"grant_type": "client_credentials", "client_id": "r1", "client_secret": sent}
        assert login(door, "nhi/oauth2/token", **body).status == (status if status == 200 else 401)
    own = hashlib.sha256(b"alice\n").hexdigest()  # an imported one may end so itself
    door.root("nhi/registrations/r1/secret", {"secret_hash": f"sha256:{own}"})
    assert login(door, "nhi/login", client_id="r1", client_secret="alice").status == 403
    assert login(door, "nhi/login", client_id="r1", client_secret="alice\n").status == 200


def test_a_registration_that_names_a_policy_that_is_not_there_is_made_with_a_warning(door: Issuer) -> None:
    fields = {"workload": "w1", "policies": "app,default,typo-ro"}
    answer = door.application.request("POST", "/v1/nhi/registrations/r5", fields, token="root")
    assert answer.json()["warnings"] == ['policy "typo-ro" does not exist: its tokens may do nothing by it']
    assert door.root("nhi/registrations/r5", method="GET")["data"]["policies"] == [
        "app",
        "default",
        "typo-ro",
    ]
    door.root("sys/policies/acl/typo-ro", {"policy": 'path "a" {}'})
    assert door.application.request("POST", "/v1/nhi/registrations/r5", fields, token="root").status == 204


def test_each_method_belongs_to_the_mount_of_its_name_and_namespace(door: Issuer) -> None:
    door.root("sys/auth/other", {"type": "nhi"})
    secret = secret_of(door)
    answer = login(door, "auth/other/login", client_id="r1", client_secret=secret)
    assert (answer.status, "other/" in answer.json()["errors"][0]) == (400, True)
    door.root("sys/mounts/other", {"type": "kv"})
    assert login(door, "auth/other/login", client_id="r1", client_secret=secret).status == 400
    door.root("sys/mounts/other", method="DELETE")
    door.root("sys/mounts/other", {"type": "nhi"})
    assert login(door, "auth/other/login", client_id="r1", client_secret=secret).status == 403
    application = door.application
    application.request("POST", "/v1/sys/namespaces/a", {}, token="root")
    inner = Issuer(application, within="a/")
    inner.root("sys/auth/nhi", {"type": "nhi"})
    assert login(door, "a/auth/nhi/login", client_id="r1", client_secret=secret).status == 403
    held = login(door, "a/auth/nhi/login", client_id="r1", client_secret=secret_of(inner)).json()["auth"][
        "client_token"
    ]
    assert inner.root("nhi/introspect", {"token": held})["data"]["active"] is True
    door.root("sys/auth/nhi", method="DELETE")
    assert login(door, client_id="r1", client_secret=secret).status in {403, 404}


def test_a_login_may_be_wrapped() -> None:
    application = Application()
    issuer = Issuer(application)
    issuer.root(DB, {"data": {}})
    body = {"client_id": "r1", "client_secret": secret_of(issuer)}
    answer = application.request("POST", "/v1/auth/nhi/login", body, headers={"x-vault-wrap-ttl": "60"})
    wrapping = answer.json()["wrap_info"]["token"]
    held = application.request("POST", "/v1/sys/wrapping/unwrap", token=wrapping).json()["auth"][
        "client_token"
    ]
    assert issuer.status(held, DB) == 200
    application.close()
