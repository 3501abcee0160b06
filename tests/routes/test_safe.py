# SPDX-License-Identifier: EUPL-1.2
"""Signing keys that are kept here lie in the safe: storage and the root key do not give them away."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hsm.errors import SlotUnavailable
from nhi.biscuit.issue import key_store
from nhi.biscuit.records import store
from nhi.biscuit.records.model import Approver, IssuerKey
from nhi.identity.oidc import pairs
from nhi.identity.records import oidc as model
from nhi.jose.signing_key import SigningKey, generate, opened
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import NamespaceSealed
from vault.framework.errors import Unavailable
from vault.framework.keys.external import AskFirst
from vault.framework.keys.safe import BareKeys, Safe
from vault.server.compose.app import Vault
from vault.server.compose.safe_migration import SafeMigration
from vault.values.ids import ROOT_ID, NamespaceId

MINUTE = 60


class Sealed(Issuer):
    """An application that a slot opens, with keys of every kind."""

    def __init__(self) -> None:
        self.slot = SoftSlot("a")
        super().__init__(Application(slots=[self.slot]))
        self.root("nhi/approvers/boss", {"algorithm": "p256"})
        self.root("identity/oidc/key/k", {"algorithm": "ES256", "allowed_client_ids": "*"})

    @property
    def vault(self) -> Vault:
        return self.application.vault

    def migration(self) -> SafeMigration:
        """Return the job that puts signing keys into the safe, as at a start."""
        vault = self.vault
        return SafeMigration(vault.ground, vault.mounts, vault.key_slots, vault.credentials.pairs)

    async def _rows(self) -> list[bytes]:
        core = self.vault.ground.barrier.reader(ROOT_ID, "")
        return [await core.get(path) or b"" for path in await core.scan("") if path.startswith("ns/root/")]

    async def mount(self) -> Any:
        """Return a view of the mount's data."""
        [mount] = [mount for mount in self.vault.mounts.router.root if mount.entry.path == "nhi/"]
        return self.vault.ground.barrier.reader(ROOT_ID, "ns/root/").mount(mount.entry.uuid)

    async def secrets(self) -> list[bytes]:
        """Return the secret half of every key."""
        view = await self.mount()
        core = self.vault.ground.barrier.reader(ROOT_ID, "ns/root/")
        named = await model.named_key(core, "k")
        boss = await store.approver(view, "boss")
        assert named is not None and named.current is not None and named.following is not None
        assert boss is not None
        keys: list[IssuerKey | Approver] = [*await store.keys(view), boss]
        found = [_number(await key_store.from_safe(self.vault.key_slots.safe, key)) for key in keys]
        pairs = [await opened(self.vault.key_slots.safe, pair) for pair in (named.current, named.following)]
        return [*found, *(pair.private for pair in pairs)]

    async def shown(self) -> list[bytes]:
        """Return those secret halves that stand in what storage and the root key give."""
        rows = await self._rows()
        return [secret for secret in await self.secrets() if any(secret in row for row in rows)]

    async def bare(self) -> None:
        """Keep every key as versions before the safe did."""
        view = await self.mount()
        async with self.vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            inner = core.sub(view.prefix.removeprefix(core.prefix))
            safe = self.vault.key_slots.safe
            for key in await store.keys(inner):
                await store.put_key(inner, await _bare(safe, key))
            boss = await store.approver(inner, "boss")
            assert boss is not None
            await store.put_approver(inner, await _bare(safe, boss))
            named = await model.named_key(core, "k")
            assert named is not None and named.current is not None and named.following is not None
            pairs = [await opened(safe, pair) for pair in (named.current, named.following)]
            plain = msgspec.structs.replace(named, current=pairs[0], following=pairs[1])
            await model.put_key(core, ROOT_ID, plain)

    async def rotated(self) -> bool:
        """Whether the key of identity tokens, whose time it is, signs with its next pair now."""
        barrier, rotate = self.vault.ground.barrier, self.vault.credentials.pairs.rotate
        async with barrier.write(ROOT_ID, "ns/root/") as core:
            before = await model.named_key(core, "k")
            assert before is not None and before.following is not None
            await model.put_key(core, ROOT_ID, msgspec.structs.replace(before, rotates=0))
        with pytest.raises(AskFirst) as first:
            async with barrier.write(ROOT_ID, "ns/root/") as core:
                await rotate(core, "root:k")
        await first.value.ask()
        async with barrier.write(ROOT_ID, "ns/root/") as core:
            await rotate(core, "root:k")
            after = await model.named_key(core, "k")
        return after is not None and after.current == before.following

    def held(self) -> set[str]:
        """Return where keys of the mount are said to be."""
        numbers = self.root("nhi/keys", method="LIST")["data"]["keys"]
        paths = ["nhi/approvers/boss", *(f"nhi/keys/{number}" for number in numbers)]
        return {self.root(path, method="GET")["data"]["held"] for path in paths}

    def works(self) -> None:
        """See that every key signs."""
        assert self.issue()
        self.root("nhi/revocations", method="GET")
        role = {"key": "k", "client_id": "x"}
        self.root("identity/oidc/role/r", role)


def _number(key: Any) -> bytes:
    if hasattr(key, "private_bytes_raw"):
        raw: bytes = key.private_bytes_raw()
        return raw
    number: bytes = key.private_numbers().private_value.to_bytes(32, "big")
    return number


async def _bare(safe: Safe, key: Any) -> Any:
    return msgspec.structs.replace(key, held=b"", private=_number(await key_store.from_safe(safe, key)))


@pytest.fixture
def sealed() -> Iterator[Sealed]:
    made = Sealed()
    yield made
    made.application.close()


def test_storage_and_the_root_key_give_no_signing_key_away(sealed: Sealed) -> None:
    sealed.works()
    assert len(sealed.application.run(sealed.secrets())) == 4
    assert sealed.application.run(sealed.shown()) == []


@pytest.mark.parametrize("how", ["rewrap", "background"])
def test_keys_from_before_the_safe_sign_and_are_put_into_it(sealed: Sealed, how: str) -> None:
    application = sealed.application
    secrets = application.run(sealed.secrets())
    application.run(sealed.bare())
    assert sorted(application.run(sealed.shown())) == sorted(secrets)
    assert sealed.held() == {"barrier"}
    sealed.works()
    if how == "rewrap":
        sealed.root("sys/seal-slots/a/rewrap")
    else:
        application.run(sealed.migration()())
    assert application.run(sealed.secrets()) == secrets
    assert application.run(sealed.shown()) == []
    assert sealed.held() == {"safe"}
    sealed.works()


def test_signing_asks_no_device_and_a_device_that_is_away_keeps_nobody_from_signing(sealed: Sealed) -> None:
    sealed.works()
    sealed.slot.away = SlotUnavailable("away")
    sealed.slot.calls.clear()
    sealed.works()
    sealed.root("nhi/keys", {"algorithm": "ed25519"})
    assert sealed.issue()
    assert not sealed.slot.calls


@pytest.mark.asked_alone("has one process forget what it holds")
def test_nothing_is_signed_until_a_slot_opens_the_safe_again_and_then_it_is(sealed: Sealed) -> None:
    application = sealed.application
    sealed.vault.key_slots.safe.keys.forget()
    sealed.vault.key_slots.wraps.drop()
    sealed.slot.away = SlotUnavailable("away")
    for path in ("nhi/issue/r1", "nhi/keys", "nhi/approvers/other", "identity/oidc/key/other"):
        answer = application.request("POST", f"/v1/{path}", {}, token="root")
        assert answer.status == 500, path
        assert answer.json()["errors"] == ["no slot opens the safe that signing keys are kept in"]
    with pytest.raises(Unavailable):
        application.run(sealed.rotated())
    sealed.slot.away = None
    application.run(application.vault._seal_watch._resume())
    assert application.run(sealed.rotated())
    sealed.works()


def test_sealing_forgets_the_safe(sealed: Sealed) -> None:
    assert sealed.vault.key_slots.safe.keys.known
    sealed.root("sys/seal")
    assert not sealed.vault.key_slots.safe.keys.known


def test_a_namespace_that_is_sealed_meanwhile_keeps_no_other_from_the_safe(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = sealed.application
    sealed.root("sys/namespaces/n")
    application.run(sealed.bare())
    [inner] = list(sealed.vault.mounts.namespaces)
    shut = [inner.id]
    bare = sealed.vault.credentials.pairs.bare

    def sealed_now(namespace_id: NamespaceId) -> BareKeys[model.NamedKey]:
        if namespace_id in shut:
            raise NamespaceSealed(inner.id)
        found: BareKeys[model.NamedKey] = bare(namespace_id)
        return found

    monkeypatch.setattr(sealed.vault.credentials.pairs, "bare", sealed_now)
    gathering = sealed.migration()
    application.run(gathering())
    assert application.run(sealed.shown()) == []
    assert inner.id not in gathering._done
    shut.clear()
    application.run(gathering())
    assert inner.id in gathering._done


def test_a_key_that_is_made_while_the_vault_is_sealed_is_answered_as_by_a_sealed_vault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, shut = threading.Event(), threading.Event()

    def slow(algorithm: str, kid: str) -> SigningKey:
        begun.set()
        shut.wait(MINUTE)
        return generate(algorithm, kid)

    async def scenario(application: Application) -> None:
        new = {"algorithm": "EdDSA"}
        call = asyncio.ensure_future(application.ask("POST", "/v1/identity/oidc/key/new", new, token="root"))
        assert await asyncio.to_thread(begun.wait, MINUTE)
        assert (await application.ask("POST", "/v1/sys/seal", token="root")).status == 204
        shut.set()
        answer = await call
        assert (answer.status, answer.json()) == (503, {"errors": ["Vault is sealed"]})

    with Application() as application:
        monkeypatch.setattr(pairs, "generate", slow)
        application.run(scenario(application))
