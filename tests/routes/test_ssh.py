# SPDX-License-Identifier: EUPL-1.2
"""SSH in the whole application: single use, leases, tenants, two servers, and what leaves the event loop."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.issuer import POLICY, Issuer
from tests.shared import Shared
from tests.ssh_certificates import read_certificate
from tests.ssh_keys import ed25519_pair, private_pem, public_line
from vault.engines.ssh.certificate_routes import CertificateEngine
from vault.engines.ssh.keys import pairs
from vault.engines.ssh.roles import role
from vault.framework.concurrency.offload import Pool

KEY = public_line(ed25519_pair("client"))
USERS = {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "bob", "ttl": "5m"}
MACHINES = {"key_type": "otp", "default_user": "bob", "cidr_list": "10.0.0.0/8"}
ASKS = 'path "ssh/creds/*" { capabilities = ["update"] }'
ASKED = {"public_key": KEY, "valid_principals": "bob"}


class Ssh:
    """What is asked of the mount `ssh/` of an application."""

    def __init__(self, application: Application, mount: str = "ssh") -> None:
        self.application = application
        self.mount = mount

    def ask(self, method: str, path: str, body: object = None, token: str = "root") -> Any:
        return self.application.request(method, f"/v1/{self.mount}/{path}", body, token=token)

    def data(self, path: str, body: object, token: str = "root") -> Any:
        answer = self.ask("POST", path, body, token)
        assert answer.status in {200, 204}, answer.body
        return answer.json()["data"] if answer.status == 200 else None

    def refused(self, path: str, body: object) -> str:
        answer = self.ask("POST", path, body)
        assert answer.status == 400, answer.body
        (error,) = answer.json()["errors"]
        return str(error)

    def password(self, token: str = "root") -> tuple[str, str]:
        """A new one-time password, and its lease."""
        answer = self.ask("POST", "creds/machines", {"ip": "10.1.2.3"}, token).json()
        return answer["data"]["key"], answer["lease_id"]

    def verified(self, password: str) -> bool:
        answer = self.ask("POST", "verify", {"otp": password}, token="")
        if answer.status == 400:
            assert answer.json() == {"errors": ["OTP not found"]}
            return False
        assert answer.json()["data"] == {"ip": "10.1.2.3", "role_name": "machines", "username": "bob"}
        return True

    def kept(self, prefix: str) -> list[str]:
        return [path for path in self.application.stored() if f"/{prefix}" in path]


@pytest.fixture
def ssh() -> Iterator[Ssh]:
    with Application() as application:
        made = Ssh(application)
        made.data("config/ca", {"key_type": "ed25519"})
        made.data("roles/users", USERS)
        made.data("roles/machines", MACHINES)
        yield made


def test_a_key_is_signed_for_whom_the_role_allows(ssh: Ssh) -> None:
    signed = ssh.data("sign/users", ASKED)
    said = read_certificate(signed["signed_key"])
    assert (said.principals, said.ends - said.begins, said.kind) == (["bob"], 330, 1)
    assert said.serial == int(signed["serial_number"], 16)
    assert said.key_id == f"vault-token-{said.key_digest}"
    again = read_certificate(ssh.data("sign/users", ASKED)["signed_key"])
    assert (said.serial, said.nonce) != (again.serial, again.nonce)
    assert "not a valid value" in ssh.refused("sign/users", {**ASKED, "valid_principals": "root"})


def test_eg_15_neither_sign_nor_issue_makes_a_certificate_for_everybody(ssh: Ssh) -> None:
    for kind in ("user", "host"):
        role = {**USERS, "allowed_users": "*", "allow_host_certificates": True, "allowed_domains": "*"}
        ssh.data("roles/users", role)
        for body in ({"cert_type": kind}, {"cert_type": kind, "valid_principals": " , "}):
            assert "no principals specified" in ssh.refused("sign/users", {**body, "public_key": KEY})
            assert "no principals specified" in ssh.refused("issue/users", {**body, "key_type": "ed25519"})


def test_eg_17_of_a_hundred_that_show_one_password_at_once_one_is_let_in(ssh: Ssh) -> None:
    password, _ = ssh.password()

    async def all_at_once() -> list[int]:
        asked = (ssh.application.ask("POST", "/v1/ssh/verify", {"otp": password}) for _ in range(100))
        return [answer.status for answer in await asyncio.gather(*asked)]

    statuses = ssh.application.run(all_at_once())
    assert sorted(statuses) == [200] + [400] * 99


def test_a_password_is_kept_as_a_keyed_hash_alone(ssh: Ssh) -> None:
    password, lease = ssh.password()
    (place,) = ssh.kept("otp/")
    assert password not in place
    ssh.data("verify", {"otp": password})
    assert ssh.kept("otp/") == []
    assert (
        ssh.application.request("POST", "/v1/sys/leases/lookup", {"lease_id": lease}, token="root").status
        == 200
    )


def test_a_password_ends_with_its_lease_and_with_its_token(ssh: Ssh) -> None:
    application = ssh.application
    application.request("POST", "/v1/sys/mounts/ssh/tune", {"default_lease_ttl": "1m"}, token="root")
    late, _ = ssh.password()
    application.clock.sleep(61)
    assert not ssh.verified(late), "its timer has not come yet"
    application.work()
    assert ssh.kept("otp/") == []
    revoked, lease = ssh.password()
    application.request("POST", "/v1/sys/leases/revoke", {"lease_id": lease}, token="root")
    assert not ssh.verified(revoked)
    token = application.token('path "ssh/creds/*" { capabilities = ["update"] }')
    orphan, _ = ssh.password(token)
    application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
    assert not ssh.verified(orphan)
    rules = 'path "ssh/creds/*" { capabilities = ["update"] } path "auth/token/create" { capabilities = ["update"] }'
    parent = application.token(rules)
    made = application.request("POST", "/v1/auth/token/create", {"type": "batch"}, token=parent).json()
    by_child, lease = ssh.password(made["auth"]["client_token"])
    application.request("POST", "/v1/auth/token/revoke", {"token": parent}, token="root")
    assert not ssh.verified(by_child), "whoever made the batch token that asked for it is revoked"
    application.work()
    assert ssh.kept("otp/") == []
    answer = application.request("POST", "/v1/sys/leases/lookup", {"lease_id": lease}, token="root")
    assert answer.status == 400
    brief = {"policies": ["root"], "ttl": "1m"}
    made = application.request("POST", "/v1/auth/token/create", brief, token="root").json()
    application.request("POST", "/v1/sys/mounts/ssh/tune", {"default_lease_ttl": "1h"}, token="root")
    ending, _ = ssh.password(made["auth"]["client_token"])
    application.clock.sleep(61)
    assert not ssh.verified(ending), "its token is over, and no timer came"
    good, _ = ssh.password()
    assert ssh.verified(good)
    assert not ssh.verified(good)


@pytest.fixture(params=["", "team/"])
def inside(ssh: Ssh, request: pytest.FixtureRequest) -> tuple[Ssh, str]:
    """SSH in the root namespace, and in another one; with the path of that namespace."""
    within: str = request.param
    if not within:
        return ssh, within
    ssh.application.request("POST", "/v1/sys/namespaces/team", token="root")
    ssh.application.request("POST", "/v1/team/sys/mounts/ssh", {"type": "ssh"}, token="root")
    made = Ssh(ssh.application, "team/ssh")
    made.data("roles/machines", MACHINES)
    return made, within


@pytest.mark.parametrize("how", ["token", "narrowed", "workload", "key", "mount"])
def test_a_password_ends_with_the_biscuit_that_asked_for_it_before_any_timer(
    inside: tuple[Ssh, str], how: str
) -> None:
    ssh, within = inside
    issuer = Issuer(ssh.application, within=within)
    issuer.root("sys/policies/acl/app", {"policy": f"{POLICY} {ASKS}"})
    first = issuer.issue()
    token = issuer.narrow(first, "check if true") if how == "narrowed" else first
    spared, _ = ssh.password(issuer.issue())
    password, _ = ssh.password(token)
    if how == "mount":
        issuer.root("sys/remount", {"from": "nhi", "to": "moved"})
    else:
        kid = issuer.root("nhi/keys", method="LIST")["data"]["keys"][-1]
        ended = {"workload": {"workload": "w1"}, "key": {"kid": int(kid)}}
        issuer.root("nhi/revoke", ended.get(how, {"token": token}))
    assert not ssh.verified(password)
    assert len(ssh.kept("otp/")) == 2, "no timer came"
    assert ssh.verified(spared) is (how in {"token", "narrowed"})


def test_putting_leases_in_order_spares_those_of_biscuits_that_are_good(inside: tuple[Ssh, str]) -> None:
    ssh, within = inside
    issuer = Issuer(ssh.application, within=within)
    issuer.root("sys/policies/acl/app", {"policy": f"{POLICY} {ASKS}"})
    good, gone = issuer.issue(), issuer.issue()
    (password, lease), (_, ending) = ssh.password(issuer.narrow(good, "check if true")), ssh.password(gone)
    issuer.root("nhi/revoke", {"token": gone})
    issuer.root("sys/leases/tidy")
    while "leases are in order: mended" not in ssh.application.log.getvalue():
        ssh.application.work()
    ssh.application.work()
    assert [
        ssh.application.request(
            "POST", f"/v1/{within}sys/leases/lookup", {"lease_id": one}, token="root"
        ).status
        for one in (lease, ending)
    ] == [200, 400]
    assert ssh.verified(password)


def test_eg_16_a_password_is_for_one_address_which_is_told(ssh: Ssh) -> None:
    for address in ("10.1.2.0/24", "10.1.2.3,10.1.2.4", "10.1.2.*", "", "localhost"):
        assert ssh.refused("creds/machines", {"ip": address})
    password, _ = ssh.password()
    assert ssh.verified(password)


@pytest.mark.parametrize("excluded", ["10.1.2.0/24", "::ffff:10.1.2.0/120"])
def test_a_network_that_is_excluded_gets_no_password_however_it_is_spelled(ssh: Ssh, excluded: str) -> None:
    role = {
        "key_type": "otp",
        "default_user": "bob",
        "cidr_list": "10.0.0.0/8",
        "exclude_cidr_list": excluded,
    }
    ssh.data("roles/machines", role)
    for address in ("10.1.2.3", "::ffff:10.1.2.3"):
        error = ssh.refused("creds/machines", {"ip": address})
        assert error == "Error validating IP: IP does not belong to role"
    assert ssh.data("creds/machines", {"ip": "10.1.3.3"})["ip"] == "10.1.3.3"


def test_a_stranger_who_guesses_waits_for_no_turn_to_write(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ssh.application.storage
    begun = []
    write = type(storage).write

    def noted(*given: Any, **named: Any) -> Any:
        begun.append(given)
        return write(*given, **named)

    monkeypatch.setattr(type(storage), "write", noted)
    assert not ssh.verified("hunter2")
    assert not ssh.verified("x" * 5000)
    assert begun == []
    ssh.password()
    assert begun != []


def test_a_mount_that_goes_takes_its_passwords_along(ssh: Ssh) -> None:
    password, lease = ssh.password()
    ssh.application.request("DELETE", "/v1/sys/mounts/ssh", token="root")
    ssh.application.work()
    gone = ssh.application.request("POST", "/v1/sys/leases/lookup", {"lease_id": lease}, token="root")
    assert gone.status == 400
    ssh.application.request("POST", "/v1/sys/mounts/ssh", {"type": "ssh"}, token="root")
    assert not ssh.verified(password)


def test_a_role_of_before_there_were_limits_is_read_and_removed_and_used_no_more(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(role, "LONGEST", 1 << 20)
        ssh.data("roles/users", {**USERS, "allowed_users": "bob," + " " * 65536})
        ssh.data("roles/machines", {**MACHINES, "cidr_list": "10.0.0.0/8," + " " * 65536})
    assert "written anew: field 'allowed_users'" in ssh.refused("sign/users", ASKED)
    assert "written anew" in ssh.refused("issue/users", {"valid_principals": "bob", "key_type": "ed25519"})
    assert "written anew: field 'cidr_list'" in ssh.refused("creds/machines", {"ip": "10.1.2.3"})
    assert ssh.data("lookup", {"ip": "10.1.2.3"})["roles"] is None
    for name in ("users", "machines"):
        assert len(ssh.ask("GET", f"roles/{name}").body) > 65536
        assert ssh.ask("DELETE", f"roles/{name}").status == 204
    assert ssh.ask("LIST", "roles").status == 404
    ssh.data("roles/users", USERS)
    assert ssh.data("sign/users", ASKED)


def test_the_last_use_of_a_token_hands_out_no_password_as_it_would_be_over_already(ssh: Ssh) -> None:
    for uses, statuses in ((1, [400, 403]), (2, [200, 400, 403])):
        asked = {"policies": ["root"], "num_uses": uses}
        made = ssh.application.request("POST", "/v1/auth/token/create", asked, token="root").json()
        token = made["auth"]["client_token"]
        answers = [ssh.ask("POST", "creds/machines", {"ip": "10.1.2.3"}, token) for _ in statuses]
        assert [answer.status for answer in answers] == statuses
        assert "token had one use left" in answers[-2].json()["errors"][0]
    assert len(ssh.kept("otp/")) == 1


def test_tenants_share_neither_authorities_nor_passwords(ssh: Ssh) -> None:
    application = ssh.application
    application.request("POST", "/v1/sys/namespaces/tenant", {}, token="root")
    application.request("POST", "/v1/tenant/sys/mounts/ssh", {"type": "ssh"}, token="root")
    inner = Ssh(application, "tenant/ssh")
    inner.data("config/ca", {"key_type": "ed25519"})
    inner.data("roles/users", USERS)
    inner.data("roles/machines", MACHINES)
    assert inner.ask("GET", "public_key").body != ssh.ask("GET", "public_key").body
    password, _ = inner.password()
    assert not ssh.verified(password)
    assert inner.verified(password)
    token = application.token('path "ssh/sign/*" { capabilities = ["update"] }')
    assert ssh.ask("POST", "sign/users", ASKED, token).status == 200
    assert inner.ask("POST", "sign/users", ASKED, token).status == 403


def test_what_one_server_changes_the_other_obeys_at_the_next_request(shared: Shared) -> None:
    with Application(shared.open()) as first, Application(shared.open(), beside=first) as second:
        here, there = Ssh(first), Ssh(second)
        issuer = here.data("issuers/import/one", {"key_type": "ed25519"})["issuer_id"]
        here.data("roles/users", {**USERS, "issuer_ref": "one"})
        here.data("roles/machines", MACHINES)
        assert there.data("sign/users", ASKED)["issuer_id"] == issuer
        here.data("roles/users", {**USERS, "issuer_ref": "one", "allowed_users": "carol"})
        assert "not a valid value" in there.refused("sign/users", ASKED)
        here.data("roles/users", {**USERS, "issuer_ref": "one"})
        other = here.data("issuers/import/two", {"key_type": "ed25519"})["issuer_id"]
        here.data("roles/users", USERS)
        for chosen in (issuer, other, issuer):
            here.data("config/issuers", {"default": chosen})
            assert there.data("sign/users", ASKED)["issuer_id"] == chosen
        here.data("roles/users", {**USERS, "issuer_ref": "one"})
        here.ask("DELETE", "issuer/one")
        assert "unable to find issuer" in there.refused("sign/users", ASKED)
        password, _ = here.password()
        assert there.verified(password)
        assert not here.verified(password)


def test_pairs_and_signatures_of_rsa_are_made_in_the_pool_and_others_are_not(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []
    do = Pool.do

    async def noted(pool: Pool, call: Any, work: Any, *, slow: bool) -> Any:
        sent.append(slow)
        return await do(pool, call, work, slow=slow)

    monkeypatch.setattr(Pool, "do", noted)
    ssh.data("sign/users", ASKED)
    ssh.data("issue/users", {"key_type": "ed25519", "valid_principals": "bob"})
    assert sent == [False, False, False]
    ssh.data("config/ca", {"key_type": "rsa", "key_bits": 2048})
    ssh.data("sign/users", ASKED)
    ssh.data("issue/users", {"key_type": "rsa", "key_bits": 2048, "valid_principals": "bob"})
    assert sent[3:] == [True, True, True, True]


def test_a_pair_that_is_brought_is_tried_in_the_pool(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    read = pairs.read_private_key

    def noted(text: str) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(text)

    monkeypatch.setattr("vault.engines.ssh.ca_routes.read_private_key", noted)
    one, two = ed25519_pair("one"), ed25519_pair("two")
    ssh.data("config/ca", {"private_key": private_pem(one), "public_key": public_line(one)})
    assert threads == [False]
    wrong = {"private_key": private_pem(one), "public_key": public_line(two)}
    assert "halves of one pair" in ssh.refused("config/ca", wrong)


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_a_private_key_is_opened_once_and_forgotten_when_the_vault_is_sealed(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    load = pairs.from_pkcs8

    def noted(kept: bytes) -> Any:
        opened.append(kept)
        return load(kept)

    monkeypatch.setattr("vault.engines.ssh.keys.issuers.from_pkcs8", noted)
    backend = ssh.application.vault.catalog.find("ssh", {}, auth=False)
    assert backend is not None
    (engine,) = (engine for engine in backend.engines if isinstance(engine, CertificateEngine))
    issuers = engine._issuers
    records = (engine._roles, issuers._issuers, issuers._pointers)
    for _ in range(3):
        ssh.data("sign/users", ASKED)
    assert len(opened) == len(issuers._opened) == 1
    assert [len(known._known) for known in records] == [1, 1, 1]
    ssh.application.request("PUT", "/v1/sys/seal", token="root")
    assert [len(issuers._opened), *(len(known._known) for known in records)] == [0, 0, 0, 0]


def test_a_mount_has_a_limit_of_issuers(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.engines.ssh.keys.issuers.MOST", 2)
    ssh.data("issuers/import", {"key_type": "ed25519"})
    assert "can have 2 issuers" in ssh.refused("issuers/import", {"key_type": "ed25519"})
    ssh.ask("DELETE", "config/ca")
    ssh.data("issuers/import/one", {"key_type": "ed25519"})
    ssh.data("issuer/one", {"issuer_name": "two"})
    ssh.ask("DELETE", "issuer/two")
    assert not [path for path in ssh.kept("name/") if path.endswith(("/one", "/two"))]
    assert ssh.kept("issuer/") == ssh.kept("blob/") == ssh.kept("default-issuer") == []
    ssh.data("issuers/import", {"key_type": "ed25519"})


def test_the_inventory_lists_the_issuers(ssh: Ssh) -> None:
    ssh.data("config/ca", {"key_type": "rsa", "key_bits": 2048})
    answer = ssh.application.request("GET", "/v1/sys/crypto/inventory?limit=1000", token="root").json()
    rows = [row for row in answer["data"]["inventory"] if row["purpose"].startswith("ssh-")]
    assert sorted((row["purpose"], row["algorithm"], row["state"]) for row in rows) == [
        ("ssh-ca", "ed25519", "retired"),
        ("ssh-ca", "rsa-2048", "active"),
        ("ssh-otp-hash", "hmac-sha-256", "active"),
    ]


def test_no_secret_is_shown_twice(ssh: Ssh) -> None:
    one = ed25519_pair("one")
    body = {"private_key": private_pem(one), "public_key": public_line(one)}
    answers = [ssh.ask("POST", "config/ca", body), ssh.ask("GET", "config/ca"), ssh.ask("LIST", "issuers")]
    for answer in answers:
        assert b"PRIVATE" not in answer.body
    issued = ssh.data("issue/users", {"key_type": "ed25519", "valid_principals": "bob"})
    secret = issued["private_key"].splitlines()[2]
    log = ssh.application.audit.read_text() + ssh.application.log.getvalue()
    assert secret not in log
    assert private_pem(one).splitlines()[2] not in log
