# SPDX-License-Identifier: EUPL-1.2
"""Namespaces with keys of their own, through the whole application: sealed and opened one by one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.calls import call_for_account
from tests.unit.engines.driver import who
from tests.unit.lease.bench import OtherSystem
from tests.unit.namespace.tenancy import NS, ONE, SEALED, TWO, Tenancy, said
from vault.barrier import envelope
from vault.barrier.failure import BarrierFailure
from vault.barrier.view import core_prefix
from vault.values.ids import NamespaceId
from vault.values.times import Seconds


@pytest.fixture
def tenancy() -> Iterator[Tenancy]:
    with Tenancy() as tenancy:
        yield tenancy


def test_a_sealable_namespace_is_sealed_until_enough_shares_came(tenancy: Tenancy) -> None:
    made = tenancy.make("a", TWO)
    assert (len(made["key_shares"]), made["key_threshold"]) == (3, 2)
    for path in ("a/sys/mounts", "a/kid/sys/mounts", "a/kv/x", "a/sys/seal-status"):
        assert tenancy.status_of("GET", path) == SEALED
        assert tenancy.status_of("GET", path, token="s.unknown") == SEALED
    first, second, third = made["key_shares"]
    state = tenancy.unseal("a", {"key": second})
    nonce = state.pop("nonce")
    assert nonce
    assert state == {"initialized": True, "n": 3, "progress": 1, "sealed": True, "t": 2, "type": "shamir"}
    assert tenancy.unseal("a", {"key": second})["progress"] == 1
    assert tenancy.unseal("a", {"reset": True})["progress"] == 0
    tenancy.unseal("a", {"key": third})
    state = tenancy.unseal("a", {"key": first})
    assert (state["sealed"], state["progress"], state["nonce"]) == (False, 0, "")
    assert tenancy.status_of("GET", "a/sys/mounts")[0] == 200
    assert tenancy.unseal("a", {"key": first})["sealed"] is False
    shown = tenancy.do("GET", f"{NS}/a")["data"]
    assert "key_shares" not in shown


def test_wrong_shares_open_nothing_and_are_forgotten(tenancy: Tenancy) -> None:
    first, second, _ = tenancy.make("a", TWO)["key_shares"]
    other = tenancy.make("b", TWO)["key_shares"][0]
    for share in ("zz", "ab", "0" * 66, "0" * 80):
        assert tenancy.status_of("PUT", f"{NS}/a/unseal", {"key": share})[0] in {200, 400}
        tenancy.unseal("a", {"reset": True})
    tenancy.unseal("a", {"key": first})
    status, text = tenancy.status_of("PUT", f"{NS}/a/unseal", {"key": other})
    assert status == 400 and "invalid key: " in text
    assert tenancy.do("GET", f"{NS}/a/seal-status")["data"]["progress"] == 0
    tenancy.unseal("a", {"key": first})
    assert tenancy.unseal("a", {"key": second})["sealed"] is False


def test_sealing_closes_one_namespace_with_all_in_it_and_no_other(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    tenancy.furnished("b")
    tenancy.furnished("a/own")
    tenancy.do("POST", f"a/{NS}/kid", {})
    tenancy.do("POST", "a/kid/sys/mounts/kv", {"type": "kv"})
    tenancy.do("POST", "a/kid/kv/x", {"of": "kid"})
    for _ in range(3):
        assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "a"}  # planned by now
    for _ in range(2):
        tenancy.do("PUT", f"{NS}/a/seal")
        for path in ("a/kv/x", "a/own/kv/x", "a/kid/kv/x", f"a/{NS}/own/seal-status"):
            assert tenancy.status_of("GET", path) == SEALED
    assert tenancy.do("GET", "b/kv/x")["data"] == {"of": "b"}
    assert tenancy.status_of("GET", "secret/data/x")[0] == 200
    assert all(not list(table) for table in _tables(tenancy, "a/"))
    tenancy.open("a")
    assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "a"}
    assert tenancy.do("GET", "a/kid/kv/x")["data"] == {"of": "kid"}
    assert tenancy.status_of("GET", "a/own/kv/x") == SEALED
    tenancy.open("a/own")
    assert tenancy.do("GET", "a/own/kv/x")["data"] == {"of": "a/own"}


def _tables(tenancy: Tenancy, path: str) -> list[Any]:
    root = tenancy.vault.mounts.router.root.namespace
    return [t for t in tenancy.vault.mounts.router.within(root) if t.namespace.path.startswith(path)]


def test_the_vaults_keys_open_nothing_in_it(tenancy: Tenancy) -> None:
    ids = [tenancy.furnished("a")]
    tenancy.do("POST", f"a/{NS}/kid", {})
    tenancy.do("POST", "a/kid/sys/mounts/kv", {"type": "kv"})
    ids.append(tenancy.do("GET", f"a/{NS}/kid")["data"]["id"])
    ids.append(tenancy.furnished("a/own"))
    keyring = tenancy.vault.ground.barrier.keyring
    for identifier in ids:
        kept = tenancy.kept(identifier)
        assert len(kept) > 4
        for path, value in kept.items():
            with pytest.raises(BarrierFailure):
                keyring.decrypt(envelope.entry_scope(identifier), path, value)


def test_a_namespace_is_sealed_again_when_the_vault_was(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    tenancy.do("PUT", "sys/seal")
    tenancy.reopen()
    assert tenancy.status_of("GET", "a/kv/x") == SEALED
    tenancy.open("a")
    assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "a"}


def test_its_tokens_are_nobody_elsewhere_while_it_is_sealed(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    made = tenancy.do("POST", "a/auth/token/create", {"policies": ["default"]})["auth"]
    batch = tenancy.do("POST", "a/auth/token/create", {"type": "batch", "policies": ["default"]})["auth"]
    for token in (made["client_token"], batch["client_token"]):
        assert tenancy.status_of("GET", "auth/token/lookup-self", token=token)[0] == 200
    tenancy.do("PUT", f"{NS}/a/seal")
    for token in (made["client_token"], batch["client_token"]):
        for path in ("auth/token/lookup-self", "a/auth/token/lookup-self", "sys/mounts"):
            assert tenancy.status_of("GET", path, token=token) == SEALED
    assert tenancy.status_of("POST", "auth/token/lookup", {"token": made["client_token"]}) == SEALED
    assert tenancy.status_of("POST", "auth/token/lookup-accessor", {"accessor": made["accessor"]})[0] in {
        400,
        403,
    }
    tenancy.open("a")
    assert tenancy.status_of("GET", "auth/token/lookup-self", token=made["client_token"])[0] == 200


def test_what_was_revoked_meanwhile_is_gone_before_anybody_is_let_in(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    parent = tenancy.do("POST", "auth/token/create", {"policies": ["root"]})["auth"]["client_token"]
    child = tenancy.do("POST", "a/auth/token/create", {"policies": ["default"]}, token=parent)["auth"]
    orphan = tenancy.do("POST", "auth/token/create", {"policies": ["root"]})["auth"]["client_token"]
    lives = tenancy.do("POST", "a/auth/token/create", {"policies": ["default"]}, token=orphan)["auth"]
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.do("POST", "auth/token/revoke", {"token": parent})
    tenancy.do("POST", "auth/token/revoke-orphan", {"token": orphan})
    tenancy.open("a")
    assert tenancy.status_of("GET", "a/auth/token/lookup-self", token=child["client_token"])[0] == 403
    assert tenancy.status_of("GET", "a/auth/token/lookup-self", token=lives["client_token"])[0] == 200
    assert [path for path in tenancy.kept("root") if "namespace-waiting/" in path] == []


@pytest.mark.parametrize("how", ["over", "token revoked"])
def test_a_lease_that_ended_meanwhile_is_taken_back_when_it_opens(tenancy: Tenancy, how: str) -> None:
    identifier = tenancy.furnished("a")
    vault = tenancy.vault
    other = OtherSystem()
    other.accounts.add("account")
    vault.leases.endings.serve("fake", other)
    holder = tenancy.do("POST", "auth/token/create", {"policies": ["root"]})["auth"]["client_token"]

    async def issue() -> None:
        namespace = vault.mounts.namespaces.live(NamespaceId(identifier))
        assert namespace is not None
        call = call_for_account(vault.ground.clock.millis(), namespace=namespace)
        call.identity = who("holder")
        call.identity.key = vault.credentials.tokens.key(holder)
        ttl = 0 if how == "over" else 3600
        lease = vault.leases.store.new(call, ttl=Seconds(ttl), longest=Seconds(7200), detail=b"account")
        async with vault.ground.barrier.write(
            NamespaceId(identifier), core_prefix(NamespaceId(identifier))
        ) as core:
            await vault.leases.store.issue(core, lease)

    tenancy.run(issue())
    tenancy.do("PUT", f"{NS}/a/seal")
    if how != "over":
        tenancy.do("POST", "auth/token/revoke", {"token": holder})
    tenancy.work()
    tenancy.work()
    assert other.accounts == {"account"}
    assert [path for path in tenancy.kept("root") if "namespace-waiting/" in path] != []
    tenancy.open("a")
    tenancy.work()
    assert other.accounts == set()
    assert [path for path in tenancy.kept("root") if "namespace-waiting/" in path] == []


def test_its_keys_are_rotated_by_themselves(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    tenancy.do("POST", f"a/{NS}/kid", {})
    before = tenancy.do("GET", "sys/key-status")["term"]
    tenancy.do("POST", "a/sys/rotate", {})
    tenancy.do("POST", "a/sys/rotate/config", {"max_operations": 2_000_000, "interval": "48h"})
    assert tenancy.do("GET", "a/sys/key-status")["data"]["term"] == 2
    assert tenancy.do("GET", "a/sys/rotate/config")["data"]["max_operations"] == 2_000_000
    assert tenancy.do("GET", "sys/key-status")["term"] == before
    tenancy.do("POST", "a/kv/x", {"of": "the second key"})
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.open("a")
    status = tenancy.do("GET", "a/sys/key-status")["data"]
    assert status["term"] == 2 and status["encryptions"] > 0
    assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "the second key"}
    assert tenancy.status_of("GET", "a/kid/sys/key-status") == (400, "namespace is not sealable")


def test_a_sealed_namespace_is_removed_only_as_such(tenancy: Tenancy) -> None:
    identifier = tenancy.furnished("a")
    inner = tenancy.furnished("a/own")
    assert tenancy.status_of("DELETE", f"{NS}/a/delete-sealed") == (400, "namespace is not sealed")
    tenancy.do("PUT", f"{NS}/a/seal")
    assert tenancy.status_of("DELETE", f"{NS}/a") == SEALED
    status, text = tenancy.status_of("DELETE", f"{NS}/a/delete-sealed")
    assert status == 400 and "leftover child namespaces" in text
    tenancy.do("DELETE", f"{NS}/a/delete-sealed?force=true")
    assert tenancy.status_of("PUT", f"{NS}/a/unseal", {"key": tenancy.shares["a"][0]})[0] == 400
    tenancy.work()
    assert tenancy.kept(identifier) == tenancy.kept(inner) == {}
    assert tenancy.status_of("GET", f"{NS}/a")[0] == 404
    tenancy.furnished("a")
    assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "a"}


def test_no_new_namespace_has_what_was_in_a_removed_one_of_its_path(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    inner = tenancy.do("POST", f"a/{NS}/b", {"custom_metadata": {"of": "the old tenant"}})["data"]["id"]

    async def fill() -> None:
        async with tenancy.storage.write() as tx:
            for number in range(3 * 4096):
                await tx.put(f"ns/{inner}/x/{number:05}", b"x")

    tenancy.run(fill())
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.do("DELETE", f"{NS}/a/delete-sealed?force=true")
    while tenancy.status_of("GET", f"{NS}/a")[0] != 404:
        tenancy.work()
        tenancy.clock.sleep(1)
    assert tenancy.kept(inner) == {}
    tenancy.do("POST", f"{NS}/a", {})
    assert tenancy.status_of("LIST", f"a/{NS}")[0] == 404
    tenancy.do("POST", f"a/{NS}/b", {})


@pytest.mark.parametrize(
    ("seal", "text"),
    [
        ('seal "shamir" {}', "invalid seal config: shares must be at least one"),
        (
            'seal "shamir" { shares = 1 threshold = 2 }',
            "invalid seal config: threshold cannot be larger than shares",
        ),
        ('seal "shamir" { shares = 256 threshold = 2 }', "invalid seal config: shares must be less than 256"),
        ('seal "shamir" { shares = [] threshold = 2 }', "invalid seal config: shares must be a whole number"),
        (
            'seal "shamir" { shares = 1.5 threshold = 1 }',
            "invalid seal config: shares must be a whole number",
        ),
        ('seal "static" {}', "namespaces currently only support shamir seals"),
        ("seal {}", "namespaces currently only support shamir seals"),
        ("", "seal config must contain exactly one seal stanza"),
        ("seal = 5", "seal config must contain exactly one seal stanza"),
        (f"{ONE} {ONE}", "seal config must contain exactly one seal stanza"),
        (f'{ONE} listener "tcp" {{}}', "seal config must contain exactly one seal stanza"),
        ("garbage", "unable to parse seal config: "),
    ],
)
def test_a_seal_that_cannot_be_is_refused_and_nothing_is_made(tenancy: Tenancy, seal: str, text: str) -> None:
    status, said = tenancy.status_of("POST", f"{NS}/a", {"seal": seal})
    assert status == 400 and text in said
    assert tenancy.status_of("GET", f"{NS}/a")[0] == 404


def test_the_seal_of_a_namespace_is_never_changed(tenancy: Tenancy) -> None:
    tenancy.make("a")
    tenancy.do("POST", f"{NS}/bare", {})
    for name in ("a", "bare"):
        refused = tenancy.status_of("POST", f"{NS}/{name}", {"seal": ONE})
        assert refused == (400, "cannot modify existing namespace seal config")
    assert tenancy.do("POST", f"{NS}/a", {"custom_metadata": {"k": "v"}})["data"]["custom_metadata"] == {
        "k": "v"
    }
    for call, body in (
        (("GET", "seal-status"), None),
        (("PUT", "seal"), None),
        (("PUT", "unseal"), {"key": "ab"}),
    ):
        assert tenancy.status_of(call[0], f"{NS}/bare/{call[1]}", body) == (400, "namespace is not sealable")


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_a_failure_at_any_statement_leaves_it_sealed_or_open_and_never_lost(
    tenancy: Tenancy, at: int
) -> None:
    tenancy.fails_at = at
    made = tenancy.request("POST", f"/v1/{NS}/a", {"seal": ONE}, token="root")
    tenancy.fails_at = None
    if made.status != 200:  # nobody has the shares, and there is nothing in it
        if tenancy.status_of("GET", f"{NS}/a")[0] == 200:
            tenancy.do("DELETE", f"{NS}/a/delete-sealed")
            tenancy.work()
        tenancy.make("a")
    else:
        tenancy.shares["a"] = made.json()["data"]["key_shares"]
    for step, body in (("unseal", {"key": tenancy.shares["a"][0]}), ("seal", None)):
        tenancy.fails_at = at
        tenancy.request("PUT", f"/v1/{NS}/a/{step}", body, token="root")
        tenancy.fails_at = None
        sealed = tenancy.do("GET", f"{NS}/a/seal-status")["data"]["sealed"]
        assert (tenancy.status_of("GET", "a/sys/mounts") == SEALED) is sealed
    tenancy.do("PUT", f"{NS}/a/seal")
    assert tenancy.status_of("GET", "a/sys/mounts") == SEALED
    tenancy.open("a")
    assert "cubbyhole/" in tenancy.do("GET", "a/sys/mounts")["data"]


def test_what_a_seal_costs_does_not_grow_with_the_other_namespaces(tenancy: Tenancy) -> None:
    tenancy.furnished("s")
    share = {"key": tenancy.shares["s"][0]}
    _cost(tenancy, "seal", None)  # what is asked for once
    _cost(tenancy, "unseal", share)
    costs = list[tuple[int, int]]()
    for number in range(20):
        tenancy.do("POST", f"{NS}/t{number}", {})
        if number in {0, 19}:
            costs.append((_cost(tenancy, "seal", None), _cost(tenancy, "unseal", share)))
    assert costs[0] == costs[1]
    assert tenancy.do("GET", "s/kv/x")["data"] == {"of": "s"}


def _cost(tenancy: Tenancy, what: str, body: object) -> int:
    """Return how many statements it takes to seal or open `s`, and to read elsewhere then."""
    before = tenancy.statements
    tenancy.do("PUT", f"{NS}/s/{what}", body)
    tenancy.do("GET", "secret/config")
    return tenancy.statements - before


def test_another_server_knows_the_mounts_below_a_namespace_that_it_opens(tenancy: Tenancy) -> None:
    tenancy.furnished("a")
    tenancy.do("POST", f"a/{NS}/kid", {})
    tenancy.do("POST", "a/kid/sys/mounts/kv", {"type": "kv"})
    tenancy.do("POST", "a/kid/kv/x", {"of": "kid"})
    other = tenancy.another_server()
    assert said(other.request("GET", "/v1/a/kid/kv/x", token="root")) == SEALED
    for _ in range(2):
        other.request("PUT", f"/v1/{NS}/a/unseal", {"key": tenancy.shares["a"][0]}, token="root")
        assert other.request("GET", "/v1/a/kid/kv/x", token="root").json()["data"] == {"of": "kid"}
        other.request("PUT", f"/v1/{NS}/a/seal", token="root")
        assert said(other.request("GET", "/v1/a/kid/kv/x", token="root")) == SEALED
        assert tenancy.do("GET", "a/kid/kv/x")["data"] == {"of": "kid"}
    other.close()
