# SPDX-License-Identifier: EUPL-1.2
"""What holds for every login: a token or an error, under the name that the mount knows, and never without a bound."""

import pytest

from tests.unit.nhi.auth.house import AuthHouse, auth, opened, play
from vault.values.times import Seconds

APPROLE, USERPASS = "auth/approle/login", "auth/userpass/login"
REFUSED: list[tuple[str, object]] = [
    (APPROLE, {}),
    (APPROLE, {"role_id": "web"}),
    (APPROLE, {"role_id": "web", "secret_id": "wrong"}),
    (APPROLE, {"role_id": "nobody", "secret_id": "sesame"}),
    (APPROLE, {"role_id": "far", "secret_id": "far"}),
    (APPROLE, {"role_id": "spent", "secret_id": "spent"}),
    (f"{USERPASS}/ada", {}),
    (f"{USERPASS}/ada", {"password": "wrong"}),
    (f"{USERPASS}/nobody", {"password": "right"}),
    (f"{USERPASS}/far", {"password": "right"}),
    (f"{USERPASS}/", {"password": "right"}),
]


async def _furnished() -> AuthHouse:
    house = await opened()
    await house.role()
    await house.role("far", "far", secret_id_bound_cidrs="10.0.0.0/8")
    await house.role("spent", "spent", secret_id_num_uses=1)
    await house.good("POST", APPROLE, {"role_id": "spent", "secret_id": "spent"}, token="")
    await house.user()
    await house.user("far", token_bound_cidrs="10.0.0.0/8")
    return house


def _tokens(everything: bytes) -> list[bytes]:
    return [line for line in everything.split(b"\n") if line.startswith(b"token/")]


@pytest.mark.parametrize(("path", "body"), REFUSED)
@pytest.mark.parametrize("wrap", [0, 60_000])
def test_sl_15_a_login_that_is_refused_makes_no_token_and_shows_none(
    path: str, body: object, wrap: Seconds
) -> None:
    async def scenario() -> None:
        house = await _furnished()
        before = _tokens(await house.everything())
        answer = await house("POST", path, body, token="", wrap=wrap)
        assert answer.status in {400, 403, 404, 405}
        assert not (answer.body or {}).get("auth") and not (answer.body or {}).get("wrap_info")
        assert _tokens(await house.everything()) == before

    play(scenario)


@pytest.mark.parametrize("typed", ["ada", "ADA", "Ada", "aDA"])
def test_sl_21_a_login_is_known_by_the_name_that_the_mount_keeps(typed: str) -> None:
    async def scenario() -> None:
        house = await _furnished()
        made = auth(await house.log_in(typed))
        entry = await house.entry(made["client_token"])
        assert entry is not None
        assert (made["metadata"], entry.display_name, entry.login) == (
            {"username": "ada"},
            "userpass-ada",
            "ada",
        )

    play(scenario)


@pytest.mark.parametrize("typed", [" ada", "ada ", "\u0430da", "ada\u200b", "a%64a"])
def test_sl_21_what_only_looks_like_a_name_is_not_that_name(typed: str) -> None:
    async def scenario() -> None:
        house = await _furnished()
        assert (await house.log_in(typed)).status in {400, 403, 404}

    play(scenario)


@pytest.mark.parametrize("cidrs", ["", [], None])
def test_sl_36_a_role_that_asks_for_nothing_is_refused(cidrs: object) -> None:
    async def scenario() -> None:
        house = await opened()
        body = {"bind_secret_id": False, "secret_id_bound_cidrs": cidrs, "token_bound_cidrs": cidrs}
        refused = await house("POST", "auth/approle/role/open", body)
        assert refused.status == 400
        assert "at least one constraint should be enabled on the role" in refused.error
        await house.good("POST", "auth/approle/role/bound", {**body, "secret_id_bound_cidrs": "10.0.0.0/8"})

    play(scenario)


def test_sl_36_a_token_with_no_policies_may_do_nothing() -> None:
    async def scenario() -> None:
        house = await _furnished()
        await house.user("bare", token_policies=[], token_no_default_policy=True)
        made = auth(await house.log_in("bare"))
        assert made["policies"] == []
        for path in ("sys/mounts", "auth/approle/role/web", "sys/policies/acl"):
            assert (await house("GET", path, token=made["client_token"])).status == 403

    play(scenario)
