# SPDX-License-Identifier: EUPL-1.2
"""Second factors: nobody gets in without one that is right, not used before, and not guessed."""

import base64
import hashlib
import hmac
import struct
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nhi.identity.mfa.second_factors import forget
from nhi.identity.records.mfa import MFA_KIND
from tests.clocks import MONTH
from tests.unit.engines.system.house import CORE, Answer
from tests.unit.nhi.auth.house import AuthHouse, auth, opened, together
from tests.unit.token.house import play
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

MFA = "identity/mfa/"
PERIOD = 30
NEAR = range(-2, 12)
"""The periods, from now on, whose codes a test gives or is let in with."""


class Phone:
    """An authenticator that was written from RFC 6238 and RFC 4226 section 5.3 alone."""

    def __init__(self, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        text = query["secret"][0]
        self._secret = base64.b32decode(text + "=" * (-len(text) % 8))
        self._hash = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}[
            query["algorithm"][0]
        ]
        self._digits = int(query["digits"][0])

    def code(self, millis: int, ahead: int = 0) -> str:
        """Return the code of a moment, or of some periods ahead of it."""
        counter = millis // 1000 // PERIOD + ahead
        digest = hmac.new(self._secret, struct.pack(">Q", counter), self._hash).digest()
        at = digest[-1] & 15
        number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
        return f"{number % 10**self._digits:0{self._digits}}"


class Secured:
    """A vault in which ada needs a second factor, and has one."""

    def __init__(self, house: AuthHouse, method: str, entity: str, phone: Phone) -> None:
        self.house, self.method, self.entity, self.phone = house, method, entity, phone

    def code(self, ahead: int = 0) -> str:
        """Return today's code."""
        return self.phone.code(self.house.clock.millis(), ahead)

    def wrong(self) -> str:
        """Return a code that is nobody's for a while."""
        return next(code for code in map("{:06}".format, range(10**6)) if code not in map(self.code, NEAR))

    async def begin(self) -> str:
        """Log in with the password alone; return the id of what waits."""
        found = auth(await self.house.log_in())
        assert found["client_token"] == "" and found["policies"] is None
        return str(found["mfa_requirement"]["mfa_request_id"])

    async def end(self, request: str, code: str) -> Answer:
        """Complete a login."""
        body = {"mfa_request_id": request, "mfa_payload": {self.method: [code]}}
        return await self.house("POST", "sys/mfa/validate", body, token="")

    async def at_once(self, code: str) -> Answer:
        """Log in with password and code in one request."""
        self.house.factors_given = [f"{self.method}:{code}"]
        try:
            return await self.house.log_in()
        finally:
            self.house.factors_given = []


async def secured(**method: Any) -> Secured:
    """Return a vault in which ada needs a second factor."""
    house = await opened()
    await house.user()
    entity = auth(await house.log_in())["entity_id"]
    made = await house.good("POST", MFA + "method/totp", {"issuer": "I", "method_name": "phone", **method})
    method_id = made.data["method_id"]
    rule = {"mfa_method_ids": [method_id], "auth_method_types": ["userpass"]}
    await house.good("POST", MFA + "login-enforcement/all", rule)
    body = {"method_id": method_id, "entity_id": entity}
    shared = await house.good("POST", MFA + "method/totp/admin-generate", body)
    return Secured(house, method_id, entity, telling(house, shared.data["url"]))


def telling(house: AuthHouse, url: str) -> Phone:
    """Return an authenticator, at a time when no code is that of another period by chance, as one in 10^6 is."""
    phone = Phone(url)
    while len({phone.code(house.clock.millis(), ahead) for ahead in NEAR}) < len(NEAR):
        house.clock.sleep(PERIOD)
    return phone


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize("digits", [6, 8])
def test_a_login_is_complete_with_password_and_code_in_two_requests_or_one(
    algorithm: str, digits: int
) -> None:
    async def scenario() -> None:
        it = await secured(algorithm=algorithm, digits=digits)
        done = auth(await it.end(await it.begin(), it.code()))
        assert done["entity_id"] == it.entity and done["mfa_requirement"] is None
        assert (await it.house("GET", "auth/token/lookup-self", token=done["client_token"])).status == 200
        it.house.clock.sleep(PERIOD)
        assert auth(await it.at_once(it.code()))["client_token"].startswith("s.")

    play(scenario)


def test_a_parent_demands_a_second_factor_of_a_childs_login_which_has_one_and_completes_it() -> None:
    async def scenario() -> None:
        house = await opened()
        for path in ("team", "other"):
            await house.namespace(path)
            await house.good("POST", f"{path}/sys/auth/userpass", {"type": "userpass"})
            await house.good("POST", f"{path}/auth/userpass/users/ada", {"password": "right"})
        made = await house.good("POST", MFA + "method/totp", {"issuer": "I", "method_name": "phone"})
        method = made.data["method_id"]
        enter = ("POST", "team/auth/userpass/login/ada", {"password": "right"})
        entity = auth(await house(*enter, token=""))["entity_id"]
        rule = {"mfa_method_ids": [method], "auth_method_types": ["userpass"]}
        await house.good("POST", MFA + "login-enforcement/all", rule)
        shared = await house.good(
            "POST", f"team/{MFA}method/totp/admin-generate", {"method_id": method, "entity_id": entity}
        )
        phone = telling(house, shared.data["url"])
        begun = auth(await house(*enter, token=""))
        assert begun["client_token"] == ""
        waits = begun["mfa_requirement"]
        assert waits["mfa_constraints"]["all"]["any"][0]["id"] == method
        code = phone.code(house.clock.millis())
        body = {"mfa_request_id": waits["mfa_request_id"], "mfa_payload": {method: [code]}}
        for elsewhere in ("", "other/"):
            assert (await house("POST", elsewhere + "sys/mfa/validate", body, token="")).status == 400
        done = auth(await house("POST", "team/sys/mfa/validate", body, token=""))
        assert (done["entity_id"], done["client_token"].partition(".")[0]) == (entity, "s")
        again = auth(await house(*enter, token=""))["mfa_requirement"]["mfa_request_id"]
        replayed = await house("POST", "team/sys/mfa/validate", {**body, "mfa_request_id": again}, token="")
        assert replayed.status == 403

    play(scenario)


def test_sl_24_a_code_is_good_once_however_it_is_written_and_none_before_it_is_good_after_it() -> None:
    async def scenario() -> None:
        it = await secured()
        code = it.code()
        assert (await it.end(await it.begin(), code)).status == 200
        spaced = f"{code[:3]} {code[3:]}"
        fullwidth = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
        arabic = "".join(chr(ord(digit) - 48 + 0x660) for digit in code)
        for again in (
            code,
            spaced,
            fullwidth,
            arabic,
            f" {code}",
            f"{code} ",
            f"0{code}",
            f"passcode={code}",
        ):
            assert (await it.end(await it.begin(), again)).status == 403, again
            assert (await it.at_once(again)).status == 403, again
            it.house.clock.sleep(PERIOD + 1)  # past the pause after too many wrong ones

    play(scenario)


def test_a_code_older_than_one_that_was_used_is_refused() -> None:
    async def scenario() -> None:
        it = await secured()
        older = it.code(-1)
        assert (await it.at_once(it.code())).status == 200
        assert (await it.at_once(older)).status == 403

    play(scenario)


@pytest.mark.parametrize("ahead", [-2, 2])
def test_a_code_of_another_time_is_refused(ahead: int) -> None:
    async def scenario() -> None:
        it = await secured()
        assert (await it.at_once(it.code(ahead))).status == 403

    play(scenario)


def test_after_as_many_wrong_codes_as_are_allowed_the_right_one_is_refused_too_until_the_pause_is_over() -> (
    None
):
    async def scenario() -> None:
        it = await secured(max_validation_attempts=3)
        wrong = it.wrong()
        assert (await it.at_once(wrong)).status == 403
        request = await it.begin()
        assert (await it.end(request, wrong)).status == 403
        assert (await it.end(request, wrong)).status == 403
        assert (await it.end(request, it.code())).status == 403
        assert (await it.at_once(it.code())).status == 403
        it.house.clock.sleep(PERIOD + 1)
        assert (await it.end(request, it.code())).status == 200

    play(scenario)


def test_what_waits_is_used_once_and_not_for_ever_and_leaves_nothing() -> None:
    async def scenario() -> None:
        it = await secured()
        request = await it.begin()
        assert (await it.end(request, it.code())).status == 200
        it.house.clock.sleep(PERIOD)
        assert (await it.end(request, it.code())).status == 400
        late = await it.begin()
        assert late.encode() not in await it.house.everything()
        it.house.clock.sleep(301)
        assert (await it.end(late, it.code())).status == 400
        timers = await it.house.storage.claim(it.house.clock.millis(), 100, hold=Millis(0))
        async with it.house.barrier.write(ROOT_ID, CORE) as core:
            for timer in timers:
                if timer.kind == MFA_KIND:
                    await forget(core, timer.key)
        assert b"mfa/waiting" not in await it.house.everything()

    play(scenario)


def test_nobody_completes_a_login_whose_entity_was_disabled_or_removed_meanwhile() -> None:
    async def scenario() -> None:
        it = await secured()
        request = await it.begin()
        await it.house.good("POST", f"identity/entity/id/{it.entity}", {"disabled": True})
        assert (await it.end(request, it.code())).status == 403
        await it.house.good("DELETE", f"identity/entity/id/{it.entity}")
        assert (await it.end(request, it.code())).status == 403

    play(scenario)


def test_sl_24_a_code_that_comes_several_times_at_once_is_good_once() -> None:
    async def scenario() -> None:
        it = await secured()
        code, requests = it.code(), [await it.begin() for _ in range(4)]
        answers = await together(
            *(it.end(one, code) for one in requests), *(it.at_once(code) for _ in range(3))
        )
        assert [one.status for one in answers].count(200) == 1

    play(scenario)


def test_nobody_completes_a_login_whose_auth_method_was_disabled_meanwhile() -> None:
    async def scenario() -> None:
        it = await secured()
        request = await it.begin()
        await it.house.good("DELETE", "sys/auth/userpass")
        answer = await it.end(request, it.code())
        assert (answer.status, answer.error) == (400, "invalid request ID")

    play(scenario)


def test_an_authenticator_goes_on_as_it_was_told_when_its_method_changes() -> None:
    async def scenario() -> None:
        it = await secured()
        assert (await it.end(await it.begin(), it.code())).status == 200
        changed = {"issuer": "I", "period": 60, "digits": 8, "algorithm": "SHA256", "skew": 0}
        await it.house.good("POST", f"{MFA}method/totp/{it.method}", changed)
        it.house.clock.sleep(PERIOD)
        assert (await it.end(await it.begin(), it.code())).status == 200
        assert (await it.end(await it.begin(), it.code())).status == 403

    play(scenario)


def test_an_entity_that_goes_takes_its_secret_along_and_one_that_is_merged_hands_it_over() -> None:
    async def scenario() -> None:
        it = await secured()
        other = (await it.house.good("POST", "identity/entity", {"name": "other"})).data["id"]
        merge = {"to_entity_id": other, "from_entity_ids": [it.entity]}
        await it.house.good("POST", "identity/entity/merge", merge)
        assert (await it.end(await it.begin(), it.code())).status == 200
        stored = await it.house.everything()
        assert f"secret/{it.method}/{other}".encode() in stored
        await it.house.good("DELETE", f"identity/entity/id/{other}")
        assert b"identity/mfa/secret/" not in await it.house.everything()

    play(scenario)


def test_an_enforcement_that_is_about_an_entity_is_about_the_one_that_it_was_merged_into() -> None:
    async def scenario() -> None:
        it = await secured()
        rule = {"mfa_method_ids": [it.method], "identity_entity_ids": [it.entity]}
        await it.house.good("POST", MFA + "login-enforcement/all", {**rule, "auth_method_types": []})
        await it.begin()
        other = (await it.house.good("POST", "identity/entity", {"name": "other"})).data["id"]
        merge = {"to_entity_id": other, "from_entity_ids": [it.entity]}
        await it.house.good("POST", "identity/entity/merge", merge)
        assert (await it.end(await it.begin(), it.code())).status == 200

    play(scenario)


def test_an_enforcement_that_came_while_a_login_waited_holds_for_it_too() -> None:
    async def scenario() -> None:
        it = await secured()
        request = await it.begin()
        other = await it.house.good("POST", MFA + "method/totp", {"issuer": "J"})
        rule = {"mfa_method_ids": [other.data["method_id"]], "identity_entity_ids": [it.entity]}
        await it.house.good("POST", MFA + "login-enforcement/more", rule)
        assert (await it.end(request, it.code())).status == 403

    play(scenario)


def test_a_wrong_password_is_refused_whatever_code_comes_with_it_and_costs_no_code() -> None:
    async def scenario() -> None:
        it = await secured()
        it.house.factors_given = [f"{it.method}:{it.code()}"]
        assert (await it.house.log_in(password="wrong")).status == 400
        it.house.factors_given = []
        assert (await it.at_once(it.code())).status == 200

    play(scenario)


def test_a_secret_is_shown_once_and_never_again() -> None:
    async def scenario() -> None:
        it = await secured()
        body = {"method_id": it.method, "entity_id": it.entity}
        again = await it.house.good("POST", MFA + "method/totp/admin-generate", body)
        assert again.data is None and again.body["warnings"]

    play(scenario)


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_wall_clock_that_is_set_neither_ends_the_pause_after_wrong_codes_nor_prolongs_it(jump: int) -> None:
    async def scenario() -> None:
        it = await secured(max_validation_attempts=1)
        assert (await it.at_once(it.wrong())).status == 403
        it.house.clock.set_wall(jump)
        assert (await it.at_once(it.code())).status == 403
        it.house.clock.sleep(PERIOD + 1)
        assert (await it.at_once(it.code())).status == 200

    play(scenario)


def test_one_code_is_good_for_every_enforcement_that_asks_for_its_method_and_for_one_login() -> None:
    async def scenario() -> None:
        ada = await secured()
        rule = {"mfa_method_ids": [ada.method], "identity_entity_ids": [ada.entity]}
        await ada.house.good("POST", MFA + "login-enforcement/also", rule)
        other = await ada.house.good("POST", MFA + "method/totp", {"issuer": "I", "method_name": "other"})
        code = ada.code()
        assert auth(await ada.at_once(code))["client_token"]
        assert (await ada.at_once(code)).status == 403
        request = await ada.begin()
        assert (await ada.end(request, code)).status == 403
        later = ada.code(1)
        assert auth(await ada.end(request, later))["client_token"]
        rule = {"mfa_method_ids": [other.data["method_id"]], "identity_entity_ids": [ada.entity]}
        await ada.house.good("POST", MFA + "login-enforcement/also", rule)
        ada.house.clock.sleep(10 * PERIOD)
        assert (await ada.at_once(ada.code())).status == 403  # the other enforcement asks for another method

    play(scenario)
