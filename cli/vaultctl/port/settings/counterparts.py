# SPDX-License-Identifier: EUPL-1.2
"""What of the destination is what it is at the source, so that others may depend on it.

Two servers may have an entity, a policy or an auth method of one name that are not the same. What was brought or found
equal stands for that of the source. Whatever else has a name there is strange: who became its member, logged in by it or
got its policy would have rights that nobody gave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vaultctl.port.ground.entry import Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import mounts
from vaultctl.port.settings.references import References
from vaultctl.text.json import as_list, as_map

_ENTITY, _GROUP, _POLICY = "identity/entity/name/", "identity/group/name/", "sys/policies/acl/"
GIVEN = ("token_policies", "policies", "allowed_policies", "allowed_policies_glob")
"""Members that name policies to give. Those that name policies to forbid are written as they are."""
_AUTHORITY = (
    "oidc_discovery_url",
    "jwks_url",
    "jwt_validation_pubkeys",
    "provider_config",
    "kubernetes_host",
    "pem_keys",
)
"""Members of a configuration that say whom a method believes."""
_CONFIGURED = {"jwt": "jwt-config", "oidc": "jwt-config", "kubernetes": "auth-config"}
"""Types whose roles believe one authority, with the kind of the entry that says which."""
_TYPES = {
    "approle": ("approle",),
    "approle-id": ("approle",),
    "userpass": ("userpass",),
    "jwt-config": ("jwt", "oidc"),
    "auth-config": ("kubernetes", "cert"),
    "auth-role": ("jwt", "oidc", "kubernetes", "cert"),
    "auth-crl": ("cert",),
}
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")


class Counterparts:
    """What of one namespace stands for the source's."""

    def __init__(self, server: Server, namespace: str, journal: Journal) -> None:
        self._server, self._namespace, self._journal = server, namespace, journal
        self.references = References(server, namespace)
        self._equal: set[tuple[str, str]] = set()
        self._logins: set[str] = set()
        self._policies: set[str] | None = None
        self._strange: list[str] | None = None
        self._methods: Mapping[str, Mapping[str, object]] | None = None

    def take(self, name: Name, outcome: Outcome, data: Mapping[str, object]) -> None:
        """Know what became of an entry."""
        self._equal.discard((name.kind, name.path))
        if outcome.word in ("written", "unchanged"):
            self._equal.add((name.kind, name.path))
            if name.kind == "approle-id":
                self._logins.add(_mount(name.path) + str(as_map(data.get("body")).get("role_id")))
        if name.kind == "policy":
            self._strange = None
        if name.kind == mounts.METHOD:
            self.forget()

    def forget(self) -> None:
        """Read again what the destination has: something was removed."""
        self.references.forget()
        self._policies = self._strange = self._methods = None

    def is_same(self, kind: str, path: str) -> bool:
        """Whether what has that name there is that of the source."""
        return (kind, path) in self._equal or self._journal.holds(Name(kind, self._namespace, path))

    def id_of(self, text: str) -> str | None:
        """The id there of `entity:NAME`, `group:NAME` or `mount:auth/PATH/`; None where that is not the source's."""
        word, _, name = text.partition(":")
        if word == "mount":
            same = self.is_same(mounts.METHOD, name.removeprefix("auth/"))
        else:
            same = self.is_same(word, {"entity": _ENTITY, "group": _GROUP}.get(word, "") + name)
        return self.references.id_of(text) if same else None

    def is_strange(self, kind: str, path: str) -> bool:
        """Whether something has that name there, and is not that of the source."""
        return not self.is_same(kind, path) and self._server.read(self._namespace + path) is not None

    # ------------------------------------------------------------------------------ policies

    def with_known_policies(self, body: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        """A body without strange policies, and the names of these."""
        found: dict[str, object] = dict(body)
        strange: list[str] = []
        for member in GIVEN:
            names = as_list(body.get(member))
            out = [name for name in names if self._gives_strange(str(name))]
            if out:
                found[member] = [name for name in names if name not in out]
                strange += map(str, out)
        return found, sorted(set(strange))

    def _gives_strange(self, name: str) -> bool:
        """Whether a name, which may have `*` or a template within, is that of a strange policy."""
        parts = _TEMPLATE.sub("*", name.lower()).split("*")
        return any(_matches(parts, policy) for policy in self._strange_policies())

    def _strange_policies(self) -> list[str]:
        if self._policies is None:
            self._policies = set(self._server.names(f"{self._namespace}sys/policies/acl")) - {"root"}
        if self._strange is None:
            self._strange = [name for name in self._policies if not self.is_same("policy", _POLICY + name)]
        return self._strange

    # ------------------------------------------------------------------------------ who logs in

    def _type(self, mount: str) -> str:
        if self._methods is None:
            self._methods = mounts.table(self._server, self._namespace, mounts.METHOD)
        return str(as_map(self._methods.get(mount.removeprefix("auth/"))).get("type") or "")

    def takes(self, name: Name) -> bool:
        """Whether an entry of an auth method is written into one of its type."""
        wanted = _TYPES.get(name.kind)
        return wanted is None or self._type(_mount(name.path)) in wanted

    def why_no_role(self, name: Name) -> str:
        """Why a role may not be written: its method believes somebody else. Empty where it may be."""
        mount = _mount(name.path)
        if name.kind == "auth-role" and not self._believes_same(mount):
            return f"{mount} has another authority at the destination"
        return ""

    def _believes_same(self, mount: str) -> bool:
        kind = _CONFIGURED.get(self._type(mount))
        if kind is None or self.is_same(kind, f"{mount}config"):
            return True
        there = self._server.read(f"{self._namespace}{mount}config") or {}
        return not any(there.get(member) for member in _AUTHORITY)

    def why_no_mount(self, mount: str) -> str:
        """Why nobody who logs in by a method may be taken for one of the source. Empty where they may be."""
        if not self._type(mount):
            return f"{mount} is not at the destination"
        if not self.is_same(mounts.METHOD, mount.removeprefix("auth/")):
            return f"{mount} is another at the destination"
        if not self._believes_same(mount):
            return f"{mount} has another authority at the destination"
        return ""

    def why_no_alias(self, mount: str, name: str) -> str:
        """Why who logs in under a name may not be taken for the one of the source. Empty where they may be."""
        if why := self.why_no_mount(mount):
            return why
        kind = self._type(mount)
        if kind == "userpass":
            user = Name("userpass", self._namespace, f"{mount}users/{name}")
            if not self._journal.holds(user) and self._server.read(user.text) is not None:
                return f"{mount} has another user {name} at the destination"
            return ""
        if self._journal.holds(Name(mounts.METHOD, self._namespace, mount.removeprefix("auth/"))):
            return ""
        if kind in _CONFIGURED or mount + name in self._logins:
            return ""
        if kind == "cert":
            paths = [f"{mount}certs/{role}" for role in self._server.names(f"{self._namespace}{mount}certs/")]
            if all(self.is_same("auth-role", path) for path in paths):
                return ""
        return f"{mount} was at the destination before, and may know others by that name"

    def why_taken(self, name: Name, mount: str, alias: str) -> str:
        """Why an alias is not given to an entity or a group: another has it, and would lose it. Empty where none does.

        Servers move an alias that is written a second time, so that who was blocked there would be somebody else.
        """
        accessor = self.references.id_of(f"mount:{mount}")
        wanted = {"alias_name": alias, "alias_mount_accessor": accessor}
        found = self._server.ask(f"{self._namespace}identity/lookup/{name.kind}", wanted).get("name")
        path = {"entity": _ENTITY, "group": _GROUP}[name.kind] + str(found)
        if not found or path == name.path or self._journal.holds(Name(name.kind, self._namespace, path)):
            return ""
        return f"{name.kind} {found} has it at the destination"


def _matches(parts: list[str], name: str) -> bool:
    """Whether a name has these parts in this order, from its beginning to its end."""
    if len(parts) == 1:
        return name == parts[0]
    if not (name.startswith(parts[0]) and name[len(parts[0]) :].endswith(parts[-1])):
        return False
    inner = name[len(parts[0]) : len(name) - len(parts[-1])]
    for part in parts[1:-1]:
        _, found, inner = inner.partition(part) if part else ("", True, inner)
        if not found:
            return False
    return True


def _mount(path: str) -> str:
    """The auth method that a path of a role, a user or a configuration is in."""
    if path.endswith("/config"):
        return path.removesuffix("config")
    return path[: max(path.rfind(end) for end in ("/role/", "/users/", "/certs/", "/crls/")) + 1]
