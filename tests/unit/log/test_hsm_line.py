# SPDX-License-Identifier: EUPL-1.2
"""The signature of a key in an HSM: in time, or told to be missing; tried again now and then, and never waited for."""

import asyncio
import io
from collections.abc import Awaitable, Callable

from tests.clocks import SECOND, MovedClock
from tests.unit.log.hsm_keys import FakeHsmKey
from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.log.format.note import Signer
from vault.log.hsm_line import PAUSE, HsmLine

NAME = "vault.example.eu/log/0123abcd-0-1"


class Site:
    """A line with its key, its clock, and what was told."""

    def __init__(self) -> None:
        self.key = FakeHsmKey()
        self.clock = MovedClock(SECOND)
        self._told = io.StringIO()
        self.line = HsmLine(
            self.key, Log(stream=self._told, clock=Clock()), self.clock.monotonic, deadline=0.05
        )

    @property
    def told(self) -> list[str]:
        return [line.split()[1] for line in self._told.getvalue().splitlines()]

    @property
    def text(self) -> str:
        return self._told.getvalue()

    async def sign(self, text: str) -> bool:
        """Whether there is a signature of a text; it is verified."""
        return verified(await self.line.sign(NAME, text), text)

    async def settle(self) -> None:
        """Let what is tried beside come to its end."""
        while (attempt := self.line._attempt) is not None:
            await asyncio.wait({attempt})
            await asyncio.sleep(0)

    async def ready(self) -> None:
        """Let the HSM have answered."""
        await self.sign("first")
        await self.settle()
        assert await self.sign("second")


def verified(signer: Signer | None, text: str) -> bool:
    if signer is None:
        return False
    signer.verifier.verify(text.encode(), signer.sign(text.encode()))
    return True


def play(scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        site = Site()
        await scenario(site)
        site.line.forget()

    asyncio.run(whole())


def test_the_first_text_does_not_wait_and_its_signature_is_there_for_the_next_time() -> None:
    async def scenario(site: Site) -> None:
        assert not await site.sign("one")
        await site.settle()
        assert await site.sign("one")
        assert await site.sign("two")
        assert (site.key.asked, site.key.found, site.told, site.line.trouble) == (2, 2, [], "")
        state = site.line.state(NAME)
        assert state.key.startswith(f"{NAME}+")
        assert site.line.verifier is not None
        assert (site.line.verifier.public, state.key) == (site.key.public, site.line.verifier.vkey)
        assert site.line.state("another").key.startswith("another+")

    play(scenario)


def test_an_hsm_that_hangs_is_waited_for_once_and_told_of_once() -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.answers.clear()
        assert not await site.sign("three")
        asked = site.key.asked
        for number in range(20):
            site.clock.sleep(1)
            assert not await site.sign(f"text {number}")
        assert (site.key.asked, site.told) == (asked, ["[WARN]"])
        assert site.line.trouble == "it did not answer within 0.05 s"
        assert "signed with Ed25519 alone" in site.text

    play(scenario)


def test_an_hsm_that_answers_again_signs_again() -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.refusal = Unavailable("token a: not present")
        assert not await site.sign("three")
        assert site.line.trouble == "token a: not present"
        site.key.refusal = None
        assert not await site.sign("four")
        site.clock.sleep(PAUSE + 1)
        assert not await site.sign("five")
        await site.settle()
        assert await site.sign("five")
        assert await site.sign("six")
        assert (site.told, site.line.trouble) == (["[WARN]", "[INFO]"], "")

    play(scenario)


def test_an_hsm_that_is_away_is_tried_now_and_then() -> None:
    async def scenario(site: Site) -> None:
        site.key.refusal = Unavailable("token a: not present")
        for number in range(60):
            site.clock.sleep(1)
            assert not await site.sign(f"text {number}")
            await site.settle()
        assert 8 <= site.key.asked <= 12
        assert site.told == ["[WARN]"]

    play(scenario)


def test_an_hsm_that_is_too_slow_is_not_waited_for_and_what_it_signs_late_is_used() -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.answers.clear()
        assert not await site.sign("three")
        site.clock.sleep(1)
        site.key.answers.set()
        await site.settle()
        assert await site.sign("three")
        assert site.line.trouble == "it takes longer than 0.05 s"
        assert not await site.sign("four")
        assert site.told == ["[WARN]"]

    play(scenario)


def test_a_signature_that_does_not_fit_is_none() -> None:
    async def scenario(site: Site) -> None:
        site.key.spoil = True
        assert not await site.sign("one")
        await site.settle()
        assert not await site.sign("one")
        assert (site.line.trouble, site.told) == ("invalid signature", ["[WARN]"])

    play(scenario)


def test_a_key_of_another_kind_is_none() -> None:
    async def scenario(site: Site) -> None:
        site.key.public = b"no key"
        assert not await site.sign("one")
        await site.settle()
        assert site.line.trouble == "an ECDSA key is an SPKI in DER"

    play(scenario)


def test_the_last_text_is_signed_without_looking_for_the_key_again() -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        found = site.key.found
        assert verified(await site.line.sign_last(NAME, "last"), "last")
        assert verified(await site.line.sign_last(NAME, "last"), "last")
        assert (site.key.found, site.key.asked) == (found, 3)

    play(scenario)


def test_the_last_text_is_tried_though_the_hsm_was_away() -> None:
    async def scenario(site: Site) -> None:
        site.key.refusal = Unavailable("away")
        assert not await site.sign("one")
        await site.settle()
        site.key.refusal = None
        assert verified(await site.line.sign_last(NAME, "last"), "last")

    play(scenario)


def test_the_last_text_waits_no_longer_than_a_moment() -> None:
    async def scenario(site: Site) -> None:
        site.key.answers.clear()
        assert not await site.sign("one")
        began = asyncio.get_running_loop().time()
        assert await site.line.sign_last(NAME, "last") is None
        assert asyncio.get_running_loop().time() - began < 30

    play(scenario)


def test_what_was_forgotten_signs_nothing_and_ends_what_was_tried() -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.answers.clear()
        await site.sign("three")
        attempt = site.line._attempt
        assert attempt is not None
        site.line.forget()
        await asyncio.wait({attempt})
        assert (attempt.cancelled(), site.key.forgotten, site.line.trouble) == (True, True, "")
        site.key.answers.set()
        assert not await site.sign("four")
        await site.settle()
        assert await site.sign("four")

    play(scenario)
