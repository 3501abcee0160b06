# SPDX-License-Identifier: EUPL-1.2
"""What user interfaces and clients look up: visible mounts, the preflight of KV, OpenAPI, the catalogue."""

import msgspec
import pytest

from tests.unit.engines.system.estate import estate
from tests.unit.engines.system.house import House, play

UI = "sys/internal/ui/mounts"
SECRETS = ["cubbyhole/", "identity/", "kv1/", "kv2/deep/", "sys/"]


async def furnished() -> House:
    house = await estate()
    await house("POST", "sys/mounts/kv1", {"type": "kv"})
    await house("POST", "sys/mounts/kv2/deep", {"type": "kv-v2"})
    return house


async def seen(house: House, token: str) -> tuple[list[str], list[str]]:
    data = (await house("GET", UI, token=token)).data
    return list(data["secret"]), list(data["auth"])


@pytest.mark.parametrize(
    ("rule", "secrets", "auth"),
    [
        ('path "kv1/a" { capabilities = ["read"] }', ["kv1/"], []),
        ('path "kv1/a" { capabilities = ["deny"] }', [], []),
        ('path "kv1/a" { capabilities = [] }', [], []),
        ('path "kv1" { capabilities = ["read"] }', ["kv1/"], []),
        ('path "kv1/" { capabilities = ["deny"] }', [], []),
        ('path "kv1/*" { capabilities = ["deny"] }', ["kv1/"], []),
        ('path "kv1/a*" { capabilities = ["deny"] }', [], []),
        ('path "kv*" { capabilities = ["read"] }', ["kv1/", "kv2/deep/"], []),
        ('path "*" { capabilities = ["deny"] }', SECRETS, ["token/"]),
        ('path "kv2/+/x" { capabilities = ["read"] }', ["kv2/deep/"], []),
        ('path "+/a" { capabilities = ["read"] }', ["cubbyhole/", "identity/", "kv1/", "sys/"], []),
        ('path "+" { capabilities = ["read"] }', ["cubbyhole/", "identity/", "kv1/", "sys/"], []),
        ('path "+/other/x" { capabilities = ["read"] }', ["cubbyhole/", "identity/", "kv1/", "sys/"], []),
        ('path "+/a" { capabilities = ["deny"] }', [], []),
        ('path "+/*" { capabilities = ["read"] }', SECRETS, ["token/"]),
        (
            'path "+/deep/a*" { capabilities = ["read"] }',
            ["cubbyhole/", "identity/", "kv1/", "kv2/deep/", "sys/"],
            [],
        ),
        ('path "auth/+/x" { capabilities = ["read"] }', [], ["token/"]),
        ('path "k+" { capabilities = ["read"] }', [], []),
    ],
)
def test_a_token_sees_the_mounts_that_its_rules_reach_into(
    rule: str, secrets: list[str], auth: list[str]
) -> None:
    async def scenario() -> None:
        house = await furnished()
        await house.policy("p", rule)
        token = await house.token("p")
        assert await seen(house, token) == (secrets, auth)
        for path in ("kv1/", "kv2/deep/"):
            expected = 200 if path in secrets else 403
            assert (await house("GET", f"{UI}/{path}a", token=token)).status == expected

    play(scenario)


def test_without_a_token_only_mounts_that_want_to_be_seen_are_shown_and_little_of_them() -> None:
    async def scenario() -> None:
        house = await furnished()
        assert await seen(house, "") == ([], [])
        await house("POST", "sys/mounts/kv1/tune", {"listing_visibility": "unauth", "description": "open"})
        data = (await house("GET", UI, token="")).data
        assert data == {"auth": {}, "secret": {"kv1/": {"description": "open", "options": {}, "type": "kv"}}}
        await house.policy("p", 'path "elsewhere" { capabilities = ["read"] }')
        whole = (await house("GET", UI, token=await house.token("p"))).data["secret"]["kv1/"]
        assert whole["config"]["listing_visibility"] == "unauth"

    play(scenario)


def test_a_token_that_is_not_valid_learns_nothing() -> None:
    async def scenario() -> None:
        house = await furnished()
        for path in (UI, f"{UI}/kv1", "sys/internal/ui/namespaces", "sys/internal/specs/openapi"):
            answer = await house("GET", path, token="s.wrong")
            assert (answer.status, answer.error) == (403, "permission denied")
        assert (await house("GET", f"{UI}/kv1", token="")).error == "permission denied"

    play(scenario)


def test_the_preflight_tells_the_mount_of_any_path_below_it() -> None:
    async def scenario() -> None:
        house = await furnished()
        found = (await house("GET", f"{UI}/kv2/deep/a/b")).data
        assert (found["path"], found["type"], found["options"]) == ("kv2/deep/", "kv", {"version": "2"})
        assert (await house("GET", f"{UI}/auth/token/create")).data["path"] == "token/"
        refused = await house("GET", f"{UI}/kv2/x")
        assert refused.status == 403
        assert refused.error == (
            "preflight capability check returned 403, please ensure client's policies grant access to path "
            '"kv2/x/"'
        )

    play(scenario)


def test_namespaces_and_counters() -> None:
    async def scenario() -> None:
        house = await estate()
        assert (await house("GET", "sys/internal/ui/namespaces")).data == {}
        answer = await house("GET", "sys/internal/ui/namespaces", token="")
        assert (answer.status, answer.error) == (400, "client token empty")
        gone = await house("GET", "sys/internal/counters/requests")
        assert (gone.status, gone.error) == (404, "The functionality has been removed on this path")

    play(scenario)


def test_the_document_describes_the_mounts_that_the_token_reaches_into() -> None:
    async def scenario() -> None:
        house = await furnished()
        await house("POST", "sys/mounts/kv2_deep", {"type": "kv-v2"})
        document = msgspec.json.decode((await house("GET", "sys/internal/specs/openapi")).text)
        assert set(document) == {"openapi", "info", "paths", "components"}
        assert document["openapi"] == "3.1.0"
        assert {"/kv1/{path}", "/kv2/deep/data/{path}", "/sys/mounts/{path}/tune"} <= set(document["paths"])
        identifiers = [
            operation["operationId"]
            for item in document["paths"].values()
            for verb, operation in item.items()
            if verb != "parameters"
        ]
        assert len(identifiers) == len(set(identifiers))
        public = document["paths"]["/sys/internal/ui/mounts"]["get"]
        assert "security" not in public and public["x-vault-unauthenticated"]
        assert document["paths"]["/sys/mounts"]["get"]["security"] == [{"token": []}]
        assert document["paths"]["/sys/remount"]["post"]["x-vault-sudo"]
        assert (await house("POST", "sys/internal/specs/openapi", {}, token="")).body["paths"] == {}
        await house.policy("p", 'path "kv1/a" { capabilities = ["read"] }')
        few = await house("GET", "sys/internal/specs/openapi", token=await house.token("p"))
        assert list(few.body["paths"]) == ["/kv1/{path}"]

    play(scenario)


def test_mount_paths_become_parameters_when_asked() -> None:
    async def scenario() -> None:
        house = await furnished()
        answer = await house("POST", "sys/internal/specs/openapi", {"generic_mount_paths": True})
        document = msgspec.json.decode(answer.text)
        item = document["paths"]["/{kv2_deep_mount_path}/data/{path}"]
        assert item["parameters"] == [
            {
                "name": "kv2_deep_mount_path",
                "in": "path",
                "description": "Where the mount is.",
                "required": True,
                "schema": {"type": "string", "default": "kv2/deep"},
            }
        ]
        assert "/sys/mounts" in document["paths"]

    play(scenario)


def test_the_catalogue_lists_what_can_be_mounted() -> None:
    async def scenario() -> None:
        house = await estate()
        data = (await house("GET", "sys/plugins/catalog")).data
        assert (data["auth"], data["database"], data["secret"]) == (["userpass"], [], ["kv", "other"])
        assert data["detailed"][0] == {
            "builtin": True,
            "deprecation_status": "supported",
            "name": "userpass",
            "type": "auth",
            "version": "v2.7.2+builtin.bao",
        }
        assert (await house("LIST", "sys/plugins/catalog/secret")).data == {"keys": ["kv", "other"]}
        assert (await house("LIST", "sys/plugins/catalog/nope")).status == 405
        plugin = (await house("GET", "sys/plugins/catalog/secret/kv")).data
        assert (plugin["name"], plugin["builtin"], plugin["command"]) == ("kv", True, "")
        for path in ("secret/nope", "database/kv", "nope/kv"):
            assert (await house("GET", f"sys/plugins/catalog/{path}")).status == 404

    play(scenario)
