# SPDX-License-Identifier: EUPL-1.2
import asyncio
import base64
import os
from collections.abc import Sequence

import pytest

from tests.unit.barrier.stream import flips
from tests.unit.seal.keys import NOW, Holder
from vault.barrier.barrier import Barrier
from vault.barrier.keyring import KEYRING_PATH
from vault.seal import lifecycle as module
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitPlan, InitRequest
from vault.seal.lifecycle import Lifecycle
from vault.seal.record import CONFIG_PATH, SealConfig, ShamirSlot, decode, encode, slot_path
from vault.seal.state import WRONG_KEY
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure

SLOT_PATH = slot_path("shamir")
FIVE_THREE = InitRequest(secret_shares=5, secret_threshold=3)
ONE = InitRequest(secret_shares=1, secret_threshold=1)


class Vault:
    """One node: storage, barrier and lifecycle; `fail_at` makes that statement (from 1) of storage fail."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        self.fail_at = 0
        self.statements: list[str] = []
        self.storage = storage or MemoryStorage(on_statement=self._on_statement)
        self.barrier = Barrier(self.storage, now=lambda: NOW, random=os.urandom)
        self.life = Lifecycle(self.storage, self.barrier, now=lambda: NOW, random=os.urandom)

    def _on_statement(self, name: str) -> None:
        self.statements.append(name)
        if len(self.statements) == self.fail_at:
            raise StorageFailure

    def fail_statement(self, number: int) -> None:
        """Let the `number`th statement from now on fail; 0 for none."""
        self.statements.clear()
        self.fail_at = number

    async def init(self, request: InitRequest = ONE) -> InitPlan:
        """Initialise, with one first entry as the root token would be."""
        plan = await self.life.prepare_init(request)
        async with self.storage.write() as tx:
            await self.life.commit_init(tx, plan)
            await plan.view(tx, "root", "sys/token/").put("root", b"token")
        return plan

    async def unseal(self, keys: Sequence[str]) -> None:
        """Give `keys` one after the other."""
        for key in keys:
            await self.life.unseal(key)

    async def token(self) -> bytes | None:
        """Read the first entry."""
        return await self.barrier.reader("root", "sys/token/").get("root")

    async def overwrite(self, path: str, value: bytes | None) -> None:
        """Change storage behind the vault's back."""
        async with self.storage.write() as tx:
            await (tx.delete(path) if value is None else tx.put(path, value))


async def _refused(awaitable: object) -> tuple[str, int]:
    with pytest.raises(SealRefusal) as caught:
        await awaitable  # type: ignore[misc]
    return str(caught.value), caught.value.status


def test_before_initialisation_there_is_nothing() -> None:
    async def scenario() -> None:
        vault = Vault()
        assert not await vault.life.is_initialized()
        assert await vault.life.config() is None
        status = await vault.life.status()
        assert (status.type, status.initialized, status.sealed) == ("shamir", False, True)
        assert (status.t, status.n, status.progress, status.nonce) == (0, 0, 0, "")
        assert await _refused(vault.life.unseal("11" * 33)) == ("Vault is not initialized", 400)
        assert await _refused(vault.life.unseal("1111")) == ("Vault is not initialized", 400)
        assert await vault.life.unseal(reset=True) == status

    asyncio.run(scenario())


def test_a_vault_is_initialised_sealed_and_opens_with_any_three_of_five() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        assert len(plan.keys) == 5
        assert [base64.b64decode(key).hex() for key in plan.keys_base64] == list(plan.keys)
        assert all(len(key) == 66 for key in plan.keys)
        status = await vault.life.status()
        assert (status.initialized, status.sealed, status.t, status.n, status.progress) == (
            True,
            True,
            3,
            5,
            0,
        )
        first = await vault.life.unseal(plan.keys[4])
        assert (first.progress, first.sealed) == (1, True)
        assert first.nonce
        again = await vault.life.unseal(plan.keys_base64[4])
        assert again == first
        second = await vault.life.unseal(plan.keys[0].upper())
        assert (second.progress, second.nonce) == (2, first.nonce)
        last = await vault.life.unseal(plan.keys[2])
        assert (last.progress, last.nonce, last.sealed) == (0, "", False)
        assert await vault.token() == b"token"

    asyncio.run(scenario())


def test_a_single_share_opens_at_once() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        assert len(plan.keys[0]) == 64
        assert not (await vault.life.unseal(plan.keys[0])).sealed

    asyncio.run(scenario())


def test_an_unsealed_vault_ignores_further_shares_and_refuses_a_reset() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        await vault.unseal(plan.keys)
        for key in (plan.keys[0], "1111", "11" * 40):
            assert not (await vault.life.unseal(key)).sealed
        assert await _refused(vault.life.unseal(reset=True)) == ("vault is unsealed", 400)

    asyncio.run(scenario())


def test_a_reset_forgets_the_shares() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:2])
        status = await vault.life.unseal(plan.keys[2], reset=True)
        assert (status.progress, status.nonce, status.sealed) == (0, "", True)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "migrate", "text", "status"),
    [
        ("", False, "'key' must be specified in request body as JSON, or 'reset' set to true", 400),
        ("", True, "'key' must be specified in request body as JSON, or 'reset' set to true", 400),
        ("zz", True, "'key' must be a valid hex or base64 string", 400),
        ("1111", True, "can't perform a seal migration, no migration seal found", 500),
        ("1111", False, "invalid key: key is shorter than minimum 16 bytes", 400),
        ("11" * 34, False, "invalid key: key is longer than maximum 33 bytes", 400),
        ("11" * 33, False, "invalid key: failed to setup unseal key: crypto/aes: invalid key size 33", 400),
        ("11" * 32, False, WRONG_KEY, 400),
        ("11" * 16, False, WRONG_KEY, 400),
    ],
)
def test_a_bad_key_is_refused_in_openbaos_words(key: str, migrate: bool, text: str, status: int) -> None:
    async def scenario() -> None:
        vault = Vault()
        await vault.init()
        assert await _refused(vault.life.unseal(key, migrate=migrate)) == (text, status)
        assert (await vault.life.status()).sealed

    asyncio.run(scenario())


def test_wrong_shares_are_refused_and_the_right_ones_still_open() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:2])
        assert await _refused(vault.life.unseal("11" * 33)) == (WRONG_KEY, 400)
        assert (await vault.life.status()).progress == 0
        await vault.unseal(plan.keys[:2])
        duplicate = plan.keys[2][:-2] + plan.keys[0][-2:]
        text = "invalid key: failed to compute combined key: duplicate part detected"
        assert await _refused(vault.life.unseal(duplicate)) == (text, 400)
        assert (await vault.life.status()).progress == 0
        await vault.unseal(plan.keys[1:4])
        assert not vault.barrier.sealed

    asyncio.run(scenario())


def test_sealing_forgets_the_keys_and_saves_the_counts() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:3])
        async with vault.barrier.write("root", "m/") as view:
            await view.put("a", b"x")
        await vault.life.seal()
        assert (await vault.life.status()).sealed
        await vault.unseal(plan.keys[:2])
        await vault.life.seal()
        assert (await vault.life.status()).progress == 0
        await vault.unseal(plan.keys[:3])
        assert vault.barrier.keyring.active.encryptions == 1

    asyncio.run(scenario())


def test_a_vault_seals_even_when_storage_fails_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        await vault.unseal(plan.keys)
        await vault.barrier.view(_Discard(), "root", "m/").put("a", b"x")  # type: ignore[arg-type]
        vault.fail_statement(1)
        with pytest.raises(StorageFailure):
            await vault.life.seal()
        assert vault.barrier.sealed
        vault.fail_statement(0)
        await vault.unseal(plan.keys)
        await vault.barrier.view(_Discard(), "root", "m/").put("a", b"x")  # type: ignore[arg-type]
        monkeypatch.setattr(module, "SAVE_SECONDS", 0.01)
        async with vault.storage.write():
            with pytest.raises(TimeoutError):
                await vault.life.seal()
        assert vault.barrier.sealed

    asyncio.run(scenario())


class _Discard:
    async def put(self, path: str, value: bytes) -> None:
        pass


def test_a_confirmed_vault_is_never_initialised_again() -> None:
    async def scenario() -> None:
        vault = Vault()
        late = await vault.life.prepare_init(ONE)
        plan = await vault.init()
        await vault.unseal(plan.keys)
        config = await vault.life.config()
        assert config is not None
        assert config.confirmed
        assert await _refused(vault.life.prepare_init(ONE)) == ("Vault is already initialized", 400)
        with pytest.raises(SealRefusal):
            async with vault.storage.write() as tx:
                await vault.life.commit_init(tx, late)
        await vault.life.seal()
        assert await _refused(vault.life.prepare_init(ONE)) == ("Vault is already initialized", 400)
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
        assert await _refused(vault.life.unseal(lost.keys[3])) == (WRONG_KEY, 400)
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
        lock = vault.storage.lock
        await lock.acquire()
        unsealing = asyncio.create_task(vault.life.unseal(plan.keys[0]))
        await asyncio.sleep(0)
        replacing = await other.life.prepare_init(ONE)
        vault.storage.data.put(CONFIG_PATH, encode(CONFIG_PATH, replacing.config))
        lock.release()
        with pytest.raises(SealFailure, match="another initialisation"):
            await unsealing
        assert vault.barrier.sealed

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [CONFIG_PATH, SLOT_PATH, KEYRING_PATH])
def test_every_changed_bit_of_what_is_stored_is_refused(path: str) -> None:
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


def test_a_seal_asked_for_during_an_unseal_has_the_last_word() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init()
        async with vault.storage.write():
            unsealing = asyncio.create_task(vault.life.unseal(plan.keys[0]))
            await asyncio.sleep(0)
            sealing = asyncio.create_task(vault.life.seal())
            await asyncio.sleep(0)
        await asyncio.gather(unsealing, sealing)
        assert vault.barrier.sealed

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


def test_a_record_of_another_format_or_from_another_path_is_refused() -> None:
    config = SealConfig(generation="g", slots=("shamir",), confirmed=True)
    with pytest.raises(SealFailure, match="integrity"):
        decode("elsewhere", encode(CONFIG_PATH, config), SealConfig)
    with pytest.raises(SealFailure, match="format"):
        decode(CONFIG_PATH, encode(CONFIG_PATH, config), ShamirSlot)


def test_shares_and_threshold_in_the_slot_cannot_be_changed_even_with_a_new_digest() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(InitRequest(secret_shares=3, secret_threshold=2))
        forged = ShamirSlot(generation=plan.slot.generation, shares=4, threshold=2, wrapped=plan.slot.wrapped)
        await vault.overwrite(SLOT_PATH, encode(SLOT_PATH, forged))
        await vault.life.unseal(plan.keys[0])
        assert await _refused(vault.life.unseal(plan.keys[1])) == (WRONG_KEY, 400)

    asyncio.run(scenario())


def test_two_shares_given_at_once_both_count() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await asyncio.gather(*(vault.life.unseal(key) for key in plan.keys))
        assert not vault.barrier.sealed

    asyncio.run(scenario())


def test_shares_and_token_are_encrypted_to_their_holders() -> None:
    async def scenario() -> None:
        vault = Vault()
        holders = [Holder("one"), Holder("two")]
        request = InitRequest(2, 2, [h.text for h in holders], holders[0].text)
        plan = await vault.init(request)
        assert list(plan.pgp_fingerprints) == [h.fingerprint for h in holders]
        assert [base64.b64decode(key).hex() for key in plan.keys_base64] == list(plan.keys)
        shares = [h.read(bytes.fromhex(key)) for h, key in zip(holders, plan.keys, strict=True)]
        await vault.unseal(shares)
        assert not vault.barrier.sealed
        assert holders[0].read(base64.b64decode(plan.present_token("s.token"))) == "s.token"

    asyncio.run(scenario())


def test_without_a_key_for_it_the_token_is_shown_plain() -> None:
    async def scenario() -> None:
        assert (await Vault().life.prepare_init(ONE)).present_token("s.token") == "s.token"

    asyncio.run(scenario())


def test_a_plan_does_not_show_its_keys() -> None:
    async def scenario() -> None:
        plan = await Vault().life.prepare_init(FIVE_THREE)
        shown = repr(plan)
        for secret in (*plan.keys, *plan.keys_base64, plan.root_key.reveal().hex()):
            assert secret not in shown
        assert repr(plan.root_key.reveal()) not in shown

    asyncio.run(scenario())


def test_a_vault_opens_after_a_restart() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:3])
        restarted = Vault(vault.storage)
        assert (await restarted.life.status()).sealed
        await restarted.unseal(plan.keys[2:])
        assert await restarted.token() == b"token"

    asyncio.run(scenario())
