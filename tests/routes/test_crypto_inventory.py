# SPDX-License-Identifier: EUPL-1.2
"""The inventory of keys: every key of a server is in it, a namespace sees its own alone, and none of them is told."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from hsm.errors import SlotUnavailable
from nhi.biscuit.issue.key_store import from_safe
from nhi.biscuit.records import store
from nhi.identity.records import oidc
from nhi.jose.signing_key import opened
from tests.api_spec.requirements import registry
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.unit.seal.soft import SoftSlot
from vault.barrier.view import core_prefix
from vault.engines.transit.keys.key_types import EXTERNAL, HMAC, KEY_TYPES
from vault.framework.keys.inventory import Purpose
from vault.log.keys import read_keys
from vault.values.ids import ROOT_ID

INVENTORY = "sys/crypto/inventory"
PIN, SEED = "a-pin-of-a-token", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
MEMBERS = {
    "id", "purpose", "protects", "algorithm", "bits", "version", "state", "origin", "location", "mount", "count", "created",
    "rotated", "age", "rotation_period", "ends", "pq", "at_risk_after",
}  # fmt: skip
"""What is told of a key, and nothing else."""


class Site(Issuer):
    """An application with keys of every kind that a mount can have."""

    def furnish(self) -> None:
        self.root("nhi/approvers/boss", {"algorithm": "p256"})
        self.root("identity/oidc/key/k", {"algorithm": "RS256", "allowed_client_ids": "*"})
        for kind in KEY_TYPES.keys() - {EXTERNAL}:
            self.root(f"transit/keys/{kind}", {"type": kind, "key_size": 64 if kind == HMAC else 0})
        self.root("ssh/config/ca", {"key_type": "ed25519"})
        self.root("totp/keys/t", {"key": SEED, "account_name": "a", "issuer": "i"})
        self.root("sys/external-keys/configs/c", {"plugin": "pkcs11", "verify": False, "lib": "soft", "token_label": "hsm-a", "pin": PIN})  # fmt: skip
        self.root("sys/external-keys/configs/c/keys/k", {"label": "p256", "verify": False})

    def listed(self, query: str = "limit=1000", *, within: str = "") -> list[Any]:
        answer = self.application.request("GET", f"/v1/{within}{INVENTORY}?{query}", token="root")
        assert answer.status == 200, answer.body
        rows: list[Any] = answer.json()["data"]["inventory"]
        return rows

    def purposes(self, *, within: str = "") -> set[str]:
        return {row["purpose"] for row in self.listed(within=within)}


@pytest.fixture(scope="module")
def site(memory: str) -> Iterator[Site]:
    del memory
    with Application() as application:
        made = Site(application)
        made.furnish()
        made.root("sys/rotate", {})
        yield made


def test_esa_cry_001_every_kind_of_key_is_listed_with_what_is_asked_of_it(site: Site) -> None:
    rows = site.listed()
    elsewhere = {Purpose.RECOVERY, Purpose.SECOND_FACTOR, Purpose.TLS_LISTENER}
    assert {row["purpose"] for row in rows} == set(Purpose) - elsewhere
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    assert {frozenset(row) for row in rows} == {frozenset(MEMBERS)}
    assert {row["origin"] for row in rows if row["purpose"] == "external"} == {"hsm"}
    assert [row["state"] for row in rows if row["purpose"] == "barrier"] == ["retired", "active"]


def test_esa_cry_001_algorithms_and_their_strength_are_those_of_the_registry(site: Site) -> None:
    strength = {each["name"]: each["pq"] for each in registry("crypto-suites")}
    rows = [row for row in site.listed() if row["algorithm"]]
    assert {row["algorithm"]: row["pq"] for row in rows} == {
        row["algorithm"]: strength[row["algorithm"]] for row in rows
    }
    assert {row["pq"] for row in rows} == {"hybrid", "pq", "none"}
    assert [row["id"] for row in rows if bool(row["at_risk_after"]) != (row["pq"] == "none")] == []


def test_a_rotated_key_says_when_and_how_old_it_is(site: Site) -> None:
    first, second = (row for row in site.listed() if row["purpose"] == "barrier")
    assert (first["rotated"], second["rotated"]) == (None, second["created"])
    assert first["age"] >= second["age"] >= 0


async def _secrets(site: Site) -> list[bytes]:
    """Return real keys of the server, as they are in its memory."""
    vault = site.application.vault
    core = vault.ground.barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
    log = await read_keys(core)
    assert log is not None
    barrier = vault.ground.barrier
    found = [barrier.root_key.reveal(), *(term.key.reveal() for term in barrier.keyring.terms.values())]
    found += [log.signing, *log.hashing.values(), await core.get("token/salt") or b""]
    found += [key.reveal() for key in vault.key_slots.safe.keys.known.values()]
    found += [
        key.private_numbers().private_value.to_bytes(66) for key in vault.key_slots.signing.known.values()
    ]
    (mount,) = (mount for mount in vault.mounts.router.root if mount.entry.path == "nhi/")
    data = core.mount(mount.entry.uuid)
    for issuer in await store.keys(data):
        private = await from_safe(vault.key_slots.safe, issuer)
        found += [
            issuer.held,
            private.private_bytes_raw() if hasattr(private, "private_bytes_raw") else b"?" * 32,
        ]
    named = await oidc.named_key(core, "k")
    assert named is not None and named.current is not None
    found += [named.current.held, (await opened(vault.key_slots.safe, named.current)).private]
    return [*found, PIN.encode(), SEED.encode(), base64.b32decode(SEED)]


@pytest.mark.parametrize("query", ["limit=1000", "limit=1000&profile=anssi", "limit=1000&profile=bsi"])
def test_esa_cry_001_no_key_is_in_the_answer(site: Site, query: str) -> None:
    secrets = site.application.run(_secrets(site))
    assert len(secrets) > 12 and min(map(len, secrets)) > 15
    answer = site.application.request("GET", f"/v1/{INVENTORY}?{query}", token="root").body
    spelled = [
        form
        for secret in secrets
        for form in (
            secret,
            secret.hex().encode(),
            base64.b64encode(secret)[:20],
            base64.urlsafe_b64encode(secret)[:20],
        )
    ]
    assert b"barrier" in answer and [form for form in spelled if form in answer] == []


def test_a_profile_says_of_each_key_what_its_guidance_says(site: Site) -> None:
    checked = {
        profile: {row["id"]: row["check"] for row in site.listed(f"limit=1000&profile={profile}")}
        for profile in ("anssi", "bsi")
    }
    (rsa,) = (row["id"] for row in site.listed() if row["purpose"] == "transit" and row["bits"] == 2048)
    for profile, checks in checked.items():
        assert checks[rsa]["status"] == "warning", profile
        assert checks["barrier/0000000002"] == {"status": "ok", "findings": []}
        (found,) = (one for one in checks[rsa]["findings"] if one["level"] == "warning")
        assert found["source"]
    assert all("check" not in row for row in site.listed())


def test_pages_put_together_are_the_whole_inventory(site: Site) -> None:
    whole = [row["id"] for row in site.listed()]
    found: list[str] = []
    after = ""
    for _ in whole:
        answer = site.root(f"{INVENTORY}?limit=2&after={after}", method="GET")["data"]
        found += [row["id"] for row in answer["inventory"]]
        after = answer["next"]
        if not after:
            break
    assert found == whole and len(whole) > 10


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "profile=nist", "limit=-1"])
def test_what_is_asked_wrongly_is_refused(site: Site, query: str) -> None:
    assert site.application.request("GET", f"/v1/{INVENTORY}?{query}", token="root").status == 400


def test_a_namespace_sees_its_own_keys_alone(site: Site) -> None:
    site.root("sys/namespaces/tenant", {})
    site.root("tenant/sys/mounts/nhi", {"type": "nhi"})
    site.root("tenant/nhi/keys", {"algorithm": "p256"})
    site.root("tenant/sys/mounts/theirs", {"type": "totp"})
    site.root("tenant/theirs/keys/t", {"key": SEED, "account_name": "a", "issuer": "i"})
    inner = site.listed(within="tenant/")
    assert {row["purpose"] for row in inner} == {"biscuit-root", "totp"}
    assert {row["mount"] for row in inner} == {"nhi/", "theirs/"}
    outer = site.listed()
    assert {row["id"] for row in inner if row["id"].startswith("mounts/nhi/")} & {
        row["id"] for row in outer
    } == set()
    assert [row for row in outer if row["mount"] == "theirs/"] == []


def test_a_token_needs_the_right_and_that_of_a_tenant_ends_at_its_namespace(site: Site) -> None:
    site.root("sys/namespaces/mine", {})
    policy = {"policy": f'path "{INVENTORY}" {{ capabilities = ["read"] }}'}
    site.root("mine/sys/policies/acl/keys", policy)
    made = site.root("mine/auth/token/create", {"policies": ["keys"]})["auth"]["client_token"]
    blank = site.root("auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    assert site.status(made, f"mine/{INVENTORY}") == 200
    assert site.status(made, INVENTORY) == 403
    assert site.status(blank, INVENTORY) == 403
    assert site.status("", INVENTORY) == 403


def test_a_namespace_with_keys_of_its_own_lists_them(site: Site) -> None:
    seal = {"seal": 'seal "shamir" { shares = 3 threshold = 2 }'}
    shares = site.root("sys/namespaces/own", seal)["data"]["key_shares"]
    for share in shares[:2]:
        site.root("sys/namespaces/own/unseal", {"key": share})
    rows = {row["id"]: row for row in site.listed(within="own/")}
    assert set(rows) == {"barrier/0000000001", "seal/root", "seal/shares"}
    assert rows["seal/shares"]["location"] == "people: 2 of 3 shares"
    assert rows["barrier/0000000001"]["created"]


def test_it_is_known_when_a_key_of_the_server_was_made(site: Site) -> None:
    rows = [
        row for row in site.listed() if not row["mount"] and row["purpose"] not in {"seal-slot", "external"}
    ]
    assert {row["purpose"] for row in rows} >= {
        "log-hash",
        "log-signature",
        "safe",
        "wrapping-token",
        "barrier",
        "root",
    }
    assert [row["id"] for row in rows if not row["created"] or row["age"] is None] == []


@pytest.mark.asked_alone("each process watches its slots by itself")
def test_a_device_that_is_away_leaves_its_row_and_is_not_asked(memory: str) -> None:
    del memory
    slot = SoftSlot("a")
    with Application(slots=[slot]) as application:
        site = Site(application)
        application.run(application.vault.key_slots.health.look())
        (row,) = (row for row in site.listed() if row["id"] == "seal/slot/a")
        assert (row["state"], row["origin"], row["algorithm"], row["version"]) == (
            "active",
            "hsm",
            "aes-256-gcm",
            "v0001",
        )
        assert "recovery" in site.purposes()
        slot.away = SlotUnavailable("away")
        application.run(application.vault.key_slots.health.look())
        asked = len(slot.calls)
        (row,) = (row for row in site.listed("limit=1000&profile=bsi") if row["id"] == "seal/slot/a")
        assert (row["state"], row["check"]["status"], len(slot.calls)) == ("unreachable", "warning", asked)
