# SPDX-License-Identifier: EUPL-1.2
"""Every path of both auth methods: what it answers where all is well, where nothing is there, and where it refuses."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.nhi.auth.house import AuthHouse, opened, play

R = "auth/approle/role"
U = "auth/userpass/users"
SUBPATHS: list[tuple[str, str, object, object]] = [
    ("policies", "token_policies", ["a", "b"], []),
    ("token-ttl", "token_ttl", 60, 0),
    ("token-max-ttl", "token_max_ttl", 60, 0),
    ("token-num-uses", "token_num_uses", 3, 0),
    ("token-bound-cidrs", "token_bound_cidrs", ["10.0.0.0/8"], None),
    ("period", "token_period", 60, 0),
    ("secret-id-ttl", "secret_id_ttl", 60, 0),
    ("secret-id-num-uses", "secret_id_num_uses", 3, 0),
    ("secret-id-bound-cidrs", "secret_id_bound_cidrs", ["10.0.0.0/8"], None),
]


@pytest.mark.parametrize(("path", "name", "value", "empty"), SUBPATHS)
def test_a_field_of_a_role_at_its_own_path(path: str, name: str, value: object, empty: object) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        here, there = f"{R}/web/{path}", f"{R}/none/{path}"
        assert (await house.good("GET", here)).data == {name: empty}
        assert (await house.good("POST", here, {name: value})).status == 204
        assert (await house.good("GET", here)).data == {name: value}
        assert (await house.good("GET", f"{R}/web")).data[name] == value
        assert (await house.good("DELETE", here)).status == 204
        assert (await house.good("GET", here)).data == {name: empty}
        nothing = await house("POST", here, {})
        assert nothing.status == (204 if path.endswith("cidrs") else 400)
        assert (await house("GET", there)).status == 404
        assert (await house("POST", there, {name: value})).status == 404
        assert (await house("DELETE", there)).status == 204

    play(scenario)


async def refuses(house: AuthHouse, cases: Sequence[tuple[str, object, int, str]]) -> None:
    """Each case is a path, a body, a status and a part of the refusal."""
    for path, body, status, words in cases:
        answer = await house("POST", path, body)
        assert (answer.status, words in answer.error) == (status, True), (path, body, answer.text)


def test_what_approle_refuses() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_num_uses=3, secret_id_ttl="1h", secret_id_bound_cidrs="192.0.2.0/24")
        await house.role("open", "x", secret_id_bound_cidrs="192.0.2.0/24")
        await house.good("POST", f"{R}/open", {"bind_secret_id": False})
        web = f"{R}/web"
        cases: list[tuple[str, object, int, str]] = [
            (web, {"local_secret_ids": True}, 400, "can only be modified during role creation"),
            (web, {"role_id": ""}, 400, "invalid role_id supplied"),
            (web, {"role_id": "open"}, 400, "role_id already in use"),
            (web, {"secret_id_num_uses": -1}, 400, "secret_id_num_uses cannot be negative"),
            (web, {"token_num_uses": -1}, 400, "'token_num_uses' cannot be negative"),
            (web, {"token_type": "batch", "token_period": 1}, 400, "periodic tokens"),
            (web, {"token_type": "batch", "token_num_uses": 1}, 400, "limited use count"),
            (web, {"token_ttl": 2, "token_max_ttl": 1}, 400, "cannot be greater than 'token_max_ttl'"),
            (web, {"token_strictly_bind_ip": True, "token_bound_cidrs": "::1"}, 400, "set only one"),
            (f"{R}/new", {"bind_secret_id": False}, 400, "at least one constraint"),
            (f"{web}/period", {"token_period": "9000h"}, 400, "greater than the backend's maximum"),
            (f"{web}/role-id", {"role_id": ""}, 400, "missing role_id"),
            (f"{web}/secret-id", {"num_uses": 4}, 400, "cannot be higher"),
            (f"{web}/secret-id", {"num_uses": 0}, 400, "cannot be higher"),
            (f"{web}/secret-id", {"num_uses": -1}, 400, "cannot be negative"),
            (f"{web}/secret-id", {"ttl": "2h"}, 400, "cannot be longer"),
            (f"{web}/secret-id", {"metadata": "bad"}, 400, "failed to parse metadata"),
            (f"{web}/secret-id", {"metadata": '{"a":1}'}, 400, "failed to parse metadata"),
            (f"{web}/secret-id", {"metadata": '{"a":'}, 400, "failed to parse metadata"),
            (f"{web}/secret-id", {"metadata": '{"a":""}'}, 400, "it is empty"),
            (f"{web}/secret-id", {"cidr_list": "10.0.0.0/8"}, 400, "subset relationship"),
            (f"{web}/custom-secret-id", {}, 400, "missing secret_id"),
            (f"{R}/none/custom-secret-id", {}, 400, "missing secret_id"),
            (f"{R}/open/custom-secret-id", {}, 400, "missing secret_id"),
            (f"{web}/custom-secret-id", {"secret_id": "sesame"}, 400, "already registered"),
            (f"{R}/open/secret-id", {}, 400, "bind_secret_id is not set"),
            (f"{R}/none/secret-id", {}, 404, 'role "none" does not exist'),
            (f"{R}/none/secret-id/lookup", {"secret_id": "x"}, 404, 'role "none" does not exist'),
            (f"{web}/secret-id/lookup", {}, 400, "missing secret_id"),
            (f"{web}/secret-id/destroy", {}, 400, "missing secret_id"),
            (f"{web}/secret-id-accessor/lookup", {}, 400, "missing secret_id_accessor"),
            (f"{web}/secret-id-accessor/destroy", {}, 400, "missing secret_id_accessor"),
            (f"{web}/secret-id-accessor/destroy", {"secret_id_accessor": "x"}, 400, "failed to find"),
            ("auth/approle/login", {}, 400, "missing role_id"),
            ("auth/approle/login", {"role_id": "web"}, 400, "missing secret_id"),
        ]
        await refuses(house, cases)
        assert (await house("LIST", f"{R}/none/secret-id")).status == 400
        assert (await house("GET", f"{R}/new")).status == 404

    play(scenario)


def test_what_userpass_refuses() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        both = {"password": "x", "password_hash": "x"}
        cases: list[tuple[str, object, int, str]] = [
            (f"{U}/eve", both, 400, "only one of password or password_hash"),
            (f"{U}/eve", {"password_hash": "x"}, 400, "not a valid bcrypt hash"),
            (f"{U}/eve", {"password": "x", "token_type": "odd"}, 400, "invalid 'token_type' value"),
            (f"{U}/ada/password", {}, 400, "must provide either"),
            (f"{U}/eve/password", {"password": "x"}, 400, "username does not exist"),
            (f"{U}/eve/policies", {"policies": "x"}, 400, "username does not exist"),
            ("auth/userpass/login/-", {"password": "x"}, 404, "unsupported path"),
        ]
        await refuses(house, cases)
        assert (await house("GET", f"{U}/eve")).status == 404
        await house.good("DELETE", f"{U}/eve")

    play(scenario)


def test_lists() -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house("LIST", R)).status == 404
        assert (await house("LIST", U)).status == 404
        for name in ("a", "b", "c"):
            await house.role(name)
            await house.user(name)
        for path in (R, U):
            assert (await house.good("LIST", path)).data["keys"] == ["a", "b", "c"]
            page = await house.good("LIST", path, query={"after": "a", "limit": "1"})
            assert page.data["keys"] == ["b"]
        for number in range(3):
            await house.good("POST", f"{R}/a/custom-secret-id", {"secret_id": f"{number}"})
        everything = (await house.good("LIST", f"{R}/a/secret-id")).data["keys"]
        page = await house.good("LIST", f"{R}/a/secret-id", query={"after": everything[0], "limit": "2"})
        assert page.data["keys"] == everything[1:3]

    play(scenario)


def test_older_names_are_shown_until_the_newer_one_is_used() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        await house.user()

        async def seen(path: str, *names: str) -> list[Any]:
            data = (await house.good("GET", path)).data
            return [data.get(name) for name in names]

        await house.good(
            "POST", f"{R}/web", {"policies": "a", "period": 60, "bound_cidr_list": "192.0.2.0/24"}
        )
        assert await seen(f"{R}/web", "policies", "period", "bound_cidr_list") == [["a"], 60, None]
        assert await seen(f"{R}/web/period", "period", "token_period") == [60, 60]
        await house.good("POST", f"{R}/web/period", {"token_period": 30})
        assert await seen(f"{R}/web", "period", "token_period", "policies") == [None, 30, ["a"]]
        await house.good("POST", f"{R}/web/bound-cidr-list", {"bound_cidr_list": "192.0.2.0/25"})
        assert await seen(f"{R}/web", "secret_id_bound_cidrs") == [["192.0.2.0/25"]]
        await house.good("DELETE", f"{R}/web/bound-cidr-list")
        assert (await house.good("GET", f"{R}/web/bound-cidr-list")).body["warnings"]
        await house.good("DELETE", f"{R}/web/policies")
        assert await seen(f"{R}/web", "policies", "token_policies") == [None, []]
        await house.good("POST", f"{U}/ada", {"ttl": 60, "max_ttl": 90, "bound_cidrs": "::1/128"})
        assert await seen(f"{U}/ada", "ttl", "token_max_ttl", "bound_cidrs") == [60, 90, ["::1"]]
        assert await seen(f"{R}/web/local-secret-ids", "local_secret_ids") == [False]
        assert await seen(f"{R}/web/role-id", "role_id") == ["web"]

    play(scenario)


def test_warnings_of_a_role() -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house.good(
            "POST", f"{R}/web", {"token_type": "default-batch", "token_max_ttl": "9000h"}
        )
        assert [text.split()[0] for text in answer.body["warnings"]] == ["default-batch", "token_max_ttl"]
        assert (await house.good("GET", f"{R}/web")).data["token_type"] == "batch"

    play(scenario)


@pytest.mark.parametrize("metadata", ['{"a":"b"}', "eyJhIjoiYiJ9", "a=b", " a = b "])
def test_metadata_in_each_of_its_spellings(metadata: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        made = (await house.good("POST", f"{R}/web/secret-id", {"metadata": metadata})).data
        by_accessor = {"secret_id_accessor": made["secret_id_accessor"]}
        seen = (await house.good("POST", f"{R}/web/secret-id-accessor/lookup", by_accessor)).data
        assert seen["metadata"] == {"a": "b"}

    play(scenario)


def test_nothing_is_found_by_an_unknown_accessor() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        answer = await house("POST", f"{R}/web/secret-id-accessor/lookup", {"secret_id_accessor": "x"})
        assert (answer.status, list(answer.data)) == (404, ["error"])

    play(scenario)
