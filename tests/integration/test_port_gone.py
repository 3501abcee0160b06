# SPDX-License-Identifier: EUPL-1.2
"""What is withdrawn at the source is withdrawn at the destination, where a move brought it; what others have there stays."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.port_estate import SECRET, Api
from tests.integration.port_site import Site, equal, servers, small, two_namespaces, typed

Carry = Callable[[], dict[str, Any]]
"""Brings what is at the source to the destination, and returns the report."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(params=["archives, from OpenBao", "directly, from Coffre"])
def ends(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Api, Api, Carry]:
    """A source, a destination, and what carries."""
    source, destination = two_namespaces(site)
    archives: list[Path] = []

    def by_archives() -> dict[str, Any]:
        archive = tmp_path / f"archive{len(archives)}"
        since = [f"-since={archives[-1]}"] if archives else []
        assert typed("export", *site.sealing, *since, archive, to=source).code == 0
        archives.append(archive)
        words = ["import", *site.opening, f"-journal={tmp_path / 'journal'}", archive]
        return typed(*words, to=destination).report

    def directly() -> dict[str, Any]:
        return typed("move", f"-journal={tmp_path / 'journal'}", to=source, source=destination).report

    if request.param.startswith("archives"):
        return source, destination, by_archives
    return destination, source, directly


def _rights(api: Api) -> None:
    """Something of every kind that gives rights."""
    small(api)
    for name in ("p1", "p2", "gone"):
        api("POST", f"sys/policies/acl/{name}", {"policy": f'path "kv/{name}" {{ capabilities = ["read"] }}'})
    for method in ("approle", "userpass", "jwt", "leaving"):
        api("POST", f"sys/auth/{method}", {"type": "userpass" if method == "leaving" else method})
    api(
        "POST", "auth/approle/role/ci",
        {
            "token_policies": ["p1", "gone"], "token_bound_cidrs": ["10.0.0.0/8"], "token_no_default_policy": True,
            "secret_id_bound_cidrs": ["10.0.0.0/8"], "token_ttl": "20m",
        },
    )  # fmt: skip
    api("POST", "auth/approle/role/gone", {"token_policies": ["p1"]})
    api(
        "POST", "auth/jwt/role/app",
        {
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"], "bound_claims": {"x": "y"},
            "bound_subject": "s", "claim_mappings": {"a": "b"}, "token_policies": ["p1"],
        },
    )  # fmt: skip
    for user in ("ann", "bob"):
        api("POST", f"auth/userpass/users/{user}", {"password": f"{SECRET}x", "token_policies": ["p2"]})
    api("POST", "auth/leaving/users/ann", {"password": f"{SECRET}x", "token_policies": ["p2"]})
    api("POST", "auth/token/roles/gone", {"allowed_policies": ["p1"]})
    api("POST", "auth/token/roles/stays", {"allowed_policies": ["p1"], "disallowed_policies": ["p2"]})
    methods = api("GET", "sys/auth")["data"]
    for name in ("ann", "bob"):
        api("POST", "identity/entity", {"name": name, "metadata": {"a": "b"}, "policies": ["p1"]})
        for method in ("userpass", "leaving"):
            body = {"name": name, "mount_accessor": methods[f"{method}/"]["accessor"]}
            api("POST", "identity/entity-alias", {**body, "canonical_id": _id(api, "entity", name)})
    ids = [_id(api, "entity", name) for name in ("ann", "bob")]
    for name in ("staff", "leavers"):
        api("POST", "identity/group", {"name": name, "member_entity_ids": ids, "policies": ["p2"]})
    api("POST", "identity/group", {"name": "outside", "type": "external", "policies": ["p2"]})
    _group_alias(api, "people")
    api("POST", "sys/mounts/transit", {"type": "transit"})
    for key in ("kept", "gone", "imported"):
        backup = {"allow_plaintext_backup": key != "imported"}
        api("POST", f"transit/keys/{key}", {"exportable": True, **backup})
        api("POST", f"transit/keys/{key}/config", {"deletion_allowed": True, "auto_rotate_period": "48h"})
    api("POST", "sys/mounts/ssh", {"type": "ssh"})
    api(
        "POST", "ssh/roles/otp",
        {"key_type": "otp", "default_user": "u", "cidr_list": "10.0.0.0/8", "exclude_cidr_list": "10.1.0.0/16"},
    )  # fmt: skip
    api("POST", "ssh/roles/gone", {"key_type": "otp", "default_user": "u", "cidr_list": "10.0.0.0/8"})
    team = Api(api.address, api.token, f"{api.namespace}/team")
    api("POST", "sys/namespaces/team", {})
    team("POST", "sys/policies/acl/inner", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    team("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    team("POST", "kv/a", {"v": SECRET})


def _id(api: Api, kind: str, name: str) -> str:
    return str(api("GET", f"identity/{kind}/name/{name}")["data"]["id"])


def _group_alias(api: Api, name: str) -> None:
    accessor = api("GET", "sys/auth")["data"]["jwt/"]["accessor"]
    body = {"name": name, "canonical_id": _id(api, "group", "outside"), "mount_accessor": accessor}
    api("POST", "identity/group-alias", body)


def _withdraw(api: Api) -> None:
    """Take something of every kind away."""
    empty = {"token_policies": [], "token_bound_cidrs": [], "secret_id_bound_cidrs": [], "token_ttl": 0}
    api("POST", "auth/approle/role/ci", {**empty, "token_no_default_policy": False})
    bound = {"bound_claims": {}, "bound_subject": "", "claim_mappings": {}, "token_policies": []}
    kept = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["a"]}
    api("POST", "auth/jwt/role/app", {**kept, **bound})
    api("POST", "auth/token/roles/stays", {"allowed_policies": ["p1"], "disallowed_policies": []})
    api("POST", "ssh/roles/otp", {"key_type": "otp", "default_user": "u", "cidr_list": "10.0.0.0/8"})
    api("POST", "auth/userpass/users/ann", {"token_policies": []})
    for path in (
        "auth/approle/role/gone", "auth/userpass/users/bob", "auth/token/roles/gone", "sys/policies/acl/gone",
        "identity/entity/name/bob", "identity/group/name/leavers", "transit/keys/gone", "sys/auth/leaving", "ssh/roles/gone",
    ):  # fmt: skip
        api("DELETE", path)
    api("POST", "identity/entity/name/ann", {"metadata": {}, "policies": []})
    for alias in api("GET", "identity/entity/name/ann")["data"]["aliases"]:
        api("DELETE", f"identity/entity-alias/id/{alias['id']}")
    api("POST", "identity/group/name/staff", {"member_entity_ids": [], "policies": [], "metadata": {}})
    _group_alias(api, "others")
    for key in ("kept", "imported"):
        api("POST", f"transit/keys/{key}/config", {"deletion_allowed": False, "auto_rotate_period": 0})
    api("DELETE", "sys/mounts/old")
    api("DELETE", "sys/namespaces/team")
    until = time.monotonic() + 60
    while api("LIST", "sys/namespaces", missing=True) and time.monotonic() < until:
        time.sleep(0.1)


def test_what_is_withdrawn_is_withdrawn(ends: tuple[Api, Api, Carry]) -> None:
    source, destination, carry = ends
    _rights(source)
    assert carry()["not_moved"] == []
    equal(source, destination)
    _withdraw(source)
    assert carry()["not_moved"] == []
    equal(source, destination)
    role = destination("GET", "auth/approle/role/ci")["data"]
    assert (role["token_policies"], role["token_bound_cidrs"]) == ([], [])
    assert not destination("GET", "identity/entity/name/ann")["data"]["aliases"]
    for path in ("auth/userpass/users/bob", "identity/entity/name/bob", "sys/policies/acl/gone"):
        assert destination("GET", path, missing=True) == {}
    assert "team/" not in destination("LIST", "sys/namespaces", missing=True).get("data", {}).get("keys", [])
    again = carry()
    assert again["not_moved"] == []
    assert not [words for words in again["entries"].values() if "written" in words]


def test_what_lists_hide_from_a_token_is_not_removed(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    rules = (
        'path "*" { capabilities = ["read", "list"] }\npath "kv/data/app/s1" { capabilities = ["deny"] }\n'
    )
    filtered = "".join(
        f'path "kv/{branch}/app/" {{\n capabilities = ["list"]\n list_scan_response_keys_filter_path = "kv/data/app/{{{{ .key }}}}"\n}}\n'
        for branch in ("metadata", "detailed-metadata")
    )
    source("POST", "sys/policies/acl/some", {"policy": rules + filtered})
    answer = source("POST", "auth/token/create", {"policies": ["some"], "no_default_policy": True})
    few = Api(source.address, answer["auth"]["client_token"], source.namespace)
    assert "s1" not in few("LIST", "kv/metadata/app/")["data"]["keys"]
    moved = typed(*words, to=destination, source=few)
    assert moved.code == 1
    assert (
        "policy some filters lists" in {row["path"]: row["why"] for row in moved.report["not_moved"]}["lists"]
    )
    equal(source, destination)


def test_what_the_destination_has_by_itself_stays(ends: tuple[Api, Api, Carry]) -> None:
    source, destination, carry = ends
    text = {"policy": 'path "kv/*" { capabilities = ["read"] }'}
    own = {
        "sys/policies/acl/theirs": text,
        "sys/policies/acl/equal": text,
        "sys/mounts/equal": {"type": "kv", "options": {"version": "1"}},
        "auth/approle/role/theirs": {"token_policies": ["theirs"]},
        "identity/entity/name/equal": {"metadata": {"a": "b"}},
    }
    _rights(source)
    source("POST", "sys/policies/acl/equal", text)
    source("POST", "sys/mounts/equal", own["sys/mounts/equal"])
    source("POST", "equal/a", {"v": SECRET})
    source("POST", "identity/entity/name/equal", own["identity/entity/name/equal"])
    destination("POST", "sys/auth/approle", {"type": "approle"})
    for path, body in own.items():
        destination("POST", path, body)
    destination("POST", "equal/theirs", {"v": "theirs"})
    carry()
    destination("POST", "old/theirs", {"v": "theirs"})  # in a mount that the move made
    destination("POST", "auth/leaving/users/theirs", {"password": "theirs-only"})
    destination("POST", "team/kv/theirs", {"v": "theirs"})
    alias = {"canonical_id": _id(destination, "entity", "ann"), "name": "theirs"}
    accessor = destination("GET", "sys/auth")["data"]["approle/"]["accessor"]
    destination("POST", "identity/entity-alias", {**alias, "mount_accessor": accessor})
    _withdraw(source)
    source("DELETE", "sys/policies/acl/equal")
    source("DELETE", "sys/mounts/equal")
    source("DELETE", "identity/entity/name/equal")
    report = carry()
    for path in (*(path for path in own if "mounts" not in path), "equal/theirs", "old/theirs"):
        assert destination("GET", path)["data"]
    assert destination("GET", "auth/leaving/users/theirs")["data"]
    assert destination("GET", "team/kv/theirs")["data"] == {"v": "theirs"}
    for path in ("equal/a", "old/s0", "auth/leaving/users/ann", "team/kv/a", "team/sys/policies/acl/inner"):
        assert destination("GET", path, missing=True) == {}
    why = {row["path"]: row["why"] for row in report["not_moved"]}
    assert "old/ (it holds what this move did not bring)" in why["sys/mounts"]
    assert "leaving/ (it holds" in why["sys/auth"]
    assert "team/ (it holds" in why["sys/namespaces"]
    aliases = destination("GET", "identity/entity/name/ann")["data"]["aliases"]
    assert [one["name"] for one in aliases] == ["theirs"]
    found = typed("verify", to=destination, source=source)
    assert found.code == 1
    assert {"old/", "leaving/", "team/"} <= {row["path"] for row in found.report["differences"]}
