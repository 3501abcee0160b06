# SPDX-License-Identifier: EUPL-1.2
import asyncio

import pytest

from tests.unit.barrier.stream import flips
from tests.unit.seal.node import FIVE_THREE, ONE, SLOT_PATH, Vault, refused
from vault.barrier.keyring import KEYRING_PATH
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records.record import CONFIG_PATH, SealConfig, ShamirSlot, decode, encode
from vault.seal.shares.progress import WRONG_KEY
from vault.storage.protocol import StorageFailure


def test_a_confirmed_vault_is_never_initialised_again() -> None:
    async def scenario() -> None:
        vault = Vault()
        late = await vault.life.prepare_init(ONE)
        plan = await vault.init()
        await vault.unseal(plan.keys)
        config = await vault.life.config()
        assert config is not None
        assert config.confirmed
        assert await refused(vault.life.prepare_init(ONE)) == "Vault is already initialized"
        with pytest.raises(SealRefusal):
            async with vault.storage.write() as tx:
                await vault.life.commit_init(tx, late)
        await vault.life.seal()
        assert await refused(vault.life.prepare_init(ONE)) == "Vault is already initialized"
        await vault.unseal(plan.keys)
        assert await vault.token() == b"token"

    asyncio.run(scenario())


def test_an_unconfirmed_vault_is_replaced_whole() -> None:
    async def scenario() -> None:
        vault = Vault()
        lost = await vault.init(FIVE_THREE)
        await vault.unseal(lost.keys[:2])
        await vault.overwrite("leaf", b"left by the first initialisation")
        plan = await vault.init(InitRequest(secret_shares=3, secret_threshold=2))
        status = await vault.life.status()
        assert (status.t, status.n, status.progress) == (2, 3, 0)
        paths = await vault.storage.reader().scan("")
        assert sorted(paths) == sorted([CONFIG_PATH, SLOT_PATH, KEYRING_PATH, "sys/token/root"])
        await vault.life.unseal(lost.keys[2])
        assert await refused(vault.life.unseal(lost.keys[3])) == WRONG_KEY
        await vault.unseal(plan.keys[:2])
        assert await vault.token() == b"token"

    asyncio.run(scenario())


def test_a_failure_at_any_statement_of_init_loses_no_keys() -> None:
    async def scenario() -> None:
        statement = 0
        while True:
            statement += 1
            vault = Vault()
            lost = await vault.init()
            vault.fail_statement(statement)
            try:
                plan = await vault.init(FIVE_THREE)
            except StorageFailure:
                vault.fail_statement(0)
                assert [(await vault.life.status()).n] == [1]
                await vault.unseal(lost.keys)
            else:
                vault.fail_statement(0)
                await vault.unseal(plan.keys[:3])
                break
            finally:
                assert await vault.token() == b"token"
        assert statement > 10

    asyncio.run(scenario())


def test_a_failure_at_any_statement_of_a_first_init_leaves_nothing() -> None:
    async def scenario() -> None:
        vault = Vault()
        statement = 0
        while True:
            statement += 1
            vault.fail_statement(statement)
            try:
                plan = await vault.init()
            except StorageFailure:
                vault.fail_statement(0)
                assert list(await vault.storage.reader().scan("")) == []
            else:
                break
        vault.fail_statement(0)
        await vault.unseal(plan.keys)
        assert statement > 6

    asyncio.run(scenario())


def test_a_failure_at_any_statement_of_the_first_unseal_can_be_repeated() -> None:
    async def scenario() -> None:
        statement = 0
        while True:
            statement += 1
            vault = Vault()
            plan = await vault.init()
            vault.fail_statement(statement)
            try:
                await vault.unseal(plan.keys)
            except StorageFailure:
                vault.fail_statement(0)
                await vault.unseal(plan.keys)
                assert await vault.token() == b"token"
            else:
                break
        assert statement > 6

    asyncio.run(scenario())


def test_a_replacement_between_reading_and_confirming_is_noticed() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        other = Vault(vault.storage)
        async with vault.storage.write() as tx:
            unsealing = asyncio.create_task(vault.life.unseal(plan.keys[0]))
            await asyncio.sleep(0)
            replacing = await other.life.prepare_init(ONE)
            await tx.put(CONFIG_PATH, encode(CONFIG_PATH, replacing.config))
        with pytest.raises(SealFailure, match="another initialisation"):
            await unsealing
        assert vault.barrier.sealed

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [CONFIG_PATH, SLOT_PATH, KEYRING_PATH])
def test_every_changed_bit_of_what_is_stored_isrefused(path: str) -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        stored = await vault.storage.reader().get(path)
        assert stored is not None
        for damaged in flips(stored):
            await vault.overwrite(path, damaged)
            with pytest.raises(SealFailure):
                await vault.unseal(plan.keys)
            assert vault.barrier.sealed
        await vault.overwrite(path, stored)
        await vault.unseal(plan.keys)
        assert await vault.token() == b"token"

    asyncio.run(scenario())


def test_a_vault_whose_keyring_does_not_open_is_not_confirmed_and_can_be_replaced() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        await vault.overwrite(KEYRING_PATH, b"damaged")
        with pytest.raises(SealFailure, match="keyring is damaged"):
            await vault.unseal(plan.keys)
        plan = await vault.init()
        await vault.unseal(plan.keys)
        assert await vault.token() == b"token"

    asyncio.run(scenario())


def test_damaged_records_are_reported_and_never_initialised_over() -> None:
    async def scenario() -> None:
        vault = Vault()
        await vault.init()
        config = await vault.storage.reader().get(CONFIG_PATH)
        assert config is not None
        await vault.overwrite(CONFIG_PATH, config[:-1])
        for ask in (vault.life.status, vault.life.is_initialized, vault.life.config):
            with pytest.raises(SealFailure, match="integrity"):
                await ask()
        with pytest.raises(SealFailure):
            await vault.life.prepare_init(ONE)
        await vault.overwrite(CONFIG_PATH, None)
        with pytest.raises(SealFailure, match="restore it"):
            await vault.life.prepare_init(ONE)
        await vault.overwrite(CONFIG_PATH, config)
        await vault.overwrite(SLOT_PATH, None)
        with pytest.raises(SealFailure, match="missing"):
            await vault.life.status()

    asyncio.run(scenario())


def test_a_record_of_another_format_or_from_another_path_isrefused() -> None:
    config = SealConfig(generation="g", slots=("shamir",), confirmed=True)
    with pytest.raises(SealFailure, match="integrity"):
        decode("elsewhere", encode(CONFIG_PATH, config), SealConfig)
    with pytest.raises(SealFailure, match="this release knows none after 1"):
        decode(CONFIG_PATH, encode(CONFIG_PATH, config), ShamirSlot)


def test_shares_and_threshold_in_the_slot_cannot_be_changed_even_with_a_new_digest() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(InitRequest(secret_shares=3, secret_threshold=2))
        assert plan.slot is not None
        forged = ShamirSlot(generation=plan.slot.generation, shares=4, threshold=2, wrapped=plan.slot.wrapped)
        await vault.overwrite(SLOT_PATH, encode(SLOT_PATH, forged))
        await vault.life.unseal(plan.keys[0])
        assert await refused(vault.life.unseal(plan.keys[1])) == WRONG_KEY

    asyncio.run(scenario())
