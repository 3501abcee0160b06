# SPDX-License-Identifier: EUPL-1.2
import asyncio
import base64

import pytest

from tests.unit.seal.keys import Holder
from tests.unit.seal.node import FIVE_THREE, ONE, Vault, refused
from vault.barrier.stored import raw
from vault.seal import lifecycle as module
from vault.seal.init import InitRequest
from vault.seal.shares.progress import WRONG_KEY
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID


class _Discard:
    async def put(self, path: str, value: bytes) -> None:
        pass


def test_before_initialisation_there_is_nothing() -> None:
    async def scenario() -> None:
        vault = Vault()
        assert not await vault.life.is_initialized()
        assert await vault.life.config() is None
        status = await vault.life.status()
        assert (status.type, status.initialized, status.sealed) == ("shamir", False, True)
        assert (status.t, status.n, status.progress, status.nonce) == (0, 0, 0, "")
        assert await refused(vault.life.unseal("11" * 33)) == "Vault is not initialized"
        assert await refused(vault.life.unseal("1111")) == "Vault is not initialized"
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
        assert await refused(vault.life.unseal(reset=True)) == "vault is unsealed"

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
    ("key", "migrate", "text"),
    [
        ("", False, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ("", True, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ("zz", True, "'key' must be a valid hex or base64 string"),
        ("1111", True, "can't perform a seal migration, no migration seal found"),
        ("1111", False, "invalid key: key is shorter than minimum 16 bytes"),
        ("11" * 34, False, "invalid key: key is longer than maximum 33 bytes"),
        ("11" * 33, False, "invalid key: failed to setup unseal key: crypto/aes: invalid key size 33"),
        ("11" * 32, False, WRONG_KEY),
        ("11" * 16, False, WRONG_KEY),
    ],
)
def test_a_bad_key_is_refused_in_openbaos_words(key: str, migrate: bool, text: str) -> None:
    async def scenario() -> None:
        vault = Vault()
        await vault.init()
        assert await refused(vault.life.unseal(key, migrate=migrate)) == text
        assert (await vault.life.status()).sealed

    asyncio.run(scenario())


def test_wrong_shares_are_refused_and_the_right_ones_still_open() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:2])
        assert await refused(vault.life.unseal("11" * 32 + "00")) == WRONG_KEY
        assert (await vault.life.status()).progress == 0
        await vault.unseal(plan.keys[:2])
        duplicate = plan.keys[2][:-2] + plan.keys[0][-2:]
        text = "invalid key: failed to compute combined key: duplicate part detected"
        assert await refused(vault.life.unseal(duplicate)) == text
        assert (await vault.life.status()).progress == 0
        await vault.unseal(plan.keys[1:4])
        assert not vault.barrier.sealed

    asyncio.run(scenario())


def test_sealing_forgets_the_keys_and_saves_the_counts() -> None:
    async def scenario() -> None:
        vault = Vault()
        plan = await vault.init(FIVE_THREE)
        await vault.unseal(plan.keys[:3])
        async with vault.barrier.write(ROOT_ID, "m/") as view:
            await view.put("a", raw(b"x"))
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
        await vault.barrier.view(_Discard(), "root", "m/").put("a", b"x")  # type: ignore[arg-type]  # it only puts
        vault.fail_statement(1)
        with pytest.raises(StorageFailure):
            await vault.life.seal()
        assert vault.barrier.sealed
        vault.fail_statement(0)
        await vault.unseal(plan.keys)
        await vault.barrier.view(_Discard(), "root", "m/").put("a", b"x")  # type: ignore[arg-type]  # it only puts
        monkeypatch.setattr(module, "SAVE_SECONDS", 0.01)
        async with vault.storage.write():
            with pytest.raises(TimeoutError):
                await asyncio.create_task(vault.life.seal())
        assert vault.barrier.sealed

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
        request = InitRequest(
            secret_shares=2,
            secret_threshold=2,
            pgp_keys=[h.text for h in holders],
            root_token_pgp_key=holders[0].text,
        )
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
