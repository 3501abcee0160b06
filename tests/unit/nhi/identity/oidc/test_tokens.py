# SPDX-License-Identifier: EUPL-1.2
"""Identity tokens: what is in them, who can verify them, and how their keys come and go."""

import asyncio
import base64
import io
import itertools
import json
import threading
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from nhi.identity.oidc import pairs
from nhi.identity.records.oidc import KEY_KIND
from nhi.jose.signing_key import ALGORITHMS, BadSignature, SigningKey, generate, sign, verify
from tests.unit.nhi.auth.house import AuthHouse, auth, opened
from tests.unit.token.house import HOUR, play
from vault.background.loop import Background
from vault.background.skew import Skew
from vault.framework.telemetry.log import Log

OIDC = "identity/oidc/"
DAY = 24 * HOUR
MINUTE = 60
_PATIENCE = 60
"""Seconds after which a pair that still waits says that the write waits for it."""
READS = 'path "identity/oidc/token/*" { capabilities = ["read"] }'


async def signed_in(template: str = "", **key: object) -> tuple[AuthHouse, str, str]:
    """Return a vault with a key `k` and a role `r`, a token that may use it, and its entity."""
    house = await opened()
    await house.policy("oidc", READS)
    await house.user(token_policies="oidc")
    found = auth(await house.log_in())
    await house.good("POST", OIDC + "key/k", {"allowed_client_ids": "*", "algorithm": "ES256", **key})
    await house.good("POST", OIDC + "role/r", {"key": "k", "client_id": "them", "template": template})
    return house, found["client_token"], found["entity_id"]


async def issued(house: AuthHouse, token: str) -> str:
    """Return a new identity token."""
    return str((await house.good("GET", OIDC + "token/r", token=token)).data["token"])


async def published(house: AuthHouse) -> list[dict[str, str]]:
    """Return what verifiers read."""
    answer = await house("GET", OIDC + ".well-known/keys", token="")
    found: list[dict[str, str]] = json.loads(answer.text)["keys"]
    return found


def parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims of a token, unverified."""
    head, body, _ = token.split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body)]
    return decoded[0], decoded[1]


async def active(house: AuthHouse, token: str) -> bool:
    """Whether introspection calls a token good."""
    answer = await house("POST", OIDC + "introspect", {"token": token})
    return bool(json.loads(answer.text)["active"])


def test_a_token_says_who_its_caller_is_and_anybody_can_verify_it_by_the_published_keys() -> None:
    async def scenario() -> None:
        house, token, entity = await signed_in('{"team":{{identity.entity.metadata.team}},"n":[1]}')
        await house.good("POST", f"identity/entity/id/{entity}", {"metadata": {"team": 'r"ed'}})
        made = await issued(house, token)
        header, claims = parts(made)
        now = house.clock.millis() // 1000
        assert claims == {
            "iss": "https://vault.example:8200/v1/identity/oidc",
            "sub": entity,
            "aud": "them",
            "namespace": "root",
            "iat": now,
            "exp": now + DAY,
            "team": 'r"ed',
            "n": [1],
        }
        keys = [key for key in await published(house) if key["kid"] == header["kid"]]
        found = jwt.decode(
            made, KeySet.import_key_set({"keys": [dict(key) for key in keys]}), algorithms=["ES256"]
        )
        assert found.claims["sub"] == entity
        assert await active(house, made)

    play(scenario)


def test_the_key_that_signs_next_is_published_before_it_signs_and_the_last_one_while_its_tokens_live() -> (
    None
):
    async def scenario() -> None:
        house, token, _ = await signed_in(rotation_period="24h", verification_ttl="24h")
        first = await issued(house, token)
        kid = parts(first)[0]["kid"]
        before = {key["kid"] for key in await published(house)}
        assert len(before) == 2
        await rotated(house, DAY + 1)
        second = await issued(house, auth(await house.log_in())["client_token"])
        assert parts(second)[0]["kid"] in before - {kid}
        assert kid in {key["kid"] for key in await published(house)}
        house.clock.sleep(DAY + 1)
        assert kid not in {key["kid"] for key in await published(house)}
        assert not await active(house, first)

    play(scenario)


def test_keys_are_published_and_verify_while_they_sign_for_a_role() -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        await house.good("POST", OIDC + "key/idle", {"algorithm": "ES256"})
        made = await issued(house, token)
        used = {key["kid"] for key in await published(house)}
        assert len(used) == 2
        await house.good("POST", OIDC + "role/other", {"key": "idle"})
        assert len({key["kid"] for key in await published(house)} - used) == 2
        assert await active(house, made)
        await house.good("DELETE", OIDC + "role/r")
        assert not {key["kid"] for key in await published(house)} & used
        assert not await active(house, made)

    play(scenario)


async def rotated(house: AuthHouse, seconds: int) -> None:
    """Let time pass, and do what is due then."""
    house.clock.sleep(seconds)
    handlers = {KEY_KIND: house.pairs.rotate}
    log = Log(stream=io.StringIO())
    skew = Skew(house.storage, house.clock, log)
    due = Background(house.storage, house.barrier, handlers, {}, skew=skew, log=log)
    assert await due.work()


class Gate:
    """Stands before the making of every pair: it is not made until another's write is through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.waited: list[bool] = []
        self._begun, self._open = threading.Event(), threading.Event()
        monkeypatch.setattr(pairs, "generate", self._generate)

    def _generate(self, algorithm: str, kid: str) -> SigningKey:
        self.made += 1
        self._begun.set()
        self.waited.append(self._open.wait(_PATIENCE))
        return generate(algorithm, kid)

    async def pass_by(self, house: AuthHouse, work: Awaitable[object]) -> None:
        """Do `work`, and write something else while the pair that it needs is being made."""
        task = asyncio.ensure_future(work)
        assert await asyncio.to_thread(self._begun.wait, MINUTE)
        await house.good("POST", "identity/entity", {"name": f"other{self.made}"})
        self._open.set()
        await task
        assert all(self.waited)
        self._begun.clear()
        self._open.clear()


def test_nobodys_write_waits_while_a_pair_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        house, _, _ = await signed_in(algorithm="RS256")
        gate = Gate(monkeypatch)
        await gate.pass_by(house, house.good("POST", OIDC + "key/new", {"algorithm": "ES256"}))
        await gate.pass_by(house, house.good("POST", OIDC + "key/new", {"algorithm": "RS256"}))
        await gate.pass_by(house, house.good("POST", OIDC + "key/k/rotate"))
        await gate.pass_by(house, house.good("POST", OIDC + "role/first", {"key": "default"}))
        await gate.pass_by(house, rotated(house, DAY + 1))

    play(scenario)


def test_rotating_a_key_makes_the_one_pair_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        house, _, _ = await signed_in()
        before = await published(house)
        gate = Gate(monkeypatch)
        await gate.pass_by(house, house.good("POST", OIDC + "key/k/rotate"))
        assert gate.made == 1
        signs, new, retired = await published(house)
        assert [retired, signs] == before
        assert new not in before
        await gate.pass_by(house, house.good("POST", OIDC + "key/default/rotate"))
        assert gate.made == 1 + 2  # it was never used, so that it had none

    play(scenario)


@pytest.mark.parametrize(
    ("writes", "made", "algorithms"),
    [
        (
            [("role/first", {"key": "default"}), ("key/default/rotate", None), ("key/default/rotate", None)],
            3 * 2,
            ["RS256"] * 4,
        ),
        ([("key/k", {"algorithm": "EdDSA"}), ("key/k/rotate", None)], 2 + 1 + 1, ["EdDSA"] * 3),
    ],
    ids=["of a default key", "of a key that has another algorithm by then"],
)
def test_pairs_that_no_longer_fit_a_key_are_made_anew(
    writes: list[tuple[str, dict[str, str] | None]],
    made: int,
    algorithms: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are being made before the first is written."""

    async def scenario() -> None:
        house, _, _ = await signed_in()
        free = threading.Event()
        count = itertools.count(1)

        def slow(algorithm: str, kid: str) -> SigningKey:
            next(count)
            free.wait(MINUTE)
            return generate(algorithm, kid)

        monkeypatch.setattr(pairs, "generate", slow)
        before = await published(house)
        calls = []
        for number, (path, body) in enumerate(writes, 1):
            calls.append(asyncio.ensure_future(house("POST", OIDC + path, body)))
            async with asyncio.timeout(MINUTE):
                while house.pairs._waiting < number:  # noqa: ASYNC110 - nobody tells how many wait
                    await asyncio.sleep(0)
        free.set()
        assert {call.status for call in await asyncio.gather(*calls)} <= {200, 204}
        new = [key for key in await published(house) if key not in before]
        assert ([key["alg"] for key in new], next(count) - 1) == (algorithms, made)

    play(scenario)


def test_so_many_calls_wait_for_pairs_and_nothing_else_waits_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        house, _, _ = await signed_in()
        free = threading.Event()

        def slow(algorithm: str, kid: str) -> SigningKey:
            free.wait(MINUTE)
            return generate(algorithm, kid)

        monkeypatch.setattr(pairs, "generate", slow)
        new = {"algorithm": "EdDSA"}
        calls = [
            asyncio.ensure_future(house("POST", f"{OIDC}key/new{number}", new))
            for number in range(pairs.WAITING + 1)
        ]
        refused, _ = await asyncio.wait(calls, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        elsewhere = asyncio.ensure_future(asyncio.to_thread(threading.get_ident))
        done, _ = await asyncio.wait([elsewhere], timeout=_PATIENCE)
        timed = asyncio.ensure_future(rotated(house, DAY + 1))
        free.set()
        await timed
        assert [call.result().status for call in refused] == [429]
        assert done == {elsewhere}
        assert sorted([call.status for call in await asyncio.gather(*calls)]) == [204] * pairs.WAITING + [429]

    play(scenario)


def test_no_pair_is_made_for_whom_may_not_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        gate = Gate(monkeypatch)
        for path, body in (("key/new", {}), ("key/k/rotate", {}), ("role/new", {"key": "default"})):
            assert (await house("POST", OIDC + path, body, token=token)).status == 403
        assert (await house("POST", OIDC + "role/new", {"key": "default", "ttl": "9000h"})).status == 400
        assert gate.made == 0

    play(scenario)


def test_a_token_is_good_until_it_expires_and_no_longer() -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        made = await issued(house, token)
        house.clock.sleep(DAY - 1)
        assert await active(house, made)
        house.clock.sleep(1)
        assert not await active(house, made)

    play(scenario)


def test_tokens_that_nobody_signed_are_no_good_whatever_they_say_of_themselves() -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        header, claims = parts(await issued(house, token))
        public = (await published(house))[0]
        none = ".".join([encoded({**header, "alg": "none"}), encoded(claims), ""])
        confused = jwt.encode(
            {"alg": "HS256", "kid": header["kid"]},
            dict(claims),
            OctKey.import_key(json.dumps(public).encode()),
            algorithms=["HS256"],
        )
        foreign = sign(generate("ES256", header["kid"]), claims)
        own_key = sign(generate("ES256", "x"), {**claims, "jwk": public})
        for forged in (none, confused, foreign, own_key, "a.b.c", "..", "x"):
            assert not await active(house, forged), forged

    play(scenario)


def encoded(value: Mapping[str, Any]) -> str:
    """Return JSON in base64url."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs_and_its_own_key_alone_verifies(algorithm: str) -> None:
    key, other = generate(algorithm, "one"), generate(algorithm, "one")
    made = sign(key, {"sub": "x"})
    assert verify(made, [other.public, key.public]) == {"sub": "x"}
    with pytest.raises(BadSignature):
        verify(made, [other.public])
    assert "d" not in key.public and repr(key) == "<SigningKey one>"


def test_nothing_is_signed_for_a_client_that_the_key_is_not_for_or_for_a_token_without_an_entity() -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        assert (await house("GET", OIDC + "token/r")).status == 400
        await house.good("POST", OIDC + "key/k", {"allowed_client_ids": "others"})
        assert (await house("GET", OIDC + "token/r", token=token)).status == 400

    play(scenario)


def test_no_private_key_is_shown_or_logged() -> None:
    async def scenario() -> None:
        house, token, _ = await signed_in()
        await issued(house, token)
        shown = (await house.good("GET", OIDC + "key/k")).text
        assert b"private" not in shown and not any("d" in key for key in await published(house))

    play(scenario)
