# SPDX-License-Identifier: EUPL-1.2
"""What a token may do, asked by token, by accessor and about oneself."""

import pytest

from tests.unit.engines.system.house import House, play
from vault.engines.system.policies.capabilities import CapabilityEngine
from vault.framework.concurrency.offload import Pool
from vault.token.batch import BatchTokens
from vault.values.times import Seconds

RULES = """
path "cap/a" { capabilities = ["read", "update", "patch", "scan", "sudo"] }
path "cap/b" { capabilities = ["deny"] }
path "cap/c/*" { capabilities = ["list"] }
path "sys/*" { capabilities = ["read", "update"] }
"""
A = ["patch", "read", "scan", "sudo", "update"]


async def _house() -> tuple[House, str]:
    house = House()
    batch = BatchTokens(house.tokens, house.barrier, house.entropy)
    await house.open(CapabilityEngine(house.tokens, house.gate, house.barrier, Pool(), batch))
    await house.policy("cap", RULES)
    return house, await house.token("cap", "absent")


def test_three_ways_to_ask_give_the_same_answer() -> None:
    async def scenario() -> None:
        house, token = await _house()
        paths = ["cap/a", "cap/b", "cap/c/d", "none"]
        expected = {"cap/a": A, "cap/b": ["deny"], "cap/c/d": ["list"], "none": ["deny"]}
        accessor = await house.accessor(token)
        for answer in (
            await house("POST", "sys/capabilities", {"token": token, "paths": paths}),
            await house("POST", "sys/capabilities-self", {"paths": paths}, token=token),
            await house("POST", "sys/capabilities-accessor", {"accessor": accessor, "paths": paths}),
        ):
            assert answer.data == expected
            assert answer.body["cap/a"] == A

    play(scenario)


def test_one_path_is_answered_under_its_old_name_too() -> None:
    async def scenario() -> None:
        house, token = await _house()
        for body in ({"paths": ["cap/a"]}, {"path": "cap/a"}, {"paths": "cap/a", "path": "cap/b"}):
            answer = await house("POST", "sys/capabilities-self", body, token=token)
            assert answer.data == {"cap/a": A, "capabilities": A}
        answer = await house("POST", "sys/capabilities-self", {"paths": ["cap/a", "cap/a"]}, token=token)
        assert answer.data == {"cap/a": A}
        answer = await house("POST", "sys/capabilities-self", {"paths": ["x"]})
        assert answer.data["x"] == ["root"]

    play(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("capabilities", {}, 400, "no token found"),
        ("capabilities", {"token": "bad", "paths": ["a"]}, 400, "invalid token"),
        ("capabilities", {"token": "{root}"}, 400, "paths must be supplied"),
        ("capabilities", {"token": "{root}", "paths": ["a", ""]}, 400, "missing path"),
        ("capabilities-self", {}, 400, "paths must be supplied"),
        ("capabilities-accessor", {}, 400, "missing accessor"),
        ("capabilities-accessor", {"accessor": "bad"}, 400, "invalid accessor"),
    ],
)
def test_what_is_wrong_is_refused_in_the_words_of_the_field(
    path: str, body: dict[str, object], status: int, error: str
) -> None:
    async def scenario() -> None:
        house, _ = await _house()
        if body.get("token") == "{root}":
            body["token"] = house.root
        answer = await house("POST", f"sys/{path}", body)
        plain = error in {"paths must be supplied", "missing accessor"}
        assert answer.status == status
        assert answer.error == (error if plain else f"1 error occurred:\n\t* {error}\n\n")

    play(scenario)


def test_a_token_that_is_over_is_not_described() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        token = await house.token("cap", ttl=Seconds(60))
        accessor = await house.accessor(token)
        house.clock.sleep(61)
        answer = await house("POST", "sys/capabilities", {"token": token, "paths": ["a"]})
        assert "invalid token" in answer.error
        answer = await house("POST", "sys/capabilities-accessor", {"accessor": accessor, "paths": ["a"]})
        assert "invalid accessor" in answer.error

    play(scenario)


def test_asking_takes_no_use_off_the_token_that_is_asked_about() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        token = await house.token("cap", uses=1)
        for _ in range(3):
            answer = await house("POST", "sys/capabilities", {"token": token, "paths": ["cap/a"]})
            assert answer.data["cap/a"] == A

    play(scenario)


def test_the_resultant_acl_shows_exact_and_open_paths() -> None:
    async def scenario() -> None:
        house, token = await _house()
        answer = await house("GET", "sys/internal/ui/resultant-acl", token=token)
        assert answer.data["root"] is False
        assert answer.data["exact_paths"]["cap/a"]["capabilities"] == [
            "read",
            "sudo",
            "update",
            "patch",
            "scan",
        ]
        assert answer.data["exact_paths"]["cap/b"]["capabilities"] == ["deny"]
        assert set(answer.data["glob_paths"]) == {"cap/c/", "sys/"}
        assert (await house("GET", "sys/internal/ui/resultant-acl")).data == {"root": True}

    play(scenario)


def test_the_deciding_rule_is_explained_to_whom_it_decides_about() -> None:
    async def scenario() -> None:
        house, token = await _house()
        answer = await house(
            "POST",
            "sys/internal/policies/explain",
            {"path": "cap/a", "capabilities": "read,list"},
            token=token,
        )
        read, listing = answer.data["verdicts"]
        assert (read["allowed"], read["rule"]) == (True, "cap/a")
        assert read["grants"] == [{"policy": "cap", "capabilities": A}]
        assert (listing["allowed"], listing["path"], listing["missing"]) == (False, "cap/a/", "list")
        assert listing["grant"].startswith('path "cap/a/" {')
        found = {one["name"]: (one["source"], one["found"]) for one in answer.data["policies"]}
        assert found["cap"] == ("token", True)
        assert found["absent"] == ("token", False)

    play(scenario)


def test_sl_70_a_path_longer_than_any_request_has_is_not_explained() -> None:
    async def scenario() -> None:
        house, token = await _house()
        for length, status in ((65_536, 200), (65_537, 400)):
            body = {"path": "a" * length, "capabilities": "read"}
            answer = await house("POST", "sys/internal/policies/explain", body, token=token)
            assert answer.status == status
        assert answer.body["errors"] == ["field 'path' may have at most 65536 characters"]

    play(scenario)


def test_others_are_explained_with_sudo_alone() -> None:
    async def scenario() -> None:
        house, token = await _house()
        place, accessor = "sys/internal/policies/explain", await house.accessor(token)
        for named in ({"token": token}, {"accessor": accessor}, {"policies": ["cap"]}):
            asked = {"path": "cap/b", "capabilities": ["read"], **named}
            assert (await house("POST", place, asked, token=token)).status == 403
            (said,) = (await house("POST", place, asked)).data["verdicts"]
            assert (said["allowed"], said["rule"]) == (False, "cap/b")
        for wrong in ({}, {"path": "a", "capabilities": "fly"}, {"path": "a", "token": "x", "accessor": "y"}):
            assert (await house("POST", place, wrong)).status == 400

    play(scenario)
