# SPDX-License-Identifier: EUPL-1.2
"""What the destination has under the same name, and is another, gives nobody of the source rights, and gets none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.port_estate import Api, keys
from tests.integration.port_site import Site, equal, servers, two_namespaces, typed

_READ = {"policy": 'path "kv/*" { capabilities = ["read"] }'}
_ALL = {"policy": 'path "*" { capabilities = ["sudo", "update"] }'}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(params=["to Coffre", "to OpenBao"])
def ends(site: Site, request: pytest.FixtureRequest) -> tuple[Api, Api]:
    """A source and a destination."""
    bao, coffre = two_namespaces(site)
    return (bao, coffre) if request.param == "to Coffre" else (coffre, bao)


class Moved:
    """What a move said."""

    def __init__(self, ends: tuple[Api, Api], folder: Path, *more: str) -> None:
        said = typed("move", f"-journal={folder / 'journal'}", *more, to=ends[1], source=ends[0])
        self.code, report = said.code, said.report
        self.left = {row["path"]: row["why"] for row in report["not_moved"]}
        self.notes: dict[str, list[str]] = {}
        for row in report["not_kept"]:
            self.notes.setdefault(row["path"], []).append(row["what"])


def _entity(api: Api, name: str, **more: object) -> str:
    api("POST", "identity/entity", {"name": name, **more})
    return str(api("GET", f"identity/entity/name/{name}")["data"]["id"])


def _alias(api: Api, method: str, name: str, entity: str) -> None:
    accessor = api("GET", "sys/auth")["data"][f"{method}/"]["accessor"]
    body = {"name": name, "canonical_id": entity, "mount_accessor": accessor}
    api("POST", "identity/entity-alias", body)


def _aliases(api: Api, entity: str) -> list[str]:
    return [alias["name"] for alias in api("GET", f"identity/entity/name/{entity}")["data"]["aliases"]]


def _data(api: Api, path: str) -> Any:
    return api("GET", path)["data"]


def test_an_entity_that_is_another_becomes_no_member_and_a_group_that_is_no_target(
    ends: tuple[Api, Api], tmp_path: Path
) -> None:
    source, destination = ends
    members = [_entity(source, "ann", metadata={"of": "source"}), _entity(source, "bob")]
    inner = source("POST", "identity/group", {"name": "inner", "metadata": {"of": "source"}})["data"]["id"]
    source("POST", "identity/group", {"name": "staff", "member_entity_ids": members, "policies": ["p"]})
    source("POST", "identity/group", {"name": "outer", "member_group_ids": [inner]})
    for name, template in (("by-id", f"ids.{inner}.name"), ("by-name", "names.inner.id")):
        text = f'path "kv/{{{{identity.groups.{template}}}}}" {{ capabilities = ["read"] }}'
        source("POST", f"sys/policies/acl/{name}", {"policy": text})
    theirs = _entity(destination, "ann", metadata={"of": "destination"})
    other = destination("POST", "identity/group", {"name": "inner", "member_entity_ids": [theirs]})["data"][
        "id"
    ]
    for _ in range(2):  # the second finds what the first wrote
        moved = Moved(ends, tmp_path)
        assert moved.code == 1
        assert {"identity/entity/name/ann", "identity/group/name/inner", "sys/policies/acl/by-name"} == set(
            moved.left
        )
        bob = _data(destination, "identity/entity/name/bob")["id"]
        assert _data(destination, "identity/group/name/staff")["member_entity_ids"] == [bob]
        assert not _data(destination, "identity/group/name/outer")["member_group_ids"]
        assert moved.notes["identity/group/name/staff"] == ["its member entity:ann did not move"]
        text = _data(destination, "sys/policies/acl/by-id")["policy"]
        assert inner in text
        assert other not in text
    assert typed("verify", to=destination, source=source).code == 1
    assert Moved(ends, tmp_path, "-replace").left == {}
    equal(source, destination)


def test_a_method_that_believes_another_authority_gets_no_roles_and_no_aliases(
    ends: tuple[Api, Api], tmp_path: Path
) -> None:
    source, destination = ends
    public = {api: keys()[0] for api in (source.address, destination.address)}
    for api in ends:
        api("POST", "sys/auth/jwt", {"type": "jwt"})
        api("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public[api.address]]})
        api("POST", "sys/auth/userpass", {"type": "userpass"})
        api("POST", "auth/userpass/users/eve", {"password": "of-this-one", "token_policies": ["p"]})
        api("POST", "sys/auth/approle", {"type": "approle"})
        api("POST", "sys/auth/kind", {"type": "userpass" if api is source else "approle"})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], "token_policies": ["p"]}
    source("POST", "auth/jwt/role/app", role)
    ids = {name: _entity(source, name, policies=["p"]) for name in ("eve", "sub", "ci", "kind", "new")}
    source("POST", "auth/userpass/users/new", {"password": "of-this-one"})
    source("POST", "auth/approle/role/ci", {"token_policies": ["p"]})
    source("POST", "auth/approle/role/ci/role-id", {"role_id": "custom"})
    destination("POST", "auth/approle/role/theirs", {"token_policies": ["p"]})
    destination("POST", "auth/approle/role/theirs/role-id", {"role_id": "theirs"})
    for method, name, entity in (
        ("userpass", "eve", "eve"), ("userpass", "new", "new"), ("jwt", "sub", "sub"), ("approle", "custom", "ci"),
        ("kind", "kind", "kind"),
    ):  # fmt: skip
        _alias(source, method, name, ids[entity])
    _alias(source, "approle", "theirs", _entity(source, "other"))
    outside = source("POST", "identity/group", {"name": "outside", "type": "external"})["data"]["id"]
    accessor = _data(source, "sys/auth")["jwt/"]["accessor"]
    source(
        "POST",
        "identity/group-alias",
        {"name": "people", "canonical_id": outside, "mount_accessor": accessor},
    )
    for _ in range(2):
        moved = Moved(ends, tmp_path)
        assert set(moved.left) == {"auth/jwt/config", "auth/jwt/role/app", "kind/"}
        assert moved.left["auth/jwt/role/app"] == "auth/jwt/ has another authority at the destination"
        assert destination("LIST", "auth/jwt/role", missing=True) == {}
        assert not _data(destination, "identity/group/name/outside")["alias"]
        found = {name: _aliases(destination, name) for name in (*ids, "other")}
        assert found == {"eve": [], "sub": [], "ci": ["custom"], "kind": [], "new": ["new"], "other": []}
        assert "another user eve" in moved.notes["identity/entity/name/eve"][0]
        assert "may know others" in moved.notes["identity/entity/name/other"][0]
    assert typed("verify", to=destination, source=source).code == 1


def test_an_alias_of_another_stays_with_whoever_has_it(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    public, _ = keys()
    for api in ends:
        api("POST", "sys/auth/jwt", {"type": "jwt"})
        api("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public]})
        accessor = _data(api, "sys/auth")["jwt/"]["accessor"]
        _alias(
            api, "jwt", "sub", _entity(api, "ann" if api is source else "blocked", disabled=api is not source)
        )
        group = {"name": "staff" if api is source else "others", "type": "external"}
        id_ = api("POST", "identity/group", group)["data"]["id"]
        api("POST", "identity/group-alias", {"name": "all", "canonical_id": id_, "mount_accessor": accessor})
    for _ in range(2):
        moved = Moved(ends, tmp_path)
        assert (moved.code, moved.left) == (1, {})
        assert _aliases(destination, "blocked") == ["sub"]
        assert _aliases(destination, "ann") == []
        assert _data(destination, "identity/group/name/others")["alias"]["name"] == "all"
        for path, owner in (
            ("identity/entity/name/ann", "sub did not move: entity blocked"),
            ("identity/group/name/staff", "all did not move: group others"),
        ):
            assert moved.notes[path] == [f"its alias {owner} has it at the destination"]
    Moved(ends, tmp_path, "-replace")
    assert (_aliases(destination, "blocked"), _aliases(destination, "ann")) == ([], ["sub"])
    _alias(source, "jwt", "sub", _entity(source, "eve"))  # what the move brought goes where the source has it
    Moved(ends, tmp_path)
    assert (_aliases(destination, "eve"), _aliases(destination, "ann")) == (["sub"], [])


def test_a_policy_that_is_another_is_named_by_nothing_that_moves(
    ends: tuple[Api, Api], tmp_path: Path
) -> None:
    source, destination = ends
    source("POST", "sys/policies/acl/admin", _READ)
    destination("POST", "sys/policies/acl/admin", _ALL)
    destination("POST", "sys/policies/acl/team-root", _ALL)  # which the source has not
    source("POST", "sys/policies/acl/plain", _READ)
    for method in ("approle", "userpass"):
        source("POST", f"sys/auth/{method}", {"type": method})
    given = ["admin", "plain", "team-root"]
    source("POST", "auth/approle/role/ci", {"token_policies": given})
    source("POST", "auth/userpass/users/ann", {"password": "of-this-one", "token_policies": given})
    source("POST", "auth/token/roles/some", {"allowed_policies": given, "disallowed_policies": ["admin"]})
    source("POST", "auth/token/roles/one", {"allowed_policies": ["admin"]})
    source("POST", "auth/token/roles/many", {"allowed_policies_glob": ["team-*"]})
    id_ = _entity(source, "ann", policies=given)
    source("POST", "identity/group", {"name": "staff", "member_entity_ids": [id_], "policies": given})
    for _ in range(2):
        moved = Moved(ends, tmp_path)
        assert set(moved.left) == {"sys/policies/acl/admin", "auth/token/roles/one", "auth/token/roles/many"}
        for path, member in (
            ("auth/approle/role/ci", "token_policies"), ("auth/userpass/users/ann", "token_policies"),
            ("auth/token/roles/some", "allowed_policies"), ("identity/entity/name/ann", "policies"),
            ("identity/group/name/staff", "policies"),
        ):  # fmt: skip
            assert _data(destination, path)[member] == ["plain"], path
            assert "its policy admin is another at the destination" in moved.notes[path]
        assert _data(destination, "auth/token/roles/some")["disallowed_policies"] == ["admin"]
        assert destination("GET", "auth/token/roles/one", missing=True) == {}
    assert typed("verify", to=destination, source=source).code == 1
    destination("DELETE", "sys/policies/acl/team-root")
    assert Moved(ends, tmp_path, "-replace").left == {}
    equal(source, destination)


def test_settings_of_an_engine_are_not_written_into_another(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    source("POST", "sys/mounts/keys", {"type": "ssh"})
    source("POST", "keys/roles/otp", {"key_type": "otp", "default_user": "u"})
    destination("POST", "sys/mounts/keys", {"type": "kv", "options": {"version": "1"}})
    moved = Moved(ends, tmp_path)
    assert moved.left["keys/roles/otp"] == "its mount could not be made"
    assert destination("LIST", "keys", missing=True) == {}


def test_equal_ones_are_taken_for_the_same_by_another_journal(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    source("POST", "sys/policies/acl/admin", _READ)
    source("POST", "sys/auth/jwt", {"type": "jwt"})
    source("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [keys()[0]]})
    source("POST", "sys/auth/userpass", {"type": "userpass"})
    source("POST", "auth/userpass/users/ann", {"password": "of-this-one", "token_policies": ["admin"]})
    id_ = _entity(source, "ann", policies=["admin"])
    _alias(source, "jwt", "sub", id_)
    source("POST", "identity/group", {"name": "staff", "member_entity_ids": [id_], "policies": ["admin"]})
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert Moved(ends, folder).left == {}
    equal(source, destination)


def test_who_names_a_policy_that_needs_ids_has_it_in_the_end(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    source("POST", "sys/auth/approle", {"type": "approle"})
    for api, word in ((source, "read"), (destination, "list")):
        id_ = _entity(api, "bob")
        text = f'path "kv/{{{{identity.entity.id}}}}" {{ capabilities = ["{word}"] }} # {{{{{id_}}}}}'
        api("POST", "sys/policies/acl/own", {"policy": text})
    source("POST", "auth/approle/role/ci", {"token_policies": ["own"]})
    member = _entity(source, "ann", policies=["own"])
    source("POST", "identity/group", {"name": "staff", "member_entity_ids": [member]})
    for number in range(2):  # the second is a journal that knows of nothing
        folder = tmp_path / str(number)
        folder.mkdir()
        moved = Moved(ends, folder, "-replace")
        assert (moved.code, moved.left) == (0, {})
        assert {path for path in moved.notes if path.startswith(("identity", "auth/app"))} == set()
        equal(source, destination)
    (tmp_path / "third").mkdir()
    assert Moved(ends, tmp_path / "third").left == {}


def test_nothing_of_a_namespace_that_was_not_made_is_written(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    inner = Api(source.address, source.token, f"{source.namespace}/team")
    source("POST", "sys/namespaces/team", {})
    inner("POST", "sys/policies/acl/plain", _READ)
    inner("POST", "identity/entity", {"name": "ann", "policies": ["plain"]})
    destination("POST", "sys/mounts/team", {"type": "kv", "options": {"version": "1"}})
    moved = Moved(ends, tmp_path)
    assert moved.left["team/identity/entity/name/ann"] == "its namespace is not at the destination"
    assert moved.left["team/sys/policies/acl/plain"] == "its namespace is not at the destination"
    assert destination("LIST", "team", missing=True) == {}


def test_nothing_is_moved_into_itself(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, _ = ends
    inner = Api(source.address, source.token, f"{source.namespace}/team")
    source("POST", "sys/namespaces/team", {})
    for one, other in ((source, source), (source, inner), (inner, source)):
        said = typed("move", f"-journal={tmp_path / 'journal'}", to=other, source=one)
        assert (said.code, "one is within the other" in said.err) == (1, True)
    assert source("LIST", "sys/namespaces")["data"]["keys"] == ["team/"]
    beside = Api(source.address, source.token, f"{source.namespace}/team2")
    source("POST", "sys/namespaces/team2", {})
    assert typed("move", f"-journal={tmp_path / 'journal'}", to=beside, source=inner).code == 0


def test_groups_and_entities_move_under_any_name(ends: tuple[Api, Api], tmp_path: Path) -> None:
    source, destination = ends
    for name in ("two words", "over/here", "\u00fc", "a.b"):
        id_ = source("POST", "identity/entity", {"name": name})["data"]["id"]
        source("POST", "identity/group", {"name": name, "member_entity_ids": [id_]})
    moved = Moved(ends, tmp_path)
    assert (moved.code, moved.left) == (0, {})
    assert len(destination("LIST", "identity/group/name")["data"]["keys"]) == 4
    equal(source, destination)
