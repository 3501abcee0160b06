# SPDX-License-Identifier: EUPL-1.2
"""A server that takes entries, each by what its kind needs."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import Entry, Item, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.kv import version1, version2, version2_writer
from vaultctl.port.kv.mount import Mount
from vaultctl.port.removal import Removal
from vaultctl.port.settings import identity, mounts, names, namespaces, plain, policies, transit
from vaultctl.port.settings.catalog import ROLE_ID, SWITCHES, may_write
from vaultctl.port.settings.counterparts import Counterparts
from vaultctl.port.source import NAMES, SETTINGS
from vaultctl.text.json import as_list, as_map

SECRETS = (version1.KIND, version2.KIND)
"""Kinds that depend on nothing but their mount, so that many may be written at once."""
_ROUNDED = ("it has whole numbers from 2^53 on, which a server that keeps doubles rounds",)
_ABSENT = Outcome("left", "its mount could not be made")
_MISPLACED = Outcome("refused", "no entry of this kind is written there")
_NO_NAMESPACE = Outcome("left", "its namespace is not at the destination")
_PLACES = {
    identity.ENTITY: "identity/entity/name/",
    identity.GROUP: "identity/group/name/",
    policies.KIND: "sys/policies/acl/",
}
"""What the path of an entry of a kind begins with: an archive is no list of requests."""
_NOT_OWNED = (NAMES, names.KIND, mounts.ENGINE, mounts.METHOD, namespaces.KIND)
"""Kinds whose writes make nothing ours, but where a mount or a namespace is made: one that is tuned stays whose it was."""
_TYPES = {
    version1.KIND: "kv",
    version2.KIND: "kv",
    NAMES: "kv",
    SETTINGS: "kv",
    transit.KIND: "transit",
    "transit-config": "transit",
    "ssh-role": "ssh",
}
"""What is mounted where an entry of a kind is written."""


class ServerSink:
    """Writes to a server; the journal says what of the destination is the work of this move."""

    parallel = True

    def __init__(self, server: Server, journal: Journal, *, replace: bool, fillers: int) -> None:
        """`replace` overwrites what is there and is other. `fillers` is how many empty versions may keep numbers."""
        self._server, self._journal, self._replace = server, journal, replace
        self._limits = version2_writer.Limits(fillers)
        self._counterparts: dict[str, Counterparts] = {}
        self._refused: set[Name] = set()
        self._mounts: dict[str, Mapping[str, object]] = {}
        self._retention: dict[str, version2_writer.Retention] = {}
        self._namespaces: set[str] = set()
        self._lock = threading.Lock()
        self._removal = Removal(server, journal)

    def put(self, item: Item, entry: Entry) -> Outcome:
        """Write one entry, which the journal knows to be ours before that. ApiError where the server refuses."""
        if self._journal.holds(entry.name) or entry.name.kind in _NOT_OWNED:
            return self._put(entry)
        with self._owning(entry.name):
            return self._put(entry)

    def _owning(self, name: Name) -> AbstractContextManager[None]:
        """Say in time whose work this is: what an end in the middle leaves is ours, and what was refused is not."""
        return self._server.before_write(
            partial(self._journal.own, name), partial(self._journal.forget, name)
        )

    def _put(self, entry: Entry) -> Outcome:
        name = entry.name
        if name.leads_out or (name.namespace and not name.namespace.endswith("/")):
            return _MISPLACED
        if name.namespace and not self._has_namespace(name.namespace):
            return _NO_NAMESPACE
        if not name.path.startswith(_PLACES.get(name.kind, "")):
            return _MISPLACED
        if name.kind in _TYPES and (refusal := self._unmounted(entry)) is not None:
            return refusal
        ours = self._replace or self._journal.holds(name) or self._journal.holds(_maker(name))
        if name.kind in SECRETS:
            return self._secret(entry, ours=ours)
        if name.kind == NAMES:
            return self._removal.of_secrets(entry)
        if name.kind == names.KIND:
            return self._gone(entry)
        if name.kind in (mounts.ENGINE, mounts.METHOD):
            return self._mount(entry, ours=ours)
        if self._of_refused_method(name):
            return _ABSENT
        if name.kind == namespaces.KIND:
            return namespaces.put(self._server, entry, ours=ours, making=self._owning(name))
        if name.kind == transit.KIND:
            return transit.put(self._server, entry, ours=self._replace)
        counterparts = self._at(name.namespace)
        outcome = self._setting(entry, counterparts, ours=ours)
        counterparts.take(name, outcome, entry.data)
        return outcome

    def _setting(self, entry: Entry, counterparts: Counterparts, *, ours: bool) -> Outcome:
        """Write what others depend on, or what depends on others."""
        name = entry.name
        if name.kind in (identity.ENTITY, identity.GROUP):
            return identity.put(
                self._server, entry, counterparts, self._journal, ours=ours, replace=self._replace
            )
        if name.kind == policies.KIND:
            return policies.put(self._server, entry, counterparts, ours=ours)
        if not may_write(name.kind, name.path) or not counterparts.takes(name):
            return _MISPLACED
        if why := counterparts.why_no_role(name):
            return Outcome("left", why)
        if name.kind == SETTINGS:
            self._retention.pop(name.namespace + _engine(entry), None)
        return plain.put(
            self._server,
            entry,
            counterparts,
            ours=ours,
            also=_also(entry),
            switch=SWITCHES.get(name.kind, ""),
        )

    def _at(self, namespace: str) -> Counterparts:
        if namespace not in self._counterparts:
            self._counterparts[namespace] = Counterparts(self._server, namespace, self._journal)
        return self._counterparts[namespace]

    def _has_namespace(self, namespace: str) -> bool:
        """Whether there is such a namespace: without it all its paths may be those of a mount that has its name."""
        if namespace not in self._namespaces and namespaces.exists(self._server, namespace):
            self._namespaces.add(namespace)
        return namespace in self._namespaces

    def _mount(self, entry: Entry, *, ours: bool) -> Outcome:
        """Make a mount. Nothing is written below one that could not be made: what is there is somebody else's."""
        name = entry.name
        self._refused.add(name)
        outcome = mounts.put(self._server, entry, ours=ours, making=self._owning(name))
        if not outcome.why:
            self._refused.discard(name)
        self._at(name.namespace).take(name, outcome, entry.data)
        self._mounts.pop(name.namespace, None)
        return outcome

    def _of_refused_method(self, name: Name) -> bool:
        return any(
            method.kind == mounts.METHOD
            and method.namespace == name.namespace
            and name.path.startswith(f"auth/{method.path}")
            for method in self._refused
        )

    def _unmounted(self, entry: Entry) -> Outcome | None:
        """Why an entry is not written into its mount; None where it may be."""
        name = entry.name
        path = _engine(entry)
        if Name(mounts.ENGINE, name.namespace, path) in self._refused:
            return _ABSENT
        with self._lock:
            if name.namespace not in self._mounts:
                self._mounts[name.namespace] = mounts.table(self._server, name.namespace, mounts.ENGINE)
            about = as_map(self._mounts[name.namespace].get(path))
        if not (name.path.startswith(path) and about.get("type") == _TYPES[name.kind]):
            return _MISPLACED
        return None

    def _secret(self, entry: Entry, *, ours: bool) -> Outcome:
        mount = Mount(entry.name.namespace, str(entry.data["mount"]))
        if entry.name.kind == version1.KIND:
            outcome = version1.put(self._server, mount, entry, ours=ours)
        else:
            outcome = version2_writer.put(
                self._server, mount, entry, ours=ours, retention=self._kept(mount), limits=self._limits
            )
        return replace(outcome, remarks=_ROUNDED) if _inexact(entry) else outcome

    def _kept(self, mount: Mount) -> version2_writer.Retention:
        """What the mount keeps of each secret."""
        with self._lock:
            if mount.base not in self._retention:
                config = self._server.read(f"{mount.base}config") or {}
                self._retention[mount.base] = version2_writer.Retention.of(config)
            return self._retention[mount.base]

    def _gone(self, entry: Entry) -> Outcome:
        """Remove what this move brought, and what is no longer at the source."""
        outcome = self._removal.of_names(entry)
        self._at(entry.name.namespace).forget()
        self._mounts.pop(entry.name.namespace, None)
        self._namespaces.clear()
        return outcome or _MISPLACED


def _engine(entry: Entry) -> str:
    """The path of the engine that an entry is written into."""
    name = entry.name
    if name.kind == NAMES:
        return name.path
    for kind, end in ((SETTINGS, "config"), ("transit-config", "config/keys"), ("ssh-role", "roles/")):
        if name.kind == kind:
            return name.path.rpartition(end)[0]
    return str(entry.data.get("mount"))


def _maker(name: Name) -> Name:
    """The entry that an entry comes to be with: a role brings an id, which is nobody's yet."""
    if name.kind == ROLE_ID:
        return Name("approle", name.namespace, name.path.removesuffix("/role-id"))
    return name


def _inexact(entry: Entry) -> bool:
    """Whether a secret has numbers that not every server keeps exactly."""
    values = [
        entry.data.get("value"),
        *(as_map(one).get("value") for one in as_list(entry.data.get("versions"))),
    ]
    return any(canonical.inexact(canonical.value_of(value)) for value in values if isinstance(value, str))


def _also(entry: Entry) -> Mapping[str, object]:
    """What an object needs that no server tells: a password or a client's secret that nobody knows."""
    if entry.name.kind == "userpass":
        return {"password": secrets.token_urlsafe(32)}
    if entry.name.kind == "jwt-config" and as_map(entry.data["body"]).get("oidc_client_id"):
        return {"oidc_client_secret": secrets.token_urlsafe(32)}
    return {}
