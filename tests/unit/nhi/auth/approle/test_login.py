# SPDX-License-Identifier: EUPL-1.2
"""AppRole: what a secret id opens, how often, for how long, from where, and what is kept of it."""

from nhi.auth.approle.store import SECRET_IDS, expire
from tests.unit.nhi.auth.house import CORE, AuthHouse, auth, opened, play, together
from vault.background.loop import Handler
from vault.barrier.view import mount_prefix
from vault.values.ids import ROOT_ID, MountId
from vault.values.times import Millis

ROLE = "auth/approle/role/web"
HOUR = 3600


async def lookup(house: AuthHouse, secret_id: str = "sesame") -> object:
    answer = await house("POST", f"{ROLE}/secret-id/lookup", {"secret_id": secret_id})
    return answer.data if answer.status == 200 else answer.status


def test_a_login_makes_an_orphan_with_the_roles_terms() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(token_policies="a,b", token_ttl="1h", token_max_ttl="2h")
        made = auth(await house.enter())
        assert (made["policies"], made["lease_duration"], made["orphan"]) == (
            ["a", "b", "default"],
            HOUR,
            True,
        )
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert (entry.path, entry.display_name, entry.login) == ("auth/approle/login", "approle", "web")
        assert entry.metadata == {"role_name": "web"}

    play(scenario)


def test_metadata_of_the_secret_id_reaches_the_token_but_cannot_claim_another_role() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        body = {"secret_id": "s2", "metadata": '{"team":"blue","role_name":"admin"}'}
        await house.good("POST", f"{ROLE}/custom-secret-id", body)
        assert auth(await house.enter(secret_id="s2"))["metadata"] == {"team": "blue", "role_name": "web"}

    play(scenario)


def test_uses_are_taken_one_by_one_even_at_once() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_num_uses=3)
        answers = await together(*(house.enter() for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] * 3 + [400] * 5
        assert await lookup(house) == 204
        assert not await house.barrier.reader(ROOT_ID, CORE).list(
            mount_prefix(MountId(uuid(house))) + "accessor/"
        )

    play(scenario)


def uuid(house: AuthHouse, path: str = "auth/approle/") -> str:
    mount = house.mounts.get(path)
    assert mount is not None
    return mount.entry.uuid


def test_a_login_that_is_refused_takes_no_use() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_num_uses=1, secret_id_bound_cidrs="10.0.0.0/8")
        refused = await house.enter()
        assert (refused.status, "unauthorized by CIDR restrictions on the role" in refused.error) == (
            400,
            True,
        )
        house.door.address = "10.1.1.1"
        assert (await house.enter()).status == 200

    play(scenario)


def test_sl_32_an_expired_secret_id_opens_nothing_although_nothing_removed_it() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_ttl="10m")
        assert (await house.enter()).status == 200
        house.clock.sleep(601)
        assert (await house.enter()).status == 400
        assert await lookup(house) == 204
        assert (await house("LIST", f"{ROLE}/secret-id")).status == 404
        await house.good("POST", f"{ROLE}/custom-secret-id", {"secret_id": "sesame"})
        assert (await house.enter()).status == 200

    play(scenario)


def ending(house: AuthHouse) -> Handler:
    """What the background loop calls for the timers of secret ids."""
    return SECRET_IDS.handler(lambda data, name: expire(data, name, house.clock.nanos()))


async def fire(house: AuthHouse) -> list[str]:
    """Run the timers of secret ids that are due."""
    due = [
        one
        for one in await house.storage.claim(house.clock.millis(), 100, hold=Millis(0))
        if one.kind == SECRET_IDS.kind
    ]
    for timer in due:
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await core.cancel(timer.kind, timer.key)
            await ending(house)(core, timer.key)
    return [timer.key for timer in due]


def test_a_timer_removes_an_expired_secret_id_and_nothing_else() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_ttl="10m")
        await house.good("POST", f"{ROLE}/custom-secret-id", {"secret_id": "short", "ttl": "1m"})
        house.clock.sleep(61)
        assert len(await fire(house)) == 1
        assert len((await house.good("LIST", f"{ROLE}/secret-id")).data["keys"]) == 1
        assert (await house.enter()).status == 200
        house.clock.sleep(600)
        assert len(await fire(house)) == 1
        kept = await house.barrier.reader(ROOT_ID, CORE).scan(mount_prefix(MountId(uuid(house))))
        assert not [path for path in kept if path.startswith(("secret/", "accessor/"))]

    play(scenario)


def test_a_timer_that_comes_late_or_for_nothing_does_no_harm() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_ttl="10m")

        run = ending(house)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await run(core, f"root/{uuid(house)}/nobody/nothing")
        (name,) = await house.barrier.reader(ROOT_ID, CORE).list(
            mount_prefix(MountId(uuid(house))) + "secret/"
        )
        (digest,) = await house.barrier.reader(ROOT_ID, CORE).list(
            mount_prefix(MountId(uuid(house))) + f"secret/{name}"
        )
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await run(core, f"root/{uuid(house)}/{name}{digest}")
        assert (await house.enter()).status == 200
        house.clock.sleep(601)
        (key,) = await fire(house)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await run(core, key)
        assert await lookup(house) == 204

    play(scenario)


def test_tidy_removes_what_has_expired() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_ttl="10m")
        house.clock.sleep(601)
        assert (await house("POST", "auth/approle/tidy/secret-id")).status == 202
        kept = await house.barrier.reader(ROOT_ID, CORE).scan(mount_prefix(MountId(uuid(house))))
        assert not [path for path in kept if path.startswith(("secret/", "accessor/"))]

    play(scenario)


def test_sl_13_a_secret_id_is_destroyed_through_its_own_role_alone() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        await house.role("other", "sesame")  # the same text: one accessor must not do for the other
        accessor = (await house.good("LIST", f"{ROLE}/secret-id")).data["keys"][0]
        other = "auth/approle/role/other"
        by_accessor = {"secret_id_accessor": accessor}
        assert (await house("POST", f"{other}/secret-id-accessor/destroy", by_accessor)).status == 403
        assert (await house("DELETE", f"{other}/secret-id-accessor/destroy", query=by_accessor)).status == 403
        assert (await house("POST", f"{other}/secret-id-accessor/lookup", by_accessor)).status == 204
        await house.good("POST", f"{other}/secret-id/destroy", {"secret_id": "sesame"})
        assert (await house.enter()).status == 200
        await house.good("POST", f"{other}/custom-secret-id", {"secret_id": "sesame"})
        assert (await house("POST", f"{other}/secret-id-accessor/destroy", by_accessor)).status == 403
        assert (await house.enter("other")).status == 200
        await house.good("DELETE", f"{ROLE}/secret-id-accessor/destroy", query=by_accessor)
        assert (await house.enter()).status == 400

    play(scenario)


def test_nothing_that_is_stored_holds_a_secret_id() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id="a-secret-of-some-length")
        made = (await house.good("POST", f"{ROLE}/secret-id")).data
        auth(await house.enter(secret_id="a-secret-of-some-length"))
        everything = await house.everything()
        for secret in ("a-secret-of-some-length", made["secret_id"]):
            assert secret.encode() not in everything
        assert made["secret_id_accessor"].encode() in everything  # the search does find what is there

    play(scenario)


def test_a_role_takes_its_secret_ids_along() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role(secret_id_ttl="10m")
        assert (await house.enter()).status == 200
        await house.good("DELETE", ROLE)
        left = await house.barrier.reader(ROOT_ID, CORE).scan(mount_prefix(MountId(uuid(house))))
        assert left == ["key-made/salt", "salt"]
        await house.good("POST", ROLE, {"role_id": "web"})
        assert (await house.enter()).status == 400

    play(scenario)


def test_a_secret_id_is_looked_up_in_no_role_that_is_gone() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        made = (await house.good("POST", f"{ROLE}/secret-id")).data
        await house.good("DELETE", ROLE)
        asked = {"secret_id_accessor": made["secret_id_accessor"]}
        for path, body in (
            ("secret-id/lookup", {"secret_id": made["secret_id"]}),
            ("secret-id/destroy", {"secret_id": made["secret_id"]}),
            ("secret-id-accessor/lookup", asked),
            ("secret-id-accessor/destroy", asked),
        ):
            answer = await house("POST", f"{ROLE}/{path}", body)
            assert (answer.status, 'role "web" does not exist' in answer.error) == (404, True)

    play(scenario)


def test_a_role_id_that_was_replaced_is_good_for_nothing() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        await house.good("POST", f"{ROLE}/role-id", {"role_id": "new"})
        assert (await house.enter()).error == "invalid role or secret ID"
        assert (await house.enter("new")).status == 200
        await house.role("next")
        assert (await house("POST", f"{ROLE}/role-id", {"role_id": "next"})).status == 400

    play(scenario)


def test_use_is_counted_by_role_and_by_secret_id_and_shown_on_request() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        await house.good("POST", f"{ROLE}/custom-secret-id", {"secret_id": "spare"})
        asked = {"usage": "true"}
        before = (await house.good("GET", ROLE, query=asked)).data
        assert (before["use_count"], before["last_used_time"]) == (0, "0001-01-01T00:00:00Z")
        for _ in range(2):
            auth(await house.enter())
        role = (await house.good("GET", ROLE, query=asked)).data
        used, spare = [
            (await house.good("POST", f"{ROLE}/secret-id/lookup", {"secret_id": one, "usage": True})).data
            for one in ("sesame", "spare")
        ]
        assert (role["use_count"], used["use_count"], spare["use_count"]) == (2, 2, 0)
        assert role["last_used_time"] == used["last_used_time"] > used["creation_time"]
        assert spare["last_used_time"] == "0001-01-01T00:00:00Z"
        by_accessor = {"secret_id_accessor": used["secret_id_accessor"]}
        path = f"{ROLE}/secret-id-accessor/lookup"
        assert (await house.good("POST", path, {**by_accessor, "usage": True})).data == used
        unasked = [
            (await house.good("GET", ROLE)).data,
            (await house.good("GET", ROLE, query={"usage": "false"})).data,
            (await house.good("POST", path, by_accessor)).data,
            (await house.good("POST", f"{ROLE}/secret-id/lookup", {"secret_id": "sesame"})).data,
        ]
        assert all({"use_count", "last_used_time"}.isdisjoint(shown) for shown in unasked)

    play(scenario)


def test_sl_51_no_refusal_repeats_what_was_sent() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        for path, body in (
            ("role/web", {"token_ttl": "hunter2"}),
            ("role/web", {"token_type": "hunter2"}),
            ("role/web", {"token_bound_cidrs": "hunter2"}),
            ("role/web", {"secret_id_bound_cidrs": "hunter2"}),
            ("role/web/secret-id", {"metadata": "hunter2"}),
            ("role/web/secret-id", {"cidr_list": "hunter2"}),
            ("role/web/secret-id-accessor/lookup", {"secret_id_accessor": "hunter2"}),
            ("role/web/secret-id-accessor/destroy", {"secret_id_accessor": "hunter2"}),
            ("login", {"role_id": "web", "secret_id": "hunter2"}),
            ("login", {"role_id": "hunter2", "secret_id": "hunter2"}),
        ):
            answer = await house("POST", f"auth/approle/{path}", body)
            assert answer.status >= 400
            assert b"hunter2" not in answer.text

    play(scenario)


def test_sl_11_a_login_never_makes_a_root_token_however_root_is_spelled() -> None:
    async def scenario() -> None:
        house = await opened()
        for spelled in ("root", "ROOT", " root ", "\uff52\uff4f\uff4f\uff54"):
            await house.role("r", token_policies=[spelled])
            refused = await house.enter("r")
            assert (refused.status, refused.error) == (400, "auth methods cannot create root tokens")
            await house.good("DELETE", "auth/approle/role/r")
        await house.role("r", token_policies=["ro\u200bot"])
        assert (await house.enter("r")).status == 400

    play(scenario)


def test_fields_can_be_changed_and_cleared_one_by_one() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        for path, name, value, empty in (
            ("secret-id-ttl", "secret_id_ttl", 60, 0),
            ("token-bound-cidrs", "token_bound_cidrs", ["192.0.2.0/24"], None),
            ("secret-id-bound-cidrs", "secret_id_bound_cidrs", ["192.0.2.0/24"], None),
            ("period", "token_period", 60, 0),
        ):
            await house.good("POST", f"{ROLE}/{path}", {name: value})
            assert (await house.good("GET", f"{ROLE}/{path}")).data == {name: value}
            await house.good("DELETE", f"{ROLE}/{path}")
            assert (await house.good("GET", f"{ROLE}/{path}")).data == {name: empty}
        assert (await house("POST", ROLE, {"bind_secret_id": False})).status == 400

    play(scenario)


def test_sl_22_whether_a_role_id_is_somebodys_is_not_told_by_a_login_without_a_secret_id() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        for _ in range(6):
            answers = [await house.enter(role_id, "") for role_id in ("web", "nobody")]
            assert [(one.status, one.error) for one in answers] == [(400, "missing secret_id")] * 2

    play(scenario)


def test_a_role_without_secret_ids_still_asks_where_one_comes_from() -> None:
    async def scenario() -> None:
        house = await opened()
        body = {"role_id": "open", "bind_secret_id": False, "secret_id_bound_cidrs": "192.0.2.0/24"}
        await house.good("POST", "auth/approle/role/open", body)
        assert (await house.enter("open", "")).status == 200
        house.door.address = "198.51.100.1"
        assert (await house.enter("open", "")).status == 400

    play(scenario)
