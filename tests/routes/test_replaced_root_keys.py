# SPDX-License-Identifier: EUPL-1.2
"""Two servers with one storage: one replaces a root key, and the other follows, or is sealed and says so."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hsm.errors import SlotUnavailable
from tests.routes.driver import Application
from tests.shared import Shared
from tests.unit.seal.soft import SoftSlot
from vault.barrier.view import ReadView, View
from vault.namespace.entry import NamespaceEntry
from vault.seal.failure import RootKeyReplaced
from vault.values.ids import NamespaceId
from vault.values.times import Millis

SECRET = "/v1/secret/data/x"
SEALED = (503, ["Vault is sealed"])
CLOSED = (503, ["namespace is sealed"])
ONE = 'seal "shamir" { shares = 1 threshold = 1 }'

Both = tuple[Application, Application]


@pytest.fixture
def both(shared: Shared) -> Generator[Both]:
    """The one that replaces keys, and the one that knows nothing of it; nobody but one person holds a share."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        assert _read(other) == (200, None)
        yield one, other


def _do(application: Application, method: str, path: str, body: object = None) -> Any:
    answer = application.request(method, f"/v1/{path}", body, token="root")
    assert answer.status < 300, (path, answer.body)
    return answer.json() if answer.body else None


def _read(application: Application, path: str = "secret/data/x") -> tuple[int, Any]:
    answer = application.request("GET", f"/v1/{path}", token="root")
    return answer.status, answer.json().get("errors")


def _replaced(one: Application) -> None:
    """Replace the root key, and then the key that encrypts, so that what is written now is news to others."""
    _do(one, "POST", "sys/rotate/root", {})
    _do(one, "POST", "sys/rotate")
    _do(one, "POST", "secret/data/x", {"data": {"a": 2}})


def _nothing_leads_there(one: Application) -> None:
    """Open the vault with shares anew: no link from the old root key is needed any more."""
    _do(one, "PUT", "sys/seal")
    assert not _do(one, "PUT", "sys/unseal", {"key": one.key})["sealed"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "secret/data/x"),
        ("POST", "secret/data/x"),
        ("POST", "sys/rotate"),
        ("POST", "sys/rotate/root"),
        ("POST", "sys/rotate/keyring/config"),
        ("PUT", "sys/seal"),
    ],
)
@pytest.mark.parametrize("change", [_replaced, lambda one: _do(one, "POST", "sys/rotate/root", {})])
def test_who_knows_the_old_root_key_follows_the_link_from_it(
    both: Both, change: Callable[[Application], None], method: str, path: str
) -> None:
    one, other = both
    change(one)
    body = {"data": {"a": 3}} if path.startswith("secret") else {}
    _do(other, method, path, body if method == "POST" else None)
    if path == "sys/seal":
        return
    assert _read(other) == _read(one) == (200, None)
    assert "seal" not in other.log.getvalue().rpartition("vault is unsealed")[2]


@pytest.mark.parametrize("path", ["secret/data/x", "sys/rotate", "sys/rotate/root", "auth/token/create"])
def test_where_nothing_leads_to_the_new_root_key_the_vault_is_sealed_and_opens_again(
    both: Both, path: str
) -> None:
    one, other = both
    _replaced(one)
    _nothing_leads_there(one)
    refused = other.request("POST", f"/v1/{path}", {"data": {"a": 3}}, token="root")
    assert (refused.status, refused.json()["errors"]) == SEALED
    assert _read(other) == SEALED
    other.run(other.vault._leaving)
    assert _do(other, "GET", "sys/seal-status")["sealed"]
    assert _read(other) == SEALED
    other.vault._leave(RootKeyReplaced("found out by a look that was slower"))
    told = [line for line in other.log.getvalue().splitlines() if "replaced the root key" in line]
    assert len(told) == 1 and "unseal it again" in told[0]
    assert not _do(other, "PUT", "sys/unseal", {"key": one.key})["sealed"]
    assert _read(other) == _read(one) == (200, None)


def _namespace(both: Both) -> str:
    """Make a namespace with keys of its own, open in both processes; return its share."""
    one, other = both
    share: str = _do(one, "POST", "sys/namespaces/a", {"seal": ONE})["data"]["key_shares"][0]
    for each in both:
        assert not _do(each, "PUT", "sys/namespaces/a/unseal", {"key": share})["data"]["sealed"]
    _do(one, "POST", "a/sys/mounts/kv", {"type": "kv"})
    _do(one, "POST", "a/kv/x", {"a": 1})
    assert _read(other, "a/kv/x") == (200, None)
    return share


def test_the_root_key_of_a_namespace_is_followed_by_the_link_from_the_old_one(both: Both) -> None:
    one, other = both
    _namespace(both)
    for _ in range(2):
        _do(one, "POST", "a/sys/rotate/root", {})
    _do(one, "POST", "a/sys/rotate")
    _do(one, "POST", "a/kv/x", {"a": 2})
    assert _read(other, "a/kv/x") == (200, None)
    _do(other, "POST", "a/sys/rotate")
    assert _read(one, "a/kv/x") == (200, None)


def test_a_namespace_with_other_shares_is_sealed_elsewhere_and_nothing_beside_it(both: Both) -> None:
    one, other = both
    share = _namespace(both)
    begun = _do(one, "POST", "a/sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})["data"]
    made = _do(one, "POST", "a/sys/rotate/root/update", {"key": share, "nonce": begun["nonce"]})["data"]
    assert _read(other) == (200, None)
    assert _read(other, "a/kv/x") == CLOSED
    told = [line for line in other.log.getvalue().splitlines() if "keys of a namespace" in line]
    assert len(told) == 1 and "unseal it again" in told[0]
    _do(other, "PUT", "sys/namespaces/a/unseal", {"key": made["keys"][0]})
    assert _read(other, "a/kv/x") == _read(one, "a/kv/x") == (200, None)


def test_where_a_key_slot_opens_the_vault_it_is_open_again_when_the_slot_is_back(shared: Shared) -> None:
    slot = SoftSlot("a")
    with (
        Application(shared.open(), slots=[slot]) as one,
        Application(shared.open(), beside=one, slots=[slot]) as other,
    ):
        other.run(other.vault._seal_watch.step())
        _do(one, "POST", "sys/rotate/root", {"no_links": True, "drop": ["shamir"]})
        slot.away = SlotUnavailable("away")
        assert _read(other) == SEALED
        other.run(other.vault._leaving)
        slot.away = None
        other.run(other.vault._seal_watch.step())
        assert _read(other) == (200, None)


def test_shares_open_a_namespace_whose_root_key_two_processes_replaced_one_after_the_other(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One waits for its turn to write, and follows meanwhile what the other wrote before it."""
    one, other = both
    share = _namespace(both)
    namespace_id = _do(one, "GET", "sys/namespaces/a")["data"]["id"]
    barrier = other.vault.ground.barrier
    inner = barrier.write

    @asynccontextmanager
    async def waiting(where: NamespaceId, prefix: str) -> AsyncIterator[View]:
        monkeypatch.undo()
        await asyncio.to_thread(one.run, one.vault.key_slots.sealing.renew_root(namespace_id))
        await other.vault.ground.follower.follow()
        async with inner(where, prefix) as core:
            yield core

    monkeypatch.setattr(barrier, "write", waiting)
    other.run(other.vault.key_slots.sealing.renew_root(namespace_id))
    for each in both:
        assert _read(each, "a/kv/x") == (200, None)
        _do(each, "PUT", "sys/namespaces/a/seal")
        assert not _do(each, "PUT", "sys/namespaces/a/unseal", {"key": share})["data"]["sealed"]
        assert _read(each, "a/kv/x") == (200, None)


@pytest.mark.parametrize("slotted", [True, False])
def test_a_backup_from_before_the_root_key_was_replaced_is_followed_too_or_the_vault_sealed(
    shared: Shared,
    slotted: bool,
) -> None:
    slots = [SoftSlot("a")] if slotted else []
    with Application(shared.open(), slots=slots) as one:
        one.run(one.vault._seal_watch.step())
        kept = shared.back_up()
        _do(one, "POST", "sys/rotate/root", {})
        assert _read(one) == (200, None)
        shared.restore(kept)
        if slotted:
            assert _read(one) == (200, None)
            return
        assert _read(one) == SEALED
        one.run(one.vault._leaving)
        assert not _do(one, "PUT", "sys/unseal", {"key": one.key})["sealed"]
        assert _read(one) == (200, None)


def test_the_root_key_of_a_namespace_that_is_replaced_once_more_while_it_is_followed_is_followed(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    _namespace(both)
    namespace_id = _do(one, "GET", "sys/namespaces/a")["data"]["id"]
    namespaces = other.vault.mounts.namespaces
    inner = namespaces.stored

    async def stored(core: ReadView, where: NamespaceId) -> NamespaceEntry | None:
        monkeypatch.undo()
        found = await inner(core, where)
        await asyncio.to_thread(one.run, one.vault.key_slots.sealing.renew_root(namespace_id))
        return found

    monkeypatch.setattr(namespaces, "stored", stored)
    _do(one, "POST", "a/sys/rotate/root", {})
    assert _read(other, "a/kv/x") == _read(one, "a/kv/x") == (200, None)


@pytest.mark.parametrize("slotted", [True, False])
def test_a_root_key_that_was_replaced_from_a_backup_on_is_followed_too_or_the_vault_sealed(
    shared: Shared,
    slotted: bool,
) -> None:
    slots = [SoftSlot("a")] if slotted else []
    with (
        Application(shared.open(), slots=slots) as one,
        Application(shared.open(), beside=one, slots=slots) as other,
    ):
        for each in (one, other):
            each.run(each.vault._seal_watch.step())
        kept = shared.back_up()
        _do(one, "POST", "sys/rotate/root", {})
        shared.restore(kept)
        _do(other, "POST", "sys/rotate/root", {})
        if slotted:
            assert _read(one) == (200, None)
            return
        assert _read(one) == SEALED
        one.run(one.vault._leaving)
        told = [line for line in one.log.getvalue().splitlines() if "replaced the root key" in line]
        assert len(told) == 1 and "backup was restored" in told[0]
        assert not _do(one, "PUT", "sys/unseal", {"key": one.key})["sealed"]
        assert _read(one) == _read(other) == (200, None)


def test_encryptions_that_storage_cannot_be_told_before_the_vault_is_sealed_are_told_of_and_count_later(
    both: Both,
) -> None:
    one, other = both
    share = _namespace(both)
    _do(other, "POST", "a/kv/x", {"a": 3})
    _do(other, "POST", "secret/data/x", {"data": {"a": 3}})
    barrier = other.vault.ground.barrier
    ring = barrier.rings()[0]
    for keyring in (barrier.keyring, ring.keyring):
        keyring.active.unsaved += 1_000_000
    begun = _do(one, "POST", "a/sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})["data"]
    made = _do(one, "POST", "a/sys/rotate/root/update", {"key": share, "nonce": begun["nonce"]})["data"]
    _do(one, "POST", "sys/rotate/root", {})
    _nothing_leads_there(one)
    assert _read(other) == SEALED
    other.run(other.vault._leaving)
    told = [line for line in other.log.getvalue().splitlines() if "encryptions are not" in line]
    assert len(told) == 1 and int(told[0].rpartition("count=")[2]) > 2_000_000
    assert not _do(other, "PUT", "sys/unseal", {"key": one.key})["sealed"]
    _do(other, "PUT", "sys/namespaces/a/unseal", {"key": made["keys"][0]})
    for keyring in (barrier.keyring, barrier.rings()[0].keyring):
        assert keyring.active.encryptions > 1_000_000
    assert barrier.uncounted == 0


def test_a_vault_that_is_about_to_be_sealed_is_seen_as_sealed_as_soon_as_it_refuses(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    _replaced(one)
    _nothing_leads_there(one)
    held = asyncio.Event()

    async def stop() -> None:
        await held.wait()

    monkeypatch.setattr(other.vault._background, "stop", stop)
    refused = _read(other)
    shown, health = _do(other, "GET", "sys/seal-status"), other.request("GET", "/v1/sys/health").status
    held.set()
    monkeypatch.undo()
    assert (refused, shown["sealed"], "cluster_name" in shown, health) == (SEALED, True, False, 503)
    other.run(other.vault._leaving)
    assert not _do(other, "PUT", "sys/unseal", {"key": one.key})["sealed"]
    assert _read(other) == (200, None)


@pytest.mark.parametrize("where", ["", "a/"])
def test_what_is_written_after_a_backup_was_restored_is_read_after_the_next_unsealing(
    shared: Shared, where: str
) -> None:
    """The key that encrypts was replaced since: the backup does not have the new one."""
    with Application(shared.open()) as one:
        share = _do(one, "POST", "sys/namespaces/a", {"seal": ONE})["data"]["key_shares"][0]
        _do(one, "PUT", "sys/namespaces/a/unseal", {"key": share})
        _do(one, "POST", f"{where}sys/mounts/kv", {"type": "kv"})
        kept = shared.back_up()
        _do(one, "POST", f"{where}sys/rotate")
        _do(one, "POST", f"{where}kv/y", {"a": 1})
        shared.restore(kept)
        assert _read(one, f"{where}kv/y") == (404, [])
        _do(one, "POST", f"{where}kv/x", {"a": 2})
        _do(one, "PUT", "sys/seal")
        assert "are not counted" not in one.log.getvalue()
        _do(one, "PUT", "sys/unseal", {"key": one.key})
        _do(one, "PUT", "sys/namespaces/a/unseal", {"key": share})
        assert _read(one, f"{where}kv/x") == (200, None)


def test_a_vault_is_sealed_although_the_keyring_of_a_namespace_lacks_a_key_or_saving_fails_somehow(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    _namespace(both)
    vault = other.vault
    keyring = vault.ground.barrier.rings()[0].keyring
    keyring.adopt(keyring.rotate(Millis(0), os.urandom))
    keyring.active.unsaved += 1
    other.run(other.vault._closing())
    assert vault.ground.barrier.sealed

    async def rest() -> None:
        raise ValueError

    monkeypatch.setattr(one.vault.key_slots.sealing, "rest", rest)
    with pytest.raises(ValueError, match=r"^$"):
        one.run(one.vault._closing())
    monkeypatch.undo()
    assert one.vault.ground.barrier.sealed
