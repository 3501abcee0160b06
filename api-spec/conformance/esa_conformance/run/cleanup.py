# SPDX-License-Identifier: Apache-2.0
"""Removes what a run has made, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from esa_conformance.binding.client import Client
from esa_conformance.errors import UnknownOutcome
from esa_conformance.run.journal import Entry, Journal
from esa_conformance.run.names import run_of

_GONE_WITHIN_S: Final = 10.0
_ATTEMPTS: Final = 6
_A = TypeVar("_A")
_R = TypeVar("_R")
_PATHS: Final = {
    "policy": "sys/policies/acl/{}",
    "mount": "sys/mounts/{}",
    "auth": "sys/auth/{}",
    "quota": "sys/quotas/rate-limit/{}",
}


class Cleaner:
    """Removes by the names in a journal; `callers` are by the names of the manifest's credentials."""

    def __init__(self, run: str, callers: Mapping[str, Client]) -> None:
        self._run = run
        self._kv = callers.get("kv")
        self._admin = callers.get("admin")
        self._accessors: dict[str, Mapping[str, str]] = {}

    def clean(self, entries: Iterable[Entry], journal: Journal | None = None) -> list[Entry]:
        """Remove all entries, namespaces first as all within them goes too. Returns those that are left."""
        mine = [entry for entry in entries if run_of(_last(entry)) == self._run]
        namespaces = [entry for entry in mine if entry.kind == "namespace"]
        ended = self._again(self._ended_namespaces, namespaces)
        left = [entry for entry in entries if entry not in mine]
        for entry in mine:
            if entry in namespaces:
                gone = entry.name in ended
            else:
                gone = entry.namespace in ended or self._again(self._removed, entry)
            if not gone:
                left.append(entry)
            elif journal is not None:
                journal.removed(entry.number)
        return left

    @staticmethod
    def _again(work: Callable[[_A], _R], what: _A) -> _R:
        """Do what may be done twice: once more where a connection was cut and nobody knows whether it was done."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return work(what)
            except UnknownOutcome:
                time.sleep(0.05)
        return work(what)

    def _ended_namespaces(self, entries: Sequence[Entry]) -> set[str]:
        """End namespaces, which takes servers a while: the names of those that are gone.

        One that has others in it can only be ended after these, so each is asked for until all are gone.
        """
        if self._admin is None:
            return set()
        waiting = {entry.name for entry in entries}
        until = time.monotonic() + _GONE_WITHIN_S
        while waiting and time.monotonic() < until:
            for name in sorted(waiting, reverse=True):
                within, _, last = name.rpartition("/")
                parent = self._admin.within(within)
                parent.send("DELETE", f"sys/namespaces/{last}")
                if parent.send("GET", f"sys/namespaces/{last}").absent:
                    waiting.discard(name)
            if waiting:
                time.sleep(0.1)
        return {entry.name for entry in entries} - waiting

    def _removed(self, entry: Entry) -> bool:
        if entry.kind == "secret":
            return self._secret(entry)
        if self._admin is None:
            return False
        admin = self._admin.within(entry.namespace)
        if entry.kind == "token":
            return self._token(admin, entry)
        path = _PATHS[entry.kind].format(entry.name)
        admin.send("DELETE", path)
        return not admin.send("GET", path).ok

    def _secret(self, entry: Entry) -> bool:
        """No version of it can be read; its name is gone too where this caller may remove names."""
        if run_of(entry.mount):
            return True  # gone with the mount, which is an entry of its own
        if self._kv is None:
            return False
        client = self._kv.within(entry.namespace).at(entry.mount, self._kv.where.prefix)
        if client.remove(entry.name).ok:
            return True
        newest = client.get(entry.name).version or 0
        if newest:
            client.destroy(entry.name, range(1, newest + 1))
        return client.get(entry.name).absent

    def _token(self, admin: Client, entry: Entry) -> bool:
        accessor = entry.accessor or self._unknown(admin).get(f"token-{entry.name}", "")
        if not accessor:
            return True  # it was not made
        found = admin.look_up_accessor(accessor)
        if not found.ok:
            return True
        if run_of(str((found.data or {}).get("display_name", ""))) != self._run:
            return False
        return admin.revoke_accessor(accessor).ok

    def _unknown(self, admin: Client) -> Mapping[str, str]:
        """Accessors of this run's tokens by display name: asked for once, for those whose making was cut off."""
        if admin.namespace not in self._accessors:
            made = {}
            for accessor in admin.send("LIST", "auth/token/accessors").keys:
                found = admin.look_up_accessor(accessor)
                name = str((found.data or {}).get("display_name", "")) if found.ok else ""
                if run_of(name) == self._run:
                    made[name] = accessor
            self._accessors[admin.namespace] = made
        return self._accessors[admin.namespace]


def _last(entry: Entry) -> str:
    """The part of a name that tells the run."""
    return entry.name.rpartition("/")[2] if entry.kind == "namespace" else entry.name
