# SPDX-License-Identifier: EUPL-1.2
"""A new root token with the consent of those who hold shares; every answer is compared with OpenBao elsewhere."""

import asyncio
import base64
import os

import pytest

from hsm.errors import SlotUnavailable
from tests.unit.engines.system.seal.test_slots import Estate, play
from tests.unit.seal.auto import RECOVERY, Machine, named
from tests.unit.seal.keys import NOW, REVOKED, Holder
from tests.unit.seal.node import refused
from vault.seal.consent.generate_root import RootGeneration
from vault.seal.consent.share_holders import VaultHolders
from vault.seal.failure import SealRefusal
from vault.seal.init import InitRequest
from vault.seal.records.slots import NoSlotAnswers, Slots

ATTEMPT = "generate-root-token/attempt"
UPDATE = "generate-root-token/update"
PAD = "a" * 26


async def made(here: Estate, body: dict[str, str]) -> tuple[str, str]:
    """Make a root token; return the pad that was given out, and the hidden token."""
    begun = (await here("POST", ATTEMPT, body)).json()["data"]
    for share in here.shares[:2]:
        done = (await here("POST", UPDATE, {"key": share, "nonce": begun["nonce"]})).json()["data"]
    assert done["complete"]
    return begun["otp"], done["encoded_token"]


def test_a_token_comes_out_of_the_pad_of_whoever_began() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        pad, hidden = await made(here, {})
        decoded = await here("POST", "decode-token", {"encoded_token": hidden, "otp": pad}, token="")
        token = decoded.json()["data"]["token"]
        assert (await here("LIST", "seal-slots", token=token)).status == 200
        assert token not in here.text.getvalue()
        assert "a root token was made" in here.text.getvalue()
        assert not (await here("GET", ATTEMPT)).json()["data"]["started"]
        assert (await made(here, {"otp": PAD}))[0] == ""

    play(scenario)


def test_a_token_is_encrypted_to_a_key() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        holder = Holder("one")
        _, hidden = await made(here, {"pgp_key": holder.text})
        token = holder.read(base64.b64decode(hidden))
        assert (await here("LIST", "seal-slots", token=token)).status == 200

    play(scenario)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"encoded_token": "!!", "otp": "x"}, "illegal base64"),
        ({"encoded_token": "AAAA", "otp": "x"}, "3 != 1"),
        ({"otp": "x"}, "is empty"),
    ],
)
def test_what_is_no_hidden_token_is_refused(body: dict[str, str], text: str) -> None:
    async def scenario() -> None:
        here = await Estate().open()
        answer = await here("POST", "decode-token", body)
        assert (answer.status, text in answer.json()["errors"][0]) == (400, True)

    play(scenario)


def test_an_attempt_can_be_given_up_and_its_refusals_are_told() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        assert (await here("POST", ATTEMPT, {"otp": "short"})).status == 400
        assert (await here("POST", ATTEMPT, {})).status == 200
        assert (await here("POST", ATTEMPT, {})).status == 400
        assert (await here("GET", ATTEMPT)).json()["data"]["started"]
        assert (await here("DELETE", ATTEMPT)).status == 204
        for body in ({}, {"key": "x"}, {"nonce": "x"}, {"key": "00" * 33, "nonce": "x"}):
            assert (await here("POST", UPDATE, body)).status == 400

    play(scenario)


def test_consent_is_checked_and_forgotten() -> None:
    async def scenario() -> None:
        for slots, words in (
            (Slots(enabled=named("a")), "recovery key verification failed"),
            (Slots(), "unable to retrieve stored keys"),
        ):
            machine = Machine(slots, os.urandom)
            if slots.enabled:
                keys = list((await machine.init(RECOVERY)).recovery.keys)
                await machine.life.auto_unseal()
            else:
                keys = list((await machine.init(InitRequest(secret_shares=3, secret_threshold=2))).keys)
                await machine.give(keys[:2])
            consent = RootGeneration(VaultHolders(machine.life, os.urandom), os.urandom)
            assert "no root generation" in await refused(consent.submit(keys[0], "x"))
            consent.begin(PAD, "", NOW, length=26)
            nonce = consent.attempt.nonce
            assert nonce in await refused(consent.submit(keys[0], "x"))
            assert "shorter than minimum" in await refused(consent.submit("AAAA", nonce))
            assert await consent.submit(keys[0], nonce) is None
            assert "already been provided" in await refused(consent.submit(keys[0], nonce))
            assert words in await refused(consent.submit("11" * 32 + "00", nonce))
            assert consent.attempt.given == ()
            await consent.submit(keys[0], nonce)
            assert "same length" in await refused(consent.submit("11" * 32, nonce))
            await consent.submit(keys[0], nonce)
            assert keys[0] not in repr(consent.attempt)
            assert PAD not in repr(consent.attempt)
            await machine.life.seal()
            assert consent.attempt.nonce == ""

    asyncio.run(scenario())


def test_an_attempt_that_was_given_up_while_a_device_was_asked_makes_no_token() -> None:
    async def scenario() -> None:
        (a,) = named("a")
        machine = Machine(Slots(enabled=[a]), os.urandom)
        keys = (await machine.init(InitRequest(recovery_shares=1, recovery_threshold=1))).recovery.keys
        await machine.life.auto_unseal()
        consent = RootGeneration(VaultHolders(machine.life, os.urandom), os.urandom)
        consent.begin(PAD, "", NOW, length=26)
        a.hold = asyncio.Event()
        a.entered.clear()
        waiting = asyncio.create_task(consent.submit(keys[0], consent.attempt.nonce))
        await a.entered.wait()
        consent.cancel()
        a.hold.set()
        assert await refused(waiting) == "no root generation in progress"
        consent.begin(PAD, "", NOW, length=26)
        a.away = SlotUnavailable("away")
        with pytest.raises(NoSlotAnswers):
            await consent.submit(keys[0], consent.attempt.nonce)

    asyncio.run(scenario())


def test_a_key_that_cannot_encrypt_is_refused_before_anybody_consents() -> None:
    async def scenario() -> None:
        consent = RootGeneration(VaultHolders(Machine(Slots(), os.urandom).life, os.urandom), os.urandom)
        for key in ("x", REVOKED):
            with pytest.raises(SealRefusal):
                consent.begin("", key, NOW, length=26)
        assert consent.attempt.nonce == ""

    asyncio.run(scenario())
