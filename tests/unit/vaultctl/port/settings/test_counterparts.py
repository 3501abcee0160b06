# SPDX-License-Identifier: EUPL-1.2
"""What has a name at the destination and is not the source's gives no rights, and gets none."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.settings.counterparts import Counterparts
from vaultctl.port.settings.references import References, groups_in

_METHODS: Mapping[str, object] = {
    "role/": {"type": "approle", "accessor": "a1"},
    "users/": {"type": "userpass", "accessor": "a2"},
    "config/": {"type": "jwt", "accessor": "a3"},
    "jwt/": {"type": "jwt", "accessor": "a4"},
}


class _There(Server):
    """A destination that has what it is given."""

    def __init__(self, **lists: list[str]) -> None:
        super().__init__(lambda: pytest.fail("nothing is asked over the network"))
        self.lists = {name.replace("_", "/"): found for name, found in lists.items()}
        self.objects: dict[str, dict[str, object]] = {"sys/auth": dict(_METHODS)}

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        return ((name, None) for name in self.lists.get(path, []))

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        return self.objects.get(path)


def _counterparts(server: Server, folder: Path) -> Counterparts:
    return Counterparts(server, "", Journal(folder / "journal", {}))


@pytest.mark.parametrize(
    ("given", "kept", "strange"),
    [
        (["ours", "theirs", "nobodys"], ["ours", "nobodys"], ["theirs"]),
        (["THEIRS"], [], ["THEIRS"]),
        (["the*", "ou*"], ["ou*"], ["the*"]),
        (["the{{identity.entity.name}}"], [], ["the{{identity.entity.name}}"]),
        (["root", "t.eirs"], ["root", "t.eirs"], []),
        (["t*e*s", "*theirs", "*"], [], ["*", "*theirs", "t*e*s"]),
        (["t*x*s", "theirs*theirs", "the*eirss"], ["t*x*s", "theirs*theirs", "the*eirss"], []),
    ],
)
def test_policies_that_are_others_there_are_left_out(
    given: list[str], kept: list[str], strange: list[str], tmp_path: Path
) -> None:
    counterparts = _counterparts(_There(sys_policies_acl=["ours", "theirs", "root"]), tmp_path)
    counterparts.take(Name("policy", "", "sys/policies/acl/ours"), UNCHANGED, {})
    counterparts.take(Name("policy", "", "sys/policies/acl/theirs"), WRITTEN, {})
    counterparts.take(Name("policy", "", "sys/policies/acl/theirs"), Outcome("left", "it is another"), {})
    for member in ("token_policies", "policies", "allowed_policies", "allowed_policies_glob"):
        assert counterparts.with_known_policies({member: given, "ttl": 1}) == (
            {member: kept, "ttl": 1},
            strange,
        )
    forbidden = {"disallowed_policies": given, "disallowed_policies_glob": given}
    assert counterparts.with_known_policies(forbidden) == (forbidden, [])


@pytest.mark.parametrize(
    ("kind", "path", "takes"),
    [
        ("approle", "auth/role/role/r", True),
        ("approle-id", "auth/role/role/r/role-id", True),
        ("approle", "auth/users/role/r", False),
        ("userpass", "auth/users/users/u", True),
        ("userpass", "auth/role/users/u", False),
        ("jwt-config", "auth/config/config", True),
        ("auth-role", "auth/config/role/r", True),
        ("auth-role", "auth/none/role/r", False),
        ("quota", "sys/quotas/rate-limit/x", True),
    ],
)
def test_an_entry_is_written_into_a_method_of_its_type(
    kind: str, path: str, takes: bool, tmp_path: Path
) -> None:
    assert _counterparts(_There(), tmp_path).takes(Name(kind, "", path)) is takes


def test_a_method_that_believes_somebody_else_takes_no_role(tmp_path: Path) -> None:
    server, role = _There(), Name("auth-role", "", "auth/jwt/role/r")
    counterparts = _counterparts(server, tmp_path)
    assert counterparts.why_no_role(role) == ""  # nobody can log in there
    server.objects["auth/jwt/config"] = {"jwks_url": "https://other.example", "jwt_validation_pubkeys": []}
    assert "another authority" in counterparts.why_no_role(role)
    counterparts.take(Name("jwt-config", "", "auth/jwt/config"), UNCHANGED, {})
    assert counterparts.why_no_role(role) == ""


def test_ids_of_a_server_whose_list_has_no_names_are_read_one_by_one() -> None:
    server = _There(identity_entity_id=["e1", "e2"])
    server.objects["identity/entity/id/e1"] = {"name": "ann"}
    names = References(server, "").names
    assert (names["e1"], "e2" in names, names["a4"]) == ("entity:ann", False, "mount:auth/jwt/")


def test_groups_that_templates_name_are_found() -> None:
    text = 'path "a/{{identity.groups.names.x y.id}}/{{ identity.groups.names.z.q.name }}/identity.groups.names.n.id" {}'
    assert groups_in(text) == ["x y", "z", "z.q"]
