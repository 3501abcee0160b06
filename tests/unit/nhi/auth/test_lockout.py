# SPDX-License-Identifier: EUPL-1.2
"""Lockout: one count for each name, kept where no restart and no spelling gets around it."""

import asyncio
import hashlib
import re
from itertools import count

import pytest

from tests.calls import fill_call
from tests.clocks import MONTH
from tests.unit.nhi.auth.house import CORE, AuthHouse, auth, opened, play, together
from tests.unit.nhi.auth.userpass.test_login import Counting
from vault.framework.call import Call
from vault.mount.entry import LockoutConfig
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds

LOCKED = (403, "permission denied")


async def guess(house: AuthHouse, name: str = "ada", times: int = 1) -> list[int]:
    return [(await house.log_in(name, "wrong")).status for _ in range(times)]


async def locked(house: AuthHouse) -> list[str]:
    spaces = (await house.good("GET", "sys/locked-users")).data["by_namespace"]
    rows = [row for space in spaces for row in space["mount_accessors"]]
    return [name for row in rows for name in row["alias_identifiers"]]


def test_five_failures_lock_a_name_for_fifteen_minutes() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        assert await guess(house, times=6) == [400] * 5 + [403]
        refused = await house.log_in()
        assert (refused.status, refused.error) == LOCKED
        assert await locked(house) == ["ada"]
        house.clock.sleep(899)
        assert (await house.log_in()).status == 403
        house.clock.sleep(2)
        assert await locked(house) == []
        auth(await house.log_in())

    play(scenario)


def test_sl_20_every_spelling_of_a_name_counts_as_that_name() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        for spelled in ("ada", "ADA", "Ada", "aDa", "adA"):
            assert await guess(house, spelled) == [400]
        for spelled in ("ada", "ADA", "AdA"):
            assert (await house.log_in(spelled)).status == 403
        for spelled in (
            "ada ",
            " ada",
            "\uff41\uff44\uff41",
            "ada\u200b",
            "ad\u0430",
            "ada.",
            "ada\u0000",
            "Äda",
        ):
            assert (await house.log_in(spelled)).status in {400, 403, 404}
        assert await locked(house) == ["ada"]

    play(scenario)


def test_success_and_time_forget_failures() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await guess(house, times=4)
        auth(await house.log_in())
        assert await guess(house, times=4) == [400] * 4
        house.clock.sleep(901)
        assert await guess(house, times=4) == [400] * 4
        auth(await house.log_in())

    play(scenario)


def test_a_lock_outlives_a_restart() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await guess(house, times=5)
        house.lockout.__dict__.update(house.new_lockout().__dict__)
        assert (await house.log_in()).status == 403

    play(scenario)


def test_guesses_at_once_learn_no_more_than_guesses_in_turn() -> None:
    async def scenario() -> None:
        hasher = Counting()
        house = await opened(hasher)
        await house.user()
        hasher.go.clear()
        guesses = [asyncio.ensure_future(house.log_in("ada", f"wrong {n}")) for n in range(12)]
        guesses.append(asyncio.ensure_future(house.log_in()))
        await asyncio.to_thread(hasher.asked.wait, 30)
        hasher.go.set()
        answers = [(await one).status for one in guesses]
        assert sorted(answers) == [400] * 5 + [403] * 8

    play(scenario)


def test_sl_22_a_name_that_nobody_has_is_locked_as_well() -> None:
    async def scenario() -> None:
        house = await opened()
        assert await guess(house, "nobody", 6) == [400] * 5 + [403]
        assert await locked(house) == []
        await house.user("nobody")
        auth(await house.log_in("nobody"))
        await house.good("DELETE", "auth/userpass/users/nobody")
        assert await guess(house, "nobody") == [403]
        accessor = (await house.good("GET", "sys/auth/userpass")).data["accessor"]
        await house.good("POST", f"sys/locked-users/{accessor}/unlock/nobody")
        assert await guess(house, "nobody") == [400]

    play(scenario)


def test_sl_22_a_name_that_nobody_has_is_locked_and_unlocked_for_all_who_share_the_storage() -> None:
    async def scenario() -> None:
        house = await opened()
        one, other = dict(house.lockout.__dict__), dict(house.new_lockout().__dict__)

        async def tried(*processes: dict[str, object]) -> list[int]:
            found = []
            for process in processes:
                house.lockout.__dict__.update(process)
                found += await guess(house, "nobody")
            return found

        assert await tried(one, other, one, other, one, other, one) == [400] * 5 + [403] * 2
        accessor = (await house.good("GET", "sys/auth/userpass")).data["accessor"]
        await house.good("POST", f"sys/locked-users/{accessor}/unlock/nobody")
        assert await tried(other, one) == [400] * 2

    play(scenario)


def test_sl_22_a_name_that_nobody_has_stays_locked_though_thousands_of_others_are_tried() -> None:
    async def scenario() -> None:
        house = await opened()
        assert await guess(house, "nobody", 5) == [400] * 5
        call = Call()
        mount = house.router.of(call.namespace).get("auth/userpass/")
        assert mount is not None
        fill_call(call, mount=mount.mounted)
        for number in range(5000):
            call.id = str(number)
            await house.lockout.failed(call, f"other{number}", known=False)
        assert await guess(house, "nobody") == [403]

    play(scenario)


def test_names_that_nobody_has_share_so_many_rows_which_name_none_of_them() -> None:
    def slot(name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()[:4]

    async def scenario() -> None:
        house = await opened()
        await house.log_in("firstname", "wrong")
        before = await house.barrier.reader(ROOT_ID, CORE).scan("")
        rows = [path for path in before if "lockout" in path]
        assert [path.rpartition("/")[2] for path in rows] == [slot("firstname")]
        numbers = count()
        for _ in range(2):
            other = next(
                name for number in numbers if slot(name := f"secondname{number}") == slot("firstname")
            )
            assert await guess(house, other, 6) == [400] * 5 + [403]
        assert await guess(house, "firstname", 5) == [400] * 4 + [403]  # remembered in memory
        assert await house.barrier.reader(ROOT_ID, CORE).scan("") == before
        assert await locked(house) == []
        assert not re.search(rb"firstname|secondname", await house.everything())

    play(scenario)


def test_roles_are_locked_by_their_role_id() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.role()
        bad = [(await house.enter(secret_id="wrong")).status for _ in range(6)]
        assert bad == [400] * 5 + [403]
        assert (await house.enter()).status == 403
        assert await locked(house) == ["web"]
        accessor = (await house.good("GET", "sys/auth/approle")).data["accessor"]
        await house.good("POST", f"sys/locked-users/{accessor}/unlock/web")
        auth(await house.enter())
        strangers = [(await house.enter("nobody")).status for _ in range(6)]
        assert strangers == [400] * 5 + [403]

    play(scenario)


@pytest.mark.parametrize("kind", ["userpass", "approle"])
def test_a_mount_says_when(kind: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await house.role()

        async def attempt() -> int:
            bad = house.log_in("ada", "wrong") if kind == "userpass" else house.enter(secret_id="wrong")
            return (await bad).status

        async def tune(**config: object) -> None:
            await house.good("POST", f"sys/auth/{kind}/tune", {"user_lockout_config": config})

        await tune(lockout_threshold="2", lockout_duration="10s", lockout_counter_reset_duration="5s")
        assert [await attempt() for _ in range(3)] == [400, 400, 403]
        house.clock.sleep(11)
        assert await attempt() == 400
        house.clock.sleep(6)
        assert [await attempt() for _ in range(3)] == [400, 400, 403]
        await tune(lockout_disable=True)
        assert {await attempt() for _ in range(8)} == {400}

    play(scenario)


def test_the_configuration_says_when_where_a_mount_says_nothing() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        house.configured["userpass"] = LockoutConfig(
            threshold=2, duration=Seconds(10), counter_reset=Seconds(5)
        )
        assert await guess(house, times=3) == [400, 400, 403]
        assert await locked(house) == ["ada"]
        house.clock.sleep(11)
        assert await locked(house) == []
        tune = {"user_lockout_config": {"lockout_threshold": "4"}}
        await house.good("POST", "sys/auth/userpass/tune", tune)
        assert await guess(house, times=5) == [400] * 4 + [403]
        house.clock.sleep(11)
        house.configured["userpass"] = LockoutConfig(disable=True)
        assert await guess(house, times=9) == [400] * 9
        await house.good(
            "POST", "sys/auth/userpass/tune", {"user_lockout_config": {"lockout_disable": False}}
        )
        assert await guess(house, times=9) == [400] * 9

    play(scenario)


def test_only_the_right_password_at_once_is_welcome() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        answers = await together(*(house.log_in() for _ in range(8)))
        assert {answer.status for answer in answers} == {200}

    play(scenario)


def test_unlocking_asks_for_the_mount_and_does_nothing_for_others() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await guess(house, times=5)
        for accessor in ("none", (await house.good("GET", "sys/auth/approle")).data["accessor"]):
            await house.good("POST", f"sys/locked-users/{accessor}/unlock/ada")
        assert await locked(house) == ["ada"]

    play(scenario)


def test_a_namespace_sees_who_is_locked_out_of_those_below_it_and_not_beside_it() -> None:
    async def scenario() -> None:
        house = await opened()
        for path in ("team", "other"):
            await house.namespace(path)
            await house.good("POST", f"{path}/sys/auth/userpass", {"type": "userpass"})
            await house.good("POST", f"{path}/auth/userpass/users/{path}", {"password": "right"})
            for _ in range(5):
                await house("POST", f"{path}/auth/userpass/login/{path}", {"password": "wrong"}, token="")
        assert await seen_by(house, "") == ["other", "team"]
        assert await seen_by(house, "team/") == ["team"]

    play(scenario)


async def seen_by(house: AuthHouse, path: str) -> list[str]:
    found = []
    for space in (await house.good("GET", f"{path}sys/locked-users")).data["by_namespace"]:
        found += [name for row in space["mount_accessors"] for name in row["alias_identifiers"]]
    return found


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
@pytest.mark.parametrize("known", [True, False])
def test_a_wall_clock_that_is_set_ends_no_lock_and_prolongs_none(jump: int, known: bool) -> None:
    async def scenario() -> None:
        house = await opened()
        if known:
            await house.user()
        refused = 400 if known else (await guess(house))[0]
        assert (await guess(house, times=6 - (not known)))[-2:] == [refused, 403]
        house.clock.set_wall(jump)
        assert await guess(house) == [403]
        house.clock.sleep(899)
        assert await guess(house) == [403]
        house.clock.sleep(2)
        assert await guess(house) == [refused]

    play(scenario)


@pytest.mark.parametrize("jump", [MONTH, -MONTH])
def test_a_wall_clock_that_is_set_forgets_no_failures(jump: int) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        assert await guess(house, times=4) == [400] * 4
        house.clock.set_wall(jump)
        assert await guess(house, times=2) == [400, 403]

    play(scenario)


def test_after_a_start_with_a_wall_clock_that_went_back_a_lock_lasts_no_longer_than_it_should() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await guess(house, times=5)
        house.clock.set_wall(-MONTH)
        again = house.new_lockout()
        for attribute in ("_ages", "_strangers"):
            setattr(house.lockout, attribute, getattr(again, attribute))
        assert (await house.log_in()).status == 403
        house.clock.sleep(901)
        auth(await house.log_in())

    play(scenario)
