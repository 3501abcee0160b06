# SPDX-License-Identifier: EUPL-1.2
"""Tokens of logins: where they may be used, how they are renewed, and when they end with their mount."""

import json

import pytest

from tests.unit.nhi.auth.house import HOME, AuthHouse, auth, opened, play
from vault.token.addresses import NoAddress, canonical, check_block, covers, within
from vault.values.times import Seconds

AWAY = "198.51.100.1"
HOUR = 3600


async def status_from(house: AuthHouse, token: str, address: str) -> int:
    house.door.address = address
    return await house.status(token)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_bound_token_is_good_from_its_addresses_alone_at_every_use(kind: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_bound_cidrs=f"{HOME},2001:db8::/32", token_type=kind)
        token = auth(await house.log_in())["client_token"]
        for _ in range(2):  # the first look is remembered
            assert await status_from(house, token, HOME) == 200
            assert await status_from(house, token, f"::ffff:{HOME}") == 200
            assert await status_from(house, token, "2001:db8::1") == 200
            assert await status_from(house, token, AWAY) == 403
            assert await status_from(house, token, "") == 403

    play(scenario)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_what_a_bound_token_makes_is_good_from_its_addresses_alone(kind: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("maker", 'path "auth/token/create*" { capabilities = ["update", "sudo"] }')
        await house.user(token_bound_cidrs=HOME, token_policies="maker")
        bound = auth(await house.log_in())["client_token"]
        child, orphan = [
            (await house.make(token=bound, type=kind, policies=["maker"], no_parent=alone))["client_token"]
            for alone in (False, True)
        ]
        assert [await status_from(house, token, HOME) for token in (child, orphan)] == [200, 200]
        assert [await status_from(house, token, AWAY) for token in (child, orphan)] == [403, 200]
        if kind == "service":
            house.door.address = HOME
            grandchild = (await house.make(token=child))["client_token"]
            assert await status_from(house, grandchild, AWAY) == 403

    play(scenario)


def test_a_use_is_not_taken_from_a_bound_token_by_somebody_elsewhere() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_bound_cidrs=HOME, token_num_uses=1)
        token = auth(await house.log_in())["client_token"]
        assert await status_from(house, token, AWAY) == 403
        assert await status_from(house, token, HOME) == 200
        assert await status_from(house, token, HOME) == 403

    play(scenario)


def test_a_strictly_bound_token_is_good_where_it_was_made() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(token_strictly_bind_ip=True)
        token = auth(await house.enter())["client_token"]
        assert await status_from(house, token, HOME) == 200
        assert await status_from(house, token, AWAY) == 403

    play(scenario)


def test_the_addresses_of_a_secret_id_narrow_those_of_the_role() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(token_bound_cidrs="192.0.2.0/24")
        path = "auth/approle/role/web/custom-secret-id"
        await house.good("POST", path, {"secret_id": "narrow", "token_bound_cidrs": f"{HOME}/32"})
        assert (
            await house("POST", path, {"secret_id": "wide", "token_bound_cidrs": "0.0.0.0/0"})
        ).status == 400
        token = auth(await house.enter(secret_id="narrow"))["client_token"]
        assert await status_from(house, token, "192.0.2.8") == 403
        assert await status_from(house, token, HOME) == 200

    play(scenario)


def test_tokens_of_logins_go_with_their_mount() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await house.role()
        user, role = auth(await house.log_in())["client_token"], auth(await house.enter())["client_token"]
        child = await house.make(token=None, policies=["default"])
        await house.good("DELETE", "sys/auth/userpass")
        assert [await house.status(one) for one in (user, role, child["client_token"])] == [403, 200, 200]
        assert not [path for path in await house.stored() if "/mount/" in path and user in path]

    play(scenario)


def test_an_ended_token_leaves_nothing_of_its_mount_behind() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        token = auth(await house.log_in())["client_token"]
        assert [path for path in await house.stored() if "token/child/m" in path]
        await house.good("POST", "auth/token/revoke-self", token=token)
        assert not [path for path in await house.stored() if "token/child/m" in path]

    play(scenario)


def test_sl_33_renewal_never_reaches_beyond_the_roles_longest_lifetime() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(token_ttl="1h", token_max_ttl="2h")
        token = auth(await house.enter())["client_token"]
        entry = await house.entry(token)
        assert entry is not None
        end = entry.created + 2 * HOUR * 1_000_000_000
        for _ in range(4):
            house.clock.sleep(HOUR // 2 - 1)
            await house("POST", "auth/token/renew-self", {"increment": "9h"}, token=token)
            renewed = await house.entry(token)
            assert renewed is not None
            assert renewed.expires <= end + 1_000_000_000

    play(scenario)


def test_renewal_asks_the_role_as_it_is_now() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(token_ttl="1h")
        token = auth(await house.enter())["client_token"]
        await house.good("POST", "auth/approle/role/web", {"token_ttl": "3h"})
        assert auth(await house("POST", "auth/token/renew-self", token=token))["lease_duration"] == 3 * HOUR
        await house.good("DELETE", "auth/approle/role/web")
        gone = await house("POST", "auth/token/renew-self", token=token)
        assert 'role "web" does not exist during renewal' in gone.error

    play(scenario)


def test_renewal_by_accessor_asks_too() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_policies="a")
        made = auth(await house.log_in())
        body = {"accessor": made["accessor"]}
        assert (await house("POST", "auth/token/renew-accessor", body)).status == 200
        await house.good("POST", "auth/userpass/users/ada/policies", {"token_policies": "b"})
        refused = await house("POST", "auth/token/renew-accessor", body)
        assert "policies have changed, not renewing" in refused.error
        await house.good("DELETE", "auth/userpass/users/ada")
        assert (await house("POST", "auth/token/renew-accessor", body)).status == 204

    play(scenario)


def test_a_mount_may_insist_on_the_kind_of_token() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_type="service")
        for tuned, made in (("batch", "batch"), ("default-batch", "service"), ("service", "service")):
            await house.good("POST", "sys/auth/userpass/tune", {"token_type": tuned})
            assert auth(await house.log_in())["token_type"] == made

    play(scenario)


def test_a_login_can_be_wrapped() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        wrapped = await house(
            "POST", "auth/userpass/login/ada", {"password": "right"}, token="", wrap=Seconds(60)
        )
        info = wrapped.body["wrap_info"]
        waiting = await house.good("GET", "cubbyhole/response", token=info["token"])
        inner = json.loads(waiting.data["response"])["auth"]
        assert inner["accessor"] == info["wrapped_accessor"]
        assert await house.status(inner["client_token"]) == 200

    play(scenario)


def test_addresses() -> None:
    assert canonical(" 192.0.2.1/32") == "192.0.2.1"
    assert canonical("2001:DB8::1") == "2001:db8::1"
    assert canonical("10.1.2.3/8") == "10.1.2.3/8"
    assert check_block("10.0.0.0/8") == "10.0.0.0/8"
    for wrong in ("", "x", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.0/255.0.0.0x"):
        with pytest.raises(NoAddress):
            canonical(wrong)
    for wrong in ("10.0.0.1", "10.0.0.0/255.0.0.0", "x/8"):
        with pytest.raises(NoAddress):
            check_block(wrong)
    assert not within("not an address", ("0.0.0.0/0",))
    assert not within("192.0.2.1", ())
    assert not within("::1", ("0.0.0.0/0",))
    assert covers(("10.0.0.0/8",), ("10.1.0.0/16", "10.2.0.1"))
    assert not covers(("10.0.0.0/8",), ("10.1.0.0/16", "11.0.0.0/8"))
    assert not covers(("10.0.0.0/8",), ("::1",))


def test_tokens_of_logins_do_not_move_with_their_mount() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        token = auth(await house.log_in())["client_token"]
        await house.good("POST", "sys/remount", {"from": "auth/userpass", "to": "auth/people"})
        assert await house.status(token) == 403
        again = await house("POST", "auth/people/login/ada", {"password": "right"}, token="")
        entry = await house.entry(auth(again)["client_token"])
        assert entry is not None
        assert (entry.display_name, entry.path) == ("people-ada", "auth/people/login/ada")

    play(scenario)
