# SPDX-License-Identifier: EUPL-1.2
"""External groups: who is in one is what the authority of its alias says, and nobody else, and not for ever."""

from typing import Any

import pytest

from tests.unit.nhi.auth.house import auth, play
from tests.unit.nhi.auth.jwt.house import JwtHouse, opened


async def grouped() -> tuple[JwtHouse, str, str, str]:
    """Return a vault in which alice's provider puts her into a group with a policy; the ids of group, alias and alice."""
    house = await opened()
    await house.jwt_role(groups_claim="groups")
    accessor = (await house.good("GET", "sys/auth/jwt")).data["accessor"]
    group = (await house.good("POST", "identity/group", {"type": "external", "policies": "ops"})).data["id"]
    body = {"name": "admins", "mount_accessor": accessor, "canonical_id": group}
    alias = (await house.good("POST", "identity/group-alias", body)).data["id"]
    made = auth(await house.present(groups=["admins"]))
    assert made["identity_policies"] == ["ops"]
    return house, group, alias, made["entity_id"]


@pytest.mark.parametrize("change", ["removed", "moved"])
def test_sl_34_who_logs_in_leaves_a_group_that_no_authority_of_theirs_speaks_for(change: str) -> None:
    async def scenario() -> None:
        house, group, alias, _ = await grouped()
        if change == "removed":
            await house.good("DELETE", f"identity/group-alias/id/{alias}")
        else:
            other = (await house.good("GET", "sys/auth/userpass")).data["accessor"]
            body = {"name": "admins", "mount_accessor": other, "canonical_id": group}
            await house.good("POST", f"identity/group-alias/id/{alias}", body)
        assert auth(await house.present(groups=["admins"])).get("identity_policies") is None
        assert not (await house.good("GET", f"identity/group/id/{group}")).data["member_entity_ids"]

    play(scenario)


def test_another_mount_of_the_entitys_says_nothing_about_the_groups_of_this_one() -> None:
    async def scenario() -> None:
        house, _, _, entity = await grouped()
        await house.user("alice")
        accessor = (await house.good("GET", "sys/auth/userpass")).data["accessor"]
        body = {"name": "alice", "mount_accessor": accessor, "canonical_id": entity}
        await house.good("POST", "identity/entity-alias", body)
        assert auth(await house.log_in("alice"))["identity_policies"] == ["ops"]

    play(scenario)


def test_more_groups_than_anybody_is_in_are_refused() -> None:
    async def scenario() -> None:
        house, *_ = await grouped()
        many: list[Any] = [f"g{number}" for number in range(2001)]
        answer = await house.present(groups=many)
        assert (answer.status, answer.error) == (400, "the groups claim lists more than 2000 groups")
        assert (await house.present(groups=many[:2000])).status == 200

    play(scenario)
