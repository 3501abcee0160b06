# SPDX-License-Identifier: EUPL-1.2
"""Token roles: what they let their makers have, and what they never do."""

import pytest

from tests.unit.token.house import HOUR, TokenHouse, opened, play
from vault.engines.token.model import CreateToken
from vault.engines.token.policies import role_policies
from vault.engines.token.roles import TokenRole
from vault.framework.call import Identity
from vault.framework.errors import Malformed
from vault.framework.secret import Secret
from vault.values.ids import TokenAccessor, TokenKey

MAKES = 'path "auth/token/create/*" { capabilities = ["update"] }'


async def role(house: TokenHouse, name: str = "ci", **fields: object) -> None:
    answer = await house("POST", f"auth/token/roles/{name}", fields)
    assert answer.status in {200, 204}, answer.text


async def maker(house: TokenHouse) -> str:
    await house.policy("makes", MAKES)
    return await house.token("makes", ttl=HOUR)


def test_a_role_gives_policies_that_its_maker_has_not() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(house, allowed_policies="deploy", allowed_policies_glob="team-*")
        mine = await maker(house)
        made = await house.make(token=mine, to="create/ci", policies=["deploy", "team-a"])
        assert made["policies"] == ["default", "deploy", "team-a"]
        refused = await house("POST", "auth/token/create/ci", {"policies": ["other"]}, token=mine)
        assert (refused.status, "must be subset of the role's allowed policies" in refused.error) == (
            400,
            True,
        )

    play(scenario)


@pytest.mark.parametrize("spelled", ["root", "ROOT", " root ", "\uff52oot"])
def test_sl_11_no_role_makes_a_root_token_for_those_who_have_none(spelled: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("makes", MAKES)
        mine = await house.token("makes")
        for fields in (
            {"allowed_policies": [spelled]},
            {"allowed_policies_glob": "*"},
            {"disallowed_policies": "x"},
            {},
        ):
            await role(house, **fields)
            for body in ({"policies": [spelled]}, {"policies": [spelled, "x2"]}):
                refused = await house("POST", "auth/token/create/ci", body, token=mine)
                assert refused.status == 400
            await house("DELETE", "auth/token/roles/ci")

    play(scenario)


def test_what_is_disallowed_wins() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(
            house, allowed_policies_glob="*", disallowed_policies="admin", disallowed_policies_glob="prod-*"
        )
        mine = await maker(house)
        for name in ("admin", "ADMIN ", "prod-eu"):
            refused = await house("POST", "auth/token/create/ci", {"policies": [name]}, token=mine)
            assert (refused.status, "is disallowed by this role" in refused.error) == (400, True)

    play(scenario)


def test_a_pattern_knows_no_magic_but_the_star() -> None:
    caller = Identity(Secret("s.x"), TokenKey("key"), TokenAccessor("accessor"), ("makes",))
    fits = TokenRole(name="ci", allowed_policies_glob=("a.c*", "[ab]"))
    assert role_policies(fits, CreateToken(policies=("a.cd",)), caller, inherits=True) == ("a.cd", "default")
    for name in ("abc", "xa.c", "a"):
        with pytest.raises(Malformed):
            role_policies(fits, CreateToken(policies=(name,)), caller, inherits=True)


def test_in_another_namespace_a_makers_own_policies_mean_nothing() -> None:
    caller = Identity(Secret("s.x"), TokenKey("key"), TokenAccessor("accessor"), ("makes", "root"))
    restricting = TokenRole(name="ci", disallowed_policies=("x",))
    assert role_policies(restricting, CreateToken(), caller, inherits=False) == ("default",)


def test_a_tokens_addresses_and_uses_are_the_roles() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(house, token_bound_cidrs="192.0.2.0/24", token_num_uses=2, orphan=True)
        made = await house.make(to="create/ci", policies=["default"])
        assert (made["num_uses"], made["orphan"]) == (2, True)
        assert await house.status(made["client_token"]) == 403  # it was not asked for from there
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert (entry.bound_cidrs, entry.uses) == (("192.0.2.0/24",), 2)

    play(scenario)


def test_renewal_asks_the_role_as_it_is_now() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(house, token_period="1h")
        made = await house.make(to="create/ci", policies=["default"])
        assert made["lease_duration"] == HOUR
        await role(house, token_period="2h", token_explicit_max_ttl="90m")
        token = made["client_token"]
        renewed = await house("POST", "auth/token/renew-self", token=token)
        assert renewed.body["auth"]["lease_duration"] == HOUR * 3 // 2
        await house("DELETE", "auth/token/roles/ci")
        refused = await house("POST", "auth/token/renew-self", token=token)
        assert 'original token role "ci" could not be found' in refused.error

    play(scenario)


def test_a_roles_longest_lifetime_holds_whatever_is_asked_for() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(house, token_explicit_max_ttl="1h")
        for body in ({"ttl": "9h"}, {"explicit_max_ttl": "5h"}, {"ttl": "9h", "explicit_max_ttl": "5h"}):
            made = await house.make(to="create/ci", policies=["default"], **body)
            assert made["lease_duration"] == HOUR
        made = await house.make(to="create/ci", policies=["default"], explicit_max_ttl="10m")
        assert made["lease_duration"] == 600

    play(scenario)


def test_roles_are_of_their_namespace() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.namespace("team")
        await role(house)
        assert (await house("GET", "team/auth/token/roles/ci")).status == 404
        assert (await house("POST", "team/auth/token/create/ci", {})).status == 400
        assert (await house("GET", "auth/token/roles/ci")).status == 200
        listed = await house("LIST", "auth/token/roles")
        assert listed.data["keys"] == ["ci"]

    play(scenario)


def test_a_role_is_written_shown_and_removed() -> None:
    async def scenario() -> None:
        house = await opened()
        path = "auth/token/roles/ci"
        assert (await house("LIST", "auth/token/roles")).status == 404
        await role(house, allowed_entity_aliases="b,A,a,\u212a*", bound_cidrs="::1/128", explicit_max_ttl=60)
        seen = (await house("GET", path)).data
        assert (seen["allowed_entity_aliases"], seen["bound_cidrs"]) == (["a", "b", "\u212a*"], ["::1"])
        assert (seen["explicit_max_ttl"], seen["period"]) == (60, 0)
        both = await house("POST", path, {"token_explicit_max_ttl": "9000h", "explicit_max_ttl": 1})
        assert len(both.body["warnings"]) == 2
        assert (await house("GET", path)).data["explicit_max_ttl"] == 0
        await house("DELETE", path)
        assert (await house("GET", path)).status == 404

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path_suffix": "/x"}, "path suffix contains invalid characters"),
        ({"path_suffix": "a..b"}, "parent references"),
        ({"token_type": "odd"}, "invalid 'token_type' value"),
        (
            {"allowed_entity_aliases": ",".join(f"{n:0262}" for n in range(1001))},
            "may have at most 262144 characters",
        ),
        ({"token_num_uses": -1}, "cannot be negative"),
        ({"token_bound_cidrs": "x"}, "error parsing role fields"),
        ({"token_type": "batch"}, "non-orphan"),
        ({"token_type": "batch", "orphan": True}, "renewable"),
        ({"token_type": "batch", "orphan": True, "renewable": False, "period": 1}, "periodic"),
    ],
)
def test_a_role_that_cannot_be_is_refused(fields: dict[str, object], words: str) -> None:
    async def scenario() -> None:
        house = await opened()
        refused = await house("POST", "auth/token/roles/ci", fields)
        assert (refused.status, words in refused.error) == (400, True)
        assert (await house("GET", "auth/token/roles/ci")).status == 404

    play(scenario)


def test_a_role_decides_the_kind_of_token() -> None:
    async def scenario() -> None:
        house = await opened()
        for kind, asked, made in (
            ("default-batch", "", "batch"),
            ("default-batch", "service", "service"),
            ("service", "batch", "service"),
            ("default-service", "batch", "batch"),
        ):
            await role(house, token_type=kind)
            auth = await house.make(to="create/ci", policies=["default"], type=asked)
            assert auth["token_type"] == made
        refused = await house("POST", "auth/token/create/ci", {"entity_alias": "x"})
        assert refused.error == "invalid 'entity_alias' value"

    play(scenario)


def test_a_role_and_its_maker_give_the_lesser_period() -> None:
    async def scenario() -> None:
        house = await opened()
        await role(house, token_period="1h", path_suffix="nightly", token_no_default_policy=True)
        made = await house.make(to="create/ci", policies=["p"], period="30m")
        assert (made["lease_duration"], made["policies"]) == (HOUR // 2, ["p"])
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert (entry.path, entry.role) == ("auth/token/create/ci/nightly", "ci")

    play(scenario)
