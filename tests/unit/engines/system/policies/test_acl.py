# SPDX-License-Identifier: EUPL-1.2
"""Reading, writing, listing and ending ACL policies."""

import base64

import pytest

from tests.unit.engines.system.house import CORE, Answer, House, play
from vault.engines.system.policies.acl import PolicyEngine
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

READ = 'path "secret/*" { capabilities = ["read"] }'
ACL = "sys/policies/acl"
EXPIRATION = 'Field validation failed: error converting input for field "expiration": '


async def _house() -> tuple[House, PolicyEngine]:
    house = House()
    engine = PolicyEngine(house.policies, house.barrier, house.clock)
    return await house.open(engine), engine


async def _names(house: House, path: str) -> list[str]:
    answer = await house("LIST", path)
    return list(answer.data["keys"])


def test_a_policy_is_read_back_under_its_normal_name() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        assert (await house("POST", f"{ACL}/Pol-A", {"policy": READ})).status == 204
        for name in ("pol-a", "POL-A", "pol-a/"):
            answer = await house("GET", f"{ACL}/{name}")
            assert answer.data["name"] == "pol-a"
            assert answer.data["policy"] == READ
            assert answer.data["version"] == 1
            assert "expiration" not in answer.data
        assert (await house("GET", f"{ACL}/absent")).status == 404

    play(scenario)


def test_text_may_come_base64_encoded() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await house("POST", f"{ACL}/p", {"policy": base64.b64encode(READ.encode()).decode()})
        assert (await house("GET", f"{ACL}/p")).data["policy"] == READ

    play(scenario)


def test_the_older_path_calls_the_text_rules_and_repeats_the_data_on_the_top_level() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        answer = await house("POST", "sys/policy/p", {"rules": READ, "x": 1})
        assert answer.body["warnings"] == [
            "'rules' is deprecated, please use 'policy' instead",
            "Endpoint ignored these unrecognized parameters: [x]",
        ]
        answer = await house("GET", "sys/policy/p")
        assert answer.body["rules"] == answer.data["rules"] == READ
        assert "policy" not in answer.data
        assert (await house("GET", "sys/policy")).body["policies"] == ["default", "p", "root"]
        assert (await house("LIST", "sys/policy/none/")).data == {"policies": None}

    play(scenario)


_WRONG = [
    ("POST", f"{ACL}/p", {}, "'policy' parameter not supplied or empty"),
    ("POST", f"{ACL}/root", {}, "'policy' parameter not supplied or empty"),
    ("POST", f"{ACL}/root", {"policy": READ}, 'cannot update "root" policy'),
    (
        "POST",
        f"{ACL}/root",
        {"policy": 'path "a" {'},
        "failed to parse policy: At 1:12: object expected closing RBRACE got: EOF",
    ),
    ("PATCH", f"{ACL}/root", {}, "'policy' parameter not supplied or empty"),
    (
        "PATCH",
        f"{ACL}/response-wrapping",
        {"policy": READ},
        'cannot update "response-wrapping" policy',
    ),
    ("PATCH", f"{ACL}/absent", {}, "policy not found"),
    ("DELETE", f"{ACL}/root", None, 'cannot delete "root" policy'),
    ("DELETE", "sys/policy/default", None, "cannot delete default policy"),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "cas": 5},
        "check-and-set parameter 5 did not match the current version 0",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "cas_required": True},
        "check-and-set parameter required for this call",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "ttl": "1h", "expiration": "2099-01-02T03:04:05Z"},
        "cannot supply both 'expiration' and 'ttl' for policies",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "expiration": "2001-01-02T03:04:05Z"},
        "refusing to update policy as expiration time has already elapsed",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "ttl": 0},
        "refusing to update policy as expiration time has already elapsed",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "expiration": "soon"},
        f"{EXPIRATION}could not parse string as date and time",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "expiration": "9999-12-31T23:59:59Z"},
        "a policy must end before the year 2262, or never",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "ttl": 9_000_000_000},
        "a policy must end before the year 2262, or never",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "expiration": True},
        f"{EXPIRATION}could not parse time from input type",
    ),
    (
        "POST",
        f"{ACL}/p",
        {"policy": READ, "ttl": "-1h"},
        'Field validation failed: error converting input for field "ttl": cannot provide negative value',
    ),
    (
        "POST",
        f"{ACL}/a\\b",
        {"policy": READ},
        "invalid policy name: use up to 512 printed characters, without %, backslashes and empty parts",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "error"), _WRONG)
def test_what_is_wrong_is_refused_in_the_words_of_the_field(
    method: str, path: str, body: object, error: str
) -> None:
    async def scenario() -> None:
        house, _ = await _house()
        answer = await house(method, path, body)
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


def test_built_in_policies_can_be_read() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        root = (await house("GET", f"{ACL}/root")).data
        assert (root["policy"], root["version"], "modified" in root) == ("", 0, False)
        wrapping = (await house("GET", f"{ACL}/response-wrapping")).data
        assert "sys/wrapping/unwrap" in wrapping["policy"]
        assert wrapping["version"] == 1

    play(scenario)


def test_versions_are_checked_and_a_patch_needs_no_check() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        write = {"policy": READ, "cas_required": True, "cas": -1}
        assert (await house("POST", f"{ACL}/p", write)).status == 204
        assert "set to -1 on existing entry" in (await house("POST", f"{ACL}/p", write)).error
        required = "check-and-set parameter required for this call"
        assert (await house("POST", f"{ACL}/p", {"policy": READ})).error == required
        assert (await house("PATCH", f"{ACL}/p", {"allow_slashes_in_identity_templates": True})).data is None
        assert (
            "99 did not match the current version 2" in (await house("PATCH", f"{ACL}/p", {"cas": 99})).error
        )
        data = (await house("GET", f"{ACL}/p")).data
        assert (data["version"], data["cas_required"]) == (2, True)
        assert data["allow_slashes_in_identity_templates"] is True
        assert (await house("POST", f"{ACL}/p", {"policy": READ, "cas": 2})).status == 204
        data = (await house("GET", f"{ACL}/p")).data
        assert (data["version"], data["cas_required"]) == (3, False)
        assert data["allow_slashes_in_identity_templates"] is False

    play(scenario)


def test_a_policy_ends_at_its_time_and_a_later_write_lets_it_live() -> None:
    async def scenario() -> None:
        house, engine = await _house()
        await house("POST", f"{ACL}/p", {"policy": READ, "ttl": "1h"})
        await house("PATCH", f"{ACL}/p", {"policy": READ + " "})
        assert "expiration" in (await house("GET", f"{ACL}/p")).data
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await engine.expire(core, "root:p")
        assert (await house("GET", f"{ACL}/p")).status == 200
        house.clock.sleep(3601)
        assert (await house("GET", f"{ACL}/p")).status == 404
        timers = await house.storage.claim(house.clock.millis(), 9, hold=Millis(1000))
        assert [(timer.kind, timer.key) for timer in timers] == [("policy", "root:p")]
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await engine.expire(core, "root:p")
        assert await _names(house, f"{ACL}/") == ["default", "root"]

    play(scenario)


def test_a_write_without_an_end_takes_the_timer_away() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await house("POST", f"{ACL}/p", {"policy": READ, "expiration": "2099-01-02T03:04:05.5+01:00"})
        assert (await house("GET", f"{ACL}/p")).data["expiration"] == "2099-01-02T02:04:05.5Z"
        await house("POST", f"{ACL}/p", {"policy": READ})
        house.clock.sleep(4_000_000_000)
        assert (await house("GET", f"{ACL}/p")).status == 200
        assert not await house.storage.claim(house.clock.millis(), 9, hold=Millis(1000))

    play(scenario)


def test_a_token_loses_what_a_deleted_policy_gave_at_once() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        await house("POST", f"{ACL}/p", {"policy": f'path "{ACL}/default" {{ capabilities = ["read"] }}'})
        token = await house.token("p")
        assert (await house("GET", f"{ACL}/default", token=token)).status == 200
        assert (await house("DELETE", f"{ACL}/p")).status == 204
        assert (await house("GET", f"{ACL}/default", token=token)).status == 403

    play(scenario)


def test_lists_reach_below_a_prefix() -> None:
    async def scenario() -> None:
        house, _ = await _house()
        for name in ("pl/a", "pl/sub/c", "zz"):
            await house("POST", f"{ACL}/{name}", {"policy": READ})
        assert await _names(house, f"{ACL}/") == ["default", "zz", "pl/a", "pl/sub/c", "root"]
        assert await _names(house, f"{ACL}/pl/") == ["pl/a", "pl/sub/c"]
        assert (await house("LIST", f"{ACL}/none/")).status == 404
        details = (await house("LIST", "sys/policies/detailed/acl/pl/")).data
        assert details["keys"] == list(details["key_info"]) == ["pl/a", "pl/sub/c", "root"]
        assert details["key_info"]["pl/a"]["policy"] == READ
        assert await _names(house, "sys/policies/detailed/acl/none/") == ["root"]

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", ACL, 405),
        ("GET", "sys/policies", 404),
        ("LIST", "sys/policies/detailed/", 404),
        ("GET", "sys/policies/detailed/acl/p", 405),
        ("PATCH", "sys/policy/p", 405),
    ],
)
def test_paths_and_verbs_that_do_not_exist_are_told_apart(method: str, path: str, status: int) -> None:
    async def scenario() -> None:
        house, _ = await _house()
        answer: Answer = await house(method, path)
        assert answer.status == status

    play(scenario)
