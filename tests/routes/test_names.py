# SPDX-License-Identifier: EUPL-1.2
"""Two credentials are never one entity: names that look alike, by every auth method, and what was kept before."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from nhi.identity.records import groups
from nhi.identity.records.names import former_place, place
from tests.routes.driver import Answer
from tests.routes.logins import CA, World, world
from vault.barrier.stored import raw
from vault.barrier.view import View, core_prefix
from vault.cache.follow import BoundedCache
from vault.values.ids import ROOT_ID, MountAccessor

pytestmark = pytest.mark.loopback

ALIKE: Mapping[str, tuple[str, str]] = {
    "case": ("ann", "ANN"),
    "a dotless capital": ("ilk", "\u0130lk"),
    "the Kelvin sign": ("bok", "bo\u212a"),
    "normalisation": ("ren\u00e9", "rene\u0301"),
    "width": ("ann", "\uff41nn"),
    "sharp s": ("stra\u00dfe", "strasse"),
    "a space behind": ("ann", "ann "),
    "a space before": ("ann", " ann"),
}
"""Two names that somebody, or some comparison, may take for one."""
Login = Callable[[World, str], Answer]


@pytest.fixture(scope="module")
def everybody() -> Iterator[World]:
    """An application that somebody can log in to in every way."""
    with world() as made:
        grouped = {"user_claim": "sub", "bound_audiences": "a", "groups_claim": "groups", "role_type": "jwt"}
        made.root("auth/jwt/role/grouped", grouped)
        bound = {"bound_service_account_names": "*", "bound_service_account_namespaces": "*"}
        made.root("auth/kubernetes/role/named", {**bound, "alias_name_source": "serviceaccount_name"})
        made.root("auth/kubernetes/role/r", bound)
        made.root("auth/token/roles/one", {"allowed_entity_aliases": ["*"], "orphan": True})
        yield made


def _role_id(world: World, name: str) -> Answer:
    """Log in as a role of its own whose role id is `name`, if it may be."""
    role = f"role-{name.encode().hex()}"
    body = {"role_id": name}
    written = world.application.request("POST", f"/v1/auth/approle/role/{role}", body, token="root")
    if written.status >= 400:
        return written
    secret = world.root(f"auth/approle/role/{role}/secret-id", {})["data"]["secret_id"]
    return world.send("POST", "auth/approle/login", {"role_id": name, "secret_id": secret})


def _subject(mount: str, path: str = "login", role: str = "r") -> Login:
    def login(world: World, name: str) -> Answer:
        return world.send("POST", f"auth/{mount}/{path}", {"role": role, "jwt": world.proof(sub=name)})

    return login


def _uid(world: World, name: str) -> Answer:
    world.account = ("shop", "web", name)
    return world.send("POST", "auth/kubernetes/login", {"role": "r", "jwt": world.pod()})


def _service_account(world: World, name: str) -> Answer:
    world.account = ("shop", name, "u-1")
    return world.send("POST", "auth/kubernetes/login", {"role": "named", "jwt": world.pod()})


def _common_name(world: World, name: str) -> Answer:
    world.application.certificate = CA.issue(name).der
    return world.send("POST", "auth/cert/login", {"name": "c"})


EXACT: Mapping[tuple[str, str], Login] = {
    ("approle", "role id"): _role_id,
    ("jwt", "subject"): _subject("jwt"),
    ("jwt", "alias of a program"): _subject("jwt", "cel/login", "named"),
    ("oidc", "subject"): _subject("oidc"),
    ("kubernetes", "uid"): _uid,
    ("kubernetes", "name"): _service_account,
    ("cert", "common name"): _common_name,
}
"""Logins by names that are credentials, or come from elsewhere."""
OTHERWISE: Mapping[str, str] = {
    "userpass": "names have no case, for users and for aliases alike",
    "token": "aliases of token roles have no case, for what is allowed and for what is entered alike",
    "nhi": "workloads are no entities",
}


def test_every_auth_method_has_its_names_looked_at(everybody: World) -> None:
    kinds = set(everybody.application.vault.catalog.names(auth=True))
    assert kinds == {kind for kind, _ in EXACT} | OTHERWISE.keys()


@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("way", EXACT, ids=[" ".join(one) for one in EXACT])
def test_sl_21_names_that_look_alike_are_two_entities_or_one_is_refused(
    everybody: World, way: tuple[str, str], alike: str
) -> None:
    first, second = ALIKE[alike]
    one, other = EXACT[way](everybody, first), EXACT[way](everybody, second)
    again = EXACT[way](everybody, first)
    assert one.status == again.status == 200, one.body
    assert _entity(one) == _entity(again) != ""
    assert other.status in {400, 403} or _entity(other) not in {"", _entity(one)}


def test_users_whose_names_differ_by_case_are_one_user_and_one_entity(everybody: World) -> None:
    """One credential: the second write changes the password of the first."""

    def login(name: str, password: str) -> Answer:
        return everybody.send("POST", f"auth/userpass/login/{name}", {"password": password})

    everybody.root("auth/userpass/users/bob", {"password": "one"})
    everybody.root("auth/userpass/users/BOB", {"password": "other"})
    assert everybody.root("auth/userpass/users?list=true", method="GET")["data"]["keys"].count("bob") == 1
    assert login("bob", "one").status == 400
    assert _entity(login("bob", "other")) == _entity(login("Bob", "other")) != ""
    alias = {"name": "BOB", "mount_accessor": everybody.accessor("userpass"), "custom_metadata": {"a": "b"}}
    known = everybody.root("identity/entity-alias", alias)
    assert known["data"]["canonical_id"] == _entity(login("bob", "other"))
    for odd in ("bo\u212a", "bob%20", "%20bob", "ren\u00e9"):
        assert everybody.send("POST", f"auth/userpass/login/{odd}", {"password": "other"}).status >= 400


@pytest.mark.parametrize("alike", ALIKE)
def test_a_token_role_allows_the_entity_that_its_name_is(everybody: World, alike: str) -> None:
    """What is compared with the allowed names is compared so with the entity's: no other is entered by one of them."""
    first, second = ALIKE[alike]
    everybody.root("auth/token/roles/few", {"allowed_entity_aliases": [second], "orphan": True})
    kept = everybody.root("auth/token/roles/few", method="GET")["data"]
    second = kept["allowed_entity_aliases"][0]  # a list has no spaces around its items

    def enter(role: str, name: str) -> Answer:
        body = {"entity_alias": name}
        return everybody.application.request("POST", f"/v1/auth/token/create/{role}", body, token="root")

    mine = _entity(enter("one", second))
    other = enter("few", first)
    assert _entity(enter("few", second)) == mine != ""
    assert other.status == 400 or _entity(other) == mine


def test_groups_of_tokens_are_told_apart_by_case(everybody: World) -> None:
    group = everybody.root("identity/group", {"name": "admins", "type": "external", "policies": "app"})
    alias = {
        "name": "Admins",
        "mount_accessor": everybody.accessor("jwt"),
        "canonical_id": group["data"]["id"],
    }
    everybody.root("identity/group-alias", alias)

    def policies(said: str) -> list[str]:
        body = {"role": "grouped", "jwt": everybody.proof(sub="carl", groups=[said])}
        found: list[str] = everybody.send("POST", "auth/jwt/login", body).json()["auth"]["policies"]
        return found

    assert "app" in policies("Admins")
    assert "app" not in policies("admins")


def test_operators_make_two_aliases_of_two_names_of_one_authority(everybody: World) -> None:
    accessor = everybody.accessor("jwt")
    made = [
        everybody.root("identity/entity-alias", {"name": name, "mount_accessor": accessor})["data"]
        for name in ("dora", "DORA")
    ]
    assert len({one["id"] for one in made}) == len({one["canonical_id"] for one in made}) == 2
    for name, one in zip(("dora", "DORA"), made, strict=True):
        sought = {"alias_name": name, "alias_mount_accessor": accessor}
        assert everybody.root("identity/lookup/entity", sought)["data"]["id"] == one["canonical_id"]
        assert _entity(_subject("jwt")(everybody, name)) == one["canonical_id"]


def test_what_was_kept_while_all_names_were_folded_is_its_owners_alone(everybody: World) -> None:
    """An alias from before is found by its own spelling, by no other, and leaves nothing behind when it goes."""
    accessor = everybody.accessor("jwt")
    login = _subject("jwt")
    owner = _entity(login(everybody, "Erik"))
    alias = everybody.root(f"identity/entity/id/{owner}", method="GET")["data"]["aliases"][0]["id"]
    former = former_place(MountAccessor(accessor), "Erik")
    assert former is not None
    now, before = (
        f"identity/entity-factor/{place(MountAccessor(accessor), 'Erik')}",
        f"identity/entity-factor/{former}",
    )

    async def move(core: View) -> None:
        value = await core.get(now)
        assert value is not None
        await core.put(before, raw(value))
        await core.delete(now)

    async def left(core: View) -> tuple[bool, bool]:
        return await core.get(now) is not None, await core.get(before) is not None

    _within(everybody, move)
    identities: Any = everybody.application.vault.credentials.tokens.entities
    identities._entered = BoundedCache(8)  # nobody is remembered, as after a start
    other = _entity(login(everybody, "erik"))
    assert _entity(login(everybody, "Erik")) == owner != other
    assert _entity(login(everybody, "erik")) == other
    assert _within(everybody, left) == (False, True)
    sought = {"alias_name": "Erik", "alias_mount_accessor": accessor}
    assert everybody.root("identity/lookup/entity", sought)["data"]["id"] == owner
    everybody.root(f"identity/entity-alias/id/{alias}", {"custom_metadata": {"seen": "yes"}})
    assert _within(everybody, left) == (True, False)
    assert _entity(login(everybody, "Erik")) == owner
    _within(everybody, move)
    everybody.root(f"identity/entity-alias/id/{alias}", method="DELETE")
    assert _within(everybody, left) == (False, False)
    assert _entity(login(everybody, "Erik")) not in {owner, other}


def test_a_group_alias_from_before_is_found_by_its_own_spelling_alone(everybody: World) -> None:
    accessor = everybody.accessor("oidc")
    group = everybody.root("identity/group", {"name": "old", "type": "external"})["data"]["id"]
    body = {"name": "Old", "mount_accessor": accessor, "canonical_id": group}
    alias = everybody.root("identity/group-alias", body)["data"]["id"]
    former = former_place(MountAccessor(accessor), "Old")
    assert former is not None
    now, before = (
        f"identity/group-factor/{place(MountAccessor(accessor), 'Old')}",
        f"identity/group-factor/{former}",
    )

    async def move(core: View) -> None:
        await core.put(before, group.encode())
        await core.delete(now)

    async def found(core: View) -> list[str | None]:
        pairs = [await groups.by_factor(core, MountAccessor(accessor), name) for name in ("Old", "old")]
        return [one.id if one is not None else None for one in pairs]

    async def left(core: View) -> list[str]:
        return [name for name in await core.list("identity/group-factor/") if name in {now[22:], before[22:]}]

    _within(everybody, move)
    assert _within(everybody, found) == [group, None]
    everybody.root(f"identity/group-alias/id/{alias}", method="DELETE")
    assert _within(everybody, left) == []
    assert _within(everybody, found) == [None, None]


def _within(world: World, work: Callable[[View], object]) -> object:
    """Do something to the data of the root namespace."""
    barrier = world.application.vault.ground.barrier

    async def done() -> object:
        async with barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            return await work(core)  # type: ignore[misc]  # one signature for what writes and what looks

    return world.application.run(done())


def _entity(answer: Answer) -> str:
    found: str = answer.json()["auth"]["entity_id"] if answer.status == 200 else ""
    return found
