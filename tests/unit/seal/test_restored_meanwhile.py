# SPDX-License-Identifier: EUPL-1.2
"""A backup that is put in place while a server is about to initialise a vault or to open one, on every storage."""

import os
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.shared import Shared
from tests.unit.seal.auto import Machine
from tests.unit.seal.node import refused
from tests.unit.seal.test_followed_meanwhile import Reader
from vault.barrier.failure import BarrierFailure
from vault.barrier.keyring import KEYRING_PATH
from vault.barrier.stored import raw
from vault.seal.changes import root_rotation
from vault.seal.failure import RootKeyReplaced, SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records.record import CONFIG_PATH, slot_path
from vault.seal.records.slots import Slots
from vault.values.ids import ROOT_ID

TWO_OF_THREE = InitRequest(secret_shares=3, secret_threshold=2)


class Site:
    """Backups of nothing, and of two vaults whose shares are known and that somebody has opened."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.first = Machine(Slots(), os.urandom, shared=shared)
        self.empty = shared.back_up()
        self.keys: dict[str, Sequence[str]] = {}
        self.backups: dict[str, object] = {}

    async def make(self, name: str) -> Machine:
        """Make a vault in the place of what is there, and a backup; return the server that has it open."""
        self.shared.restore(self.empty)
        made = self.first.restart(Slots())
        plan = await made.init(TWO_OF_THREE)
        self.keys[name] = plan.keys
        await made.give(plan.keys[:2])
        await made.barrier.refresh()
        async with made.barrier.write(ROOT_ID, "sys/token/") as view:
            await view.put("name", raw(name.encode()))
        made.life.prove()
        await made.life.confirm()
        self.backups[name] = self.shared.back_up()
        return made

    async def opens(self, name: str) -> bool:
        """Whether a new start opens this vault with its own shares, and finds its own data."""
        again = self.first.restart(Slots())
        await again.give(self.keys[name][1:])
        return await _named(again) == name


async def _follow(machine: Machine) -> None:
    """Do as a server does with the next request: follow what is there, or seal."""
    if machine.barrier.sealed:
        return
    try:
        await machine.barrier.refresh()
    except BarrierFailure:
        try:
            await machine.life.follow_root()
        except RootKeyReplaced:
            await machine.life.seal()


async def _named(machine: Machine) -> str:
    return (await machine.barrier.reader(ROOT_ID, "sys/token/").get("name") or b"").decode()


@pytest.fixture
def site(shared: Shared) -> Site:
    """Nothing is initialised yet."""
    return Site(shared)


def test_a_vault_that_is_restored_while_one_is_initialised_is_not_replaced(site: Site) -> None:
    async def scenario() -> None:
        await site.make("a")
        site.shared.restore(site.empty)
        other = site.first.restart(Slots())
        plan = await other.life.prepare_init(TWO_OF_THREE)
        site.shared.restore(site.backups["a"])

        async def commit() -> None:
            async with other.storage.write() as tx:
                await other.life.commit_init(tx, plan)

        assert "already initialized" in await refused(commit())
        assert await site.opens("a")

    site.shared.run(scenario())


def test_what_was_restored_before_the_last_share_counts_and_shares_of_two_vaults_never_add_up(
    site: Site,
) -> None:
    async def scenario() -> None:
        await site.make("a")
        await site.make("b")
        other = site.first.restart(Slots())
        await other.give(site.keys["b"][:1])
        site.shared.restore(site.backups["a"])
        assert (await other.life.status()).progress == 0
        await other.give(site.keys["a"][:1])
        assert other.barrier.sealed
        await other.give(site.keys["a"][1:2])
        assert await _named(other) == "a"

    site.shared.run(scenario())


def test_a_server_that_waits_for_shares_says_so_when_nothing_is_left_to_open(site: Site) -> None:
    async def scenario() -> None:
        await site.make("a")
        other = site.first.restart(Slots())
        await other.give(site.keys["a"][:1])
        site.shared.restore(site.empty)
        assert not (await other.life.status()).initialized
        assert "not initialized" in await refused(other.life.unseal(site.keys["a"][1]))

    site.shared.run(scenario())


@pytest.mark.parametrize("restored", ["a", "b", ""])
def test_what_is_told_of_a_seal_is_of_one_state_of_it(site: Site, restored: str) -> None:
    async def scenario() -> None:
        await site.make("b")
        made = await site.make("a")
        await root_rotation.rotate_root(made.changes)
        other = site.first.restart(Slots())
        await other.give(site.keys["a"][1:])  # so the shares lead to the new root key, by another record

        async def restore() -> None:
            site.shared.restore(site.backups[restored] if restored else site.empty)

        reads = Reader(other.storage, slot_path("shamir", 1), restore)
        other.life._storage = reads  # type: ignore[assignment]  # all of a storage that it uses here
        status = await other.life.status()
        assert reads._meanwhile is None
        assert (status.initialized, status.t, status.n) == ((True, 2, 3) if restored else (False, 0, 0))

    site.shared.run(scenario())


@pytest.mark.parametrize("restored", ["a", "b"])
@pytest.mark.parametrize("path", [CONFIG_PATH, slot_path("shamir", 1), slot_path("shamir"), KEYRING_PATH])
def test_a_vault_is_never_opened_with_the_keys_of_before_a_backup_was_restored(
    site: Site, path: str, restored: str
) -> None:
    """Of another vault, or of the same one before its root key and its keys were replaced."""

    async def scenario() -> None:
        await site.make("b")
        made = await site.make("a")
        await root_rotation.rotate_root(made.changes)
        await made.barrier.refresh()
        other = site.first.restart(Slots())
        await other.give(site.keys["a"][:1])

        async def restore() -> None:
            site.shared.restore(site.backups[restored])

        reads = Reader(other.storage, path, restore)
        other.life._storage = other.barrier._storage = reads  # type: ignore[assignment]  # all of a storage that these use
        with suppress(SealRefusal, SealFailure):
            await other.life.unseal(site.keys["a"][1])
        other.life._storage = other.barrier._storage = other.storage
        await _follow(other)
        if other.barrier.sealed:
            await other.life.unseal(reset=True)
            await other.give(site.keys[restored][:2])
        assert reads._meanwhile is None
        assert await _named(other) == restored
        assert await site.opens(restored)

    site.shared.run(scenario())
