# SPDX-License-Identifier: EUPL-1.2
"""Two servers with one storage: what one changes, the other obeys in the very next request, whoever sends it."""

from collections.abc import Generator
from typing import Any

import pytest

from nhi.auth.jwt.config import ConfigEngine
from tests.routes.driver import Application
from tests.routes.issuer import DB, READS, Issuer
from tests.routes.test_biscuits_external import FakeDevice
from tests.shared import Shared
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.framework.call import Call
from vault.framework.errors import Malformed

LOGIN = "/v1/auth/userpass/login/x"


@pytest.fixture
def both(shared: Shared) -> Generator[tuple[Application, Application]]:
    """The one that changes things, and the one that knows nothing of it."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        assert _login(one).status == _login(other).status == 200
        yield one, other


def _login(application: Application) -> Any:
    return application.request("POST", LOGIN, {"password": "x"})


def test_a_login_obeys_a_mount_that_another_process_has_just_tuned(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    assert _login(other).json()["auth"]["lease_duration"] > 60
    tuned = {"default_lease_ttl": "60s", "max_lease_ttl": "60s"}
    assert one.request("POST", "/v1/sys/auth/userpass/tune", tuned, token="root").status < 300
    assert _login(other).json()["auth"]["lease_duration"] == 60


def test_what_anybody_may_read_is_what_another_process_has_just_made_it(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    one.request("POST", "/v1/nhi/keys", {}, token="root")
    assert other.request("GET", "/v1/nhi/public-keys").json()["data"]["keys"]
    assert one.request("DELETE", "/v1/sys/mounts/nhi", token="root").status == 204
    gone = other.request("GET", "/v1/nhi/public-keys")
    assert (gone.status, gone.body) == (one.request("GET", "/v1/nhi/public-keys").status, gone.body)
    assert gone.status >= 400


def _revoke(one: Application, other: Application, policy: str) -> str:
    """Return a token that the other process knows to be good, and that is revoked by now."""
    token = one.token(policy)
    assert other.request("GET", "/v1/auth/token/lookup-self", token=token).status == 403
    assert one.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root").status == 204
    return token


def test_what_rests_on_no_data_is_told_as_another_process_has_just_made_it(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    shown = "/v1/sys/internal/ui/mounts"
    assert other.request("GET", shown).json()["data"]["secret"] == {}
    seen = {"listing_visibility": "unauth"}
    assert one.request("POST", "/v1/sys/mounts/secret/tune", seen, token="root").status < 300
    assert list(other.request("GET", shown).json()["data"]["secret"]) == ["secret/"]


def test_a_list_of_revocations_is_gone_with_its_mount(both: tuple[Application, Application]) -> None:
    one, other = both
    Issuer(one)
    assert other.request("GET", "/v1/nhi/revocations").status == 200
    assert one.request("DELETE", "/v1/sys/mounts/nhi", token="root").status == 204
    assert other.request("GET", "/v1/nhi/revocations").status >= 400


@pytest.mark.parametrize("body", [{"policy": "none"}, {"policy": "", "ttl": {}}, b"{"])
def test_whom_another_process_has_revoked_is_told_nothing_of_what_was_wrong(
    both: tuple[Application, Application], body: object
) -> None:
    one, other = both
    token = _revoke(one, other, 'path "sys/policies/acl/*" { capabilities = ["update"] }')
    assert other.request("POST", "/v1/sys/policies/acl/y", body, token=token).status == 403
    assert other.request("POST", "/v1/sys/policies/acl/y", body, token="root").status == 400


def test_nobody_else_is_asked_for_whom_another_process_has_revoked(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def ask(engine: ConfigEngine, call: Call, params: object) -> object:
        asked.append(call.path)
        raise Malformed("nobody is there")

    monkeypatch.setattr(ConfigEngine, "ask", ask)
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        token = _revoke(one, other, 'path "auth/jwt/config" { capabilities = ["update"] }')
        body = {"oidc_discovery_url": "https://127.0.0.1:1"}
        assert other.request("POST", "/v1/auth/jwt/config", body, token=token).status == 403
        assert asked == []
        assert other.request("POST", "/v1/auth/jwt/config", body, token="root").status == 400
        assert asked == ["auth/jwt/config"]


@pytest.mark.parametrize("path", ["nhi/issue/r1", "nhi/approve/sec"])
def test_no_device_works_for_whom_another_process_has_revoked(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    device = FakeDevice()
    monkeypatch.setattr(ExternalKeyEngine, "find", device.find)
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        made = Issuer(one)
        made.root("nhi/keys", {"external": "c:k"})
        made.root("nhi/approvers/sec", {"external": "c:k"})
        token = _revoke(one, other, f'path "{path}" {{ capabilities = ["update"] }}')
        before = device.asked
        body = {"change": "x", "ttl": 60, "request": "AAAA"}
        assert other.request("POST", f"/v1/{path}", body, token=token).status == 403
        assert device.asked == before
        assert other.request("POST", f"/v1/{path}", body, token="root").status in {200, 400}
        assert device.asked == before + 1


def test_nobody_is_kept_waiting_by_a_limit_that_another_process_has_lifted(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    quota = "/v1/sys/quotas/rate-limit/q"
    rule = {"rate": 1, "interval": "1h", "path": "secret/", "block_interval": "1h"}
    assert one.request("POST", quota, rule, token="root").status == 204
    asked = [other.request("GET", "/v1/secret/data/x", token="root").status for _ in range(3)]
    assert asked[0] == 200 and asked[-1] == 429
    assert one.request("DELETE", quota, token="root").status == 204
    assert other.request("GET", "/v1/secret/data/x", token="root").status == 200


@pytest.mark.parametrize(
    "end",
    [
        ("nhi/workloads/w1/revoke", {}),
        ("nhi/keys/KID", {"state": "destroyed"}),
        ("nhi/revoke", {"token": "WHOLE", "block": 0}),
        ("sys/remount", {"from": "nhi", "to": "moved"}),
        ("nhi/registrations/r1", None),
    ],
    ids=["workload", "key", "first block", "mount moves", "nothing that it ends with"],
)
def test_a_biscuit_whose_first_block_is_known_obeys_what_another_process_has_just_ended(
    both: tuple[Application, Application], end: tuple[str, Any]
) -> None:
    one, other = both
    issuer = Issuer(one)
    issuer.root(DB, {"data": {}})
    whole = issuer.issue()
    for _ in range(2):
        narrow = issuer.narrow(whole, READS)
        assert other.request("GET", f"/v1/{DB}", token=narrow).status == 200
    assert len(other.vault.credentials.biscuits._facts) == 2
    narrow, next_one = (issuer.narrow(whole, READS) for _ in range(2))
    path, body = end
    if "KID" in path:
        kid = issuer.root("nhi/introspect", {"token": whole})["data"]["kid"]
        issuer.root("nhi/keys", {"algorithm": "ed25519"})
        issuer.root(f"nhi/keys/{kid}", {"state": "retired"})
        path = path.replace("KID", str(kid))
    if body is None:
        issuer.root(path, method="DELETE")
        assert other.request("GET", f"/v1/{DB}", token=narrow).status == 200
        return
    issuer.root(path, {name: whole if value == "WHOLE" else value for name, value in body.items()})
    assert [other.request("GET", f"/v1/{DB}", token=each).status for each in (narrow, next_one)] == [403, 403]
