# SPDX-License-Identifier: EUPL-1.2
"""userpass: passwords, their hashes, and logins that tell nothing about who exists."""

import asyncio
import threading
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher

from nhi.auth.userpass.decoys import known
from nhi.auth.userpass.passwords import _NOBODY, Passwords, argon2id, is_bcrypt
from tests.unit.nhi.auth.house import CORE, auth, cheap, opened, play, together
from vault.framework.call import Call
from vault.values.ids import ROOT_ID

WRONG = "invalid username or password"


class Counting(PasswordHasher):
    """argon2id that counts, and waits where it is told to."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0
        self.go = threading.Event()
        self.go.set()
        self.asked = threading.Event()

    def verify(self, hash: Any, password: Any) -> Any:
        self.verified += 1
        self.asked.set()
        assert self.go.wait(30)
        return super().verify(hash, password)


def test_a_login_makes_a_token_named_after_mount_and_user() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_policies="Dev", token_ttl="1h")
        made = auth(await house.log_in("ADA"))
        assert (made["policies"], made["metadata"]) == (["default", "dev"], {"username": "ada"})
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert (entry.display_name, entry.path) == ("userpass-ada", "auth/userpass/login/ADA")

    play(scenario)


def test_sl_22_nobody_is_told_who_exists() -> None:
    async def scenario() -> None:
        hasher = Counting()
        house = await opened(hasher)
        await house.user()
        await house.user("cert", token_bound_cidrs="10.0.0.0/8")
        seen = []
        for name in ("ada", "nobody", "cert"):
            before = hasher.verified
            answer = await house.log_in(name, "wrong")
            seen.append((answer.status, answer.error, hasher.verified - before))
        assert seen == [(400, WRONG, 1)] * 3
        missing = [await house.log_in(name, "") for name in ("ada", "nobody")]
        assert [(one.status, one.error) for one in missing] == [(400, "missing password")] * 2

    play(scenario)


def test_sl_22_a_password_that_bcrypt_cannot_take_is_hashed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        house = await opened()
        made = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(5)).decode()
        await house.good("POST", "auth/userpass/users/bob", {"password_hash": made})
        compare, compared = bcrypt.checkpw, []

        def counting(password: bytes, hashed: bytes) -> bool:
            compared.append(len(password))
            return compare(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", counting)
        assert [(await house.log_in("bob", "x" * size)).status for size in (72, 73, 500)] == [200, 400, 400]
        assert compared == [72] * 3

    play(scenario)


def test_sl_22_whether_a_name_is_somebodys_is_not_told_by_the_kind_of_hash_either() -> None:
    async def scenario() -> None:
        hasher = Counting()
        house = await opened(hasher)
        strangers = [f"nobody{number}" for number in range(24)]

        async def costs(*names: str) -> list[str]:
            found = []
            for name in names:
                before, compared[:] = hasher.verified, []
                assert (await house.log_in(name, "wrong")).error == WRONG
                found.append(" ".join(["argon2id"] * (hasher.verified - before) + compared))
            return found

        compare, compared = bcrypt.checkpw, list[str]()

        def counting(password: bytes, hashed: bytes) -> bool:
            compared.append(hashed[:7].decode())
            return compare(password, hashed)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(bcrypt, "checkpw", counting)
            await house.user()
            assert await costs("ada", *strangers) == ["argon2id"] * 25
            made = bcrypt.hashpw(b"right", bcrypt.gensalt(5)).decode()
            await house.good("POST", "auth/userpass/users/bob", {"password_hash": made})
            assert await costs("ada", "bob") == ["argon2id", "$2b$05$"]
            found = await costs(*strangers)
            assert set(found) == {"argon2id", "$2b$05$"}
            assert await costs(*strangers) == found

    play(scenario)


def test_sl_22_kinds_of_hashes_that_were_kept_before_are_learned_at_a_login() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        mount = house.router.of(Call().namespace).get("auth/userpass/")
        assert mount is not None
        prefix = f"{CORE}mnt/{mount.mounted.uuid}/"
        async with house.barrier.write(ROOT_ID, prefix) as view:
            await view.delete("decoys")
        auth(await house.log_in())
        kinds = await known(house.barrier.reader(ROOT_ID, prefix))
        assert kinds is not None
        assert [one[:9] for one in kinds.hashes] == ["$argon2id"]

    play(scenario)


def test_the_dummy_hash_costs_what_a_users_does() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await house.log_in("nobody", "wrong")
        stored = (await house.everything()).decode("latin-1")
        assert house.passwords._dummy.rpartition("$")[0].rpartition("$")[0] in stored

    play(scenario)


def test_the_password_of_nobody_opens_nothing() -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house.log_in("nobody", _NOBODY)).status == 400
        assert not await house.passwords.match(("m", "a"), _NOBODY, None)

    play(scenario)


def test_no_password_is_stored_and_none_is_shown() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(password="correct horse battery staple")
        assert b"correct horse" not in await house.everything()
        assert b"$argon2id$" in await house.everything()
        assert b"argon2" not in (await house.good("GET", "auth/userpass/users/ada")).text

    play(scenario)


def test_a_hash_made_elsewhere_is_taken() -> None:
    async def scenario() -> None:
        house = await opened()
        made = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(5)).decode()
        await house.good("POST", "auth/userpass/users/bob", {"password_hash": made})
        assert (await house.log_in("bob", "from elsewhere")).status == 200
        assert (await house.log_in("bob", "from elsewhere!")).status == 400
        assert (await house.log_in("bob", "x" * 73)).status == 400
        await house.good("POST", "auth/userpass/users/bob/password", {"password": "x" * 100})
        assert (await house.log_in("bob", "x" * 100)).status == 200
        assert (await house.log_in("bob", "x" * 72)).status == 400

    play(scenario)


@pytest.mark.parametrize(
    "text",
    ["", "$2a$10$short", "$2a$31$" + "a" * 53, "$1$10$" + "a" * 53, "$2a$03$" + "a" * 53, "$argon2id$v=19$x"],
)
def test_what_is_no_bcrypt_hash_or_would_take_too_long_is_refused(text: str) -> None:
    assert not is_bcrypt(text)


def test_a_password_that_was_changed_while_it_was_checked_is_good_no_more() -> None:
    async def scenario() -> None:
        hasher = Counting()
        house = await opened(hasher)
        await house.user()
        hasher.go.clear()
        login = asyncio.ensure_future(house.log_in())
        assert await asyncio.to_thread(hasher.asked.wait, 30)
        await house.good("POST", "auth/userpass/users/ada/password", {"password": "new"})  # not held up
        hasher.go.set()
        assert (await login).status == 400
        assert (await house.log_in("ada", "new")).status == 200

    play(scenario)


def test_a_wrong_password_is_counted_once_and_refused_though_something_changed_while_it_was_checked() -> None:
    async def scenario() -> None:
        hasher = Counting()
        house = await opened(hasher)
        await house.user()
        hasher.go.clear()
        login = asyncio.ensure_future(house.log_in("ada", "wrong"))
        assert await asyncio.to_thread(hasher.asked.wait, 30)
        await house.good("POST", "sys/auth/other", {"type": "userpass"})  # everything is looked at again
        hasher.go.set()
        answer = await login
        assert (answer.status, answer.error, hasher.verified) == (400, WRONG, 1)
        assert [(await house.log_in("ada", "wrong")).status for _ in range(5)] == [400] * 4 + [403]

    play(scenario)


def test_what_is_no_hash_at_all_matches_nothing() -> None:
    assert not asyncio.run(Passwords(cheap()).match(("m", "a"), "x", "damaged"))


def test_new_passwords_are_hashed_with_argon2id_over_46_mib() -> None:
    assert argon2id().hash("x").startswith("$argon2id$v=19$m=47104,t=1,p=1$")


def test_logins_at_once_get_their_own_tokens() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        await house.user("bob", "other")
        answers = await together(
            *(house.log_in() if n % 2 else house.log_in("bob", "other") for n in range(6))
        )
        names = [auth(answer)["metadata"]["username"] for answer in answers]
        assert names == ["bob", "ada"] * 3
        assert len({auth(answer)["client_token"] for answer in answers}) == 6

    play(scenario)


def test_a_user_needs_a_password_and_keeps_it() -> None:
    async def scenario() -> None:
        house = await opened()
        users = "auth/userpass/users"
        assert (await house("POST", f"{users}/eve", {"token_ttl": "1h"})).status == 400
        assert (await house("POST", f"{users}/eve", {"password": ""})).status == 400
        await house.user()
        await house.good("POST", f"{users}/ada", {"token_ttl": "1h"})
        assert auth(await house.log_in())["lease_duration"] == 3600
        await house.good("DELETE", f"{users}/ada")
        assert (await house.log_in()).status == 400

    play(scenario)
