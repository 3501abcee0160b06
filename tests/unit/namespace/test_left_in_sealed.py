# SPDX-License-Identifier: EUPL-1.2
"""What somebody has in a sealed namespace whose credential is of another one: it ends with it, and keeps nothing else from it."""

from collections.abc import Iterator

import pytest

from tests.routes.issuer import POLICY, Issuer
from tests.unit.namespace.tenancy import NS, Tenancy
from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import core_prefix
from vault.values.ids import ROOT_ID
from vault.values.times import Nanos

ROLE = {"key_type": "otp", "default_user": "u", "cidr_list": "10.0.0.0/8"}
CREDS = (
    '\npath "ssh/creds/*" { capabilities = ["update"] }\npath "a/ssh/creds/*" { capabilities = ["update"] }'
)
FOR_US = {"ip": "10.1.2.3"}


@pytest.fixture
def tenancy() -> Iterator[Tenancy]:
    with Tenancy() as tenancy:
        tenancy.furnished("a")
        tenancy.do("POST", "a/sys/mounts/ssh", {"type": "ssh"})
        for role in ("a/ssh/roles/otp", "ssh/roles/otp"):
            tenancy.do("POST", role, ROLE)
        yield tenancy


def _new_token(tenancy: Tenancy) -> str:
    made = tenancy.do("POST", "auth/token/create", {"policies": ["root"]})
    token: str = made["auth"]["client_token"]
    return token


def _waiting(tenancy: Tenancy) -> list[str]:
    return [path for path in tenancy.kept("root") if "namespace-waiting/" in path]


def test_leases_are_put_in_order_although_some_cannot_be_looked_at(tenancy: Tenancy) -> None:
    token = _new_token(tenancy)
    password = tenancy.do("POST", "a/ssh/creds/otp", FOR_US, token=token)["data"]["key"]
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.do("POST", "sys/leases/tidy")
    for _ in range(1000):
        tenancy.work()
    assert "leases are in order: mended: count=0" in tenancy.log.getvalue()
    assert [path for path in tenancy.kept("root") if "/lease/token/" in path], "it may be there"
    tenancy.open("a")
    assert tenancy.do("POST", "a/ssh/verify", {"otp": password}, token="")["data"]["username"] == "u"


def test_what_was_made_for_a_biscuit_is_taken_back_although_some_lies_in_a_sealed_namespace(
    tenancy: Tenancy,
) -> None:
    issuer = Issuer(tenancy)
    issuer.root("sys/policies/acl/app", {"policy": POLICY + CREDS})
    biscuit, spared = issuer.issue(), issuer.issue()
    for _ in range(8):  # in whatever order they are found
        tenancy.do("POST", "ssh/creds/otp", FOR_US, token=biscuit)
    inside = [
        tenancy.do("POST", "a/ssh/creds/otp", FOR_US, token=token)["data"]["key"]
        for token in (biscuit, spared)
    ]
    tenancy.do("PUT", f"{NS}/a/seal")
    issuer.root("nhi/revoke", {"token": biscuit})
    tenancy.settle()
    tenancy.work()
    assert [path for path in tenancy.kept("root") if "/otp/" in path] == []
    assert _waiting(tenancy) != []
    tenancy.open("a")
    tenancy.settle()
    tenancy.work()
    assert _waiting(tenancy) == []
    statuses = [tenancy.status_of("POST", "a/ssh/verify", {"otp": one}, token="")[0] for one in inside]
    assert statuses == [400, 200]


def test_nobody_says_of_a_biscuit_of_a_sealed_namespace_that_it_is_gone(tenancy: Tenancy) -> None:
    tenancy.do("PUT", f"{NS}/a/seal")
    vault = tenancy.vault
    home = vault.mounts.namespaces.deepest("a/")
    core = vault.ground.barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
    with pytest.raises(NamespaceSealed):
        tenancy.run(vault.credentials.tokens.ancestors.lives(core, home, ["00"], Nanos(1)))


@pytest.mark.parametrize("reopened", [False, True])
def test_a_cubbyhole_in_a_sealed_namespace_goes_with_its_token_when_that_opens(
    tenancy: Tenancy, reopened: bool
) -> None:
    gone, lives = _new_token(tenancy), _new_token(tenancy)
    for token in (gone, lives):
        for name in ("mine", "below/mine"):
            tenancy.do("POST", f"a/cubbyhole/{name}", {"of": "somebody"}, token=token)
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.do("POST", "auth/token/revoke", {"token": gone})
    tenancy.do("POST", "auth/token/revoke", {"token": _new_token(tenancy)})
    tenancy.settle()
    assert len(_waiting(tenancy)) == 1, "nothing waits for a token that left nothing there"
    if reopened:
        tenancy.do("PUT", "sys/seal")
        tenancy.reopen()
        tenancy.settle()
    tenancy.open("a")
    tenancy.settle()
    assert _waiting(tenancy) == []
    assert tenancy.do("GET", "a/cubbyhole/mine", token=lives)["data"] == {"of": "somebody"}
    left = [path for path in tenancy.stored() if path.endswith("/mine")]
    assert len(left) == 2
