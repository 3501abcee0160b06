# SPDX-License-Identifier: EUPL-1.2
"""One-time passwords: the vectors of RFC 6238, and that a code is good once however it is spelled."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.engines.driver import Driver, FakeClock
from vault.engines.totp import codes
from vault.engines.totp.engine import Totp
from vault.engines.totp.model import Key
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool

SECRET = base64.b32encode(b"12345678901234567890").decode()
SEEDS = {
    "SHA1": b"12345678901234567890",
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
VECTORS = [
    (59, "SHA1", "94287082"),
    (59, "SHA256", "46119246"),
    (59, "SHA512", "90693936"),
    (1_111_111_109, "SHA1", "07081804"),
    (1_111_111_109, "SHA256", "68084774"),
    (1_111_111_109, "SHA512", "25091201"),
    (1_234_567_890, "SHA1", "89005924"),
    (2_000_000_000, "SHA256", "90698825"),
    (20_000_000_000, "SHA1", "65353130"),
    (20_000_000_000, "SHA512", "47863826"),
]


def play(scenario: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        clock = FakeClock()
        await scenario(await Driver(Totp(clock, Entropy(), Pool()), clock).start())

    asyncio.run(run())


@pytest.mark.parametrize(("at", "algorithm", "code"), VECTORS)
def test_codes_are_those_of_rfc_6238(at: int, algorithm: str, code: str) -> None:
    key = Key(secret=SEEDS[algorithm], algorithm=algorithm, digits=8)
    assert codes.code(key, at // 30) == code


def test_a_code_is_good_in_its_period_and_as_far_as_the_skew_goes() -> None:
    async def scenario(totp: Driver) -> None:
        for skew, good in ((0, [True, False, False]), (1, [True, True, False])):
            for periods, wanted in enumerate(good):
                await totp("POST", "keys/k", {"key": SECRET, "skew": skew, "digits": 8})
                code = (await totp("GET", "code/k")).data["code"]
                totp.clock.sleep(30 * periods)
                answer = await totp("POST", "code/k", {"code": code})
                assert answer.data == {"valid": wanted}, (skew, periods)

    play(scenario)


def test_sl_24_a_code_is_good_once_however_it_is_spelled() -> None:
    async def scenario(totp: Driver) -> None:
        await totp("POST", "keys/k", {"key": SECRET})
        code = (await totp("GET", "code/k")).data["code"]
        wide = "".join(chr(0xFF10 + int(digit)) for digit in code)
        arabic = "".join(chr(0x660 + int(digit)) for digit in code)
        spellings = [f" {code}", f"{code} ", f"{code[:3]} {code[3:]}", f"0{code}", f"{code}\n", f"+{code}"]
        for spelling in spellings:
            assert "invalid number of digits" in await totp.refused("POST", "code/k", {"code": spelling})
        for spelling in (wide, arabic):
            assert (await totp("POST", "code/k", {"code": spelling})).data == {"valid": False}
        assert (await totp("POST", "code/k", {"code": code})).data == {"valid": True}
        assert "already used" in await totp.refused("POST", "code/k", {"code": code})
        totp.clock.sleep(30)
        assert "already used" in await totp.refused("POST", "code/k", {"code": code})

    play(scenario)


def test_sl_24_each_period_has_its_own_use_and_old_ones_are_forgotten() -> None:
    async def scenario(totp: Driver) -> None:
        await totp("POST", "keys/k", {"key": SECRET})
        for _ in range(40):
            code = (await totp("GET", "code/k")).data["code"]
            assert (await totp("POST", "code/k", {"code": code})).data == {"valid": True}
            assert "already used" in await totp.refused("POST", "code/k", {"code": code})
            totp.clock.sleep(30)
        kept = codes.spend(Key(secret=b"x", used=tuple(range(100))), 100)
        assert kept.used == (97, 98, 99, 100)

    play(scenario)


def test_a_key_that_is_made_here_is_shown_once_and_makes_the_same_codes_elsewhere() -> None:
    async def scenario(totp: Driver) -> None:
        made = {"generate": True, "issuer": "Ärger & Co", "account_name": "a:b@c"}
        answer = (await totp("POST", "keys/k", made)).data
        assert base64.b64decode(answer["barcode"])[:8] == b"\x89PNG\r\n\x1a\n"
        secret = parse_qs(urlsplit(answer["url"]).query)["secret"][0]
        await totp("POST", "keys/other", {"url": answer["url"]})
        assert (await totp("GET", "code/k")).data["code"] == (await totp("GET", "code/other")).data["code"]
        shown = await totp("GET", "keys/k")
        assert set(shown.data) == {"account_name", "algorithm", "digits", "issuer", "period"}
        assert secret.encode() not in shown.text
        assert (await totp("GET", "keys/other")).data["issuer"] == "Ärger & Co"

    play(scenario)


@pytest.mark.parametrize(
    "fields",
    [
        {"key_size": 1 << 20},
        {"qr_size": 1 << 20},
        {"period": 0},
        {"digits": 1 << 40},
        {"skew": 99},
        {"algorithm": "MD5"},
    ],
)
def test_what_would_cost_too_much_or_mean_nothing_is_refused(fields: dict[str, object]) -> None:
    async def scenario(totp: Driver) -> None:
        made = {"generate": True, "issuer": "i", "account_name": "a", **fields}
        assert (await totp.refused("POST", "keys/k", made)).startswith("Malformed: the ")
        assert await totp.stored() == []

    play(scenario)
