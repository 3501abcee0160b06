# SPDX-License-Identifier: Apache-2.0
"""Removes what a run has made, and nothing else. What nobody could look at counts as left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply
from esa_conformance.errors import UnknownOutcome
from esa_conformance.run.credentials import WRAPPED_S, Credentials, again, is_spent
from esa_conformance.run.journal import Entry, Journal
from esa_conformance.run.names import run_of
from esa_conformance.run.seal import unseal

_GONE_WITHIN_S: Final = 30.0
_LATE_S: Final = 60.0
"""Seconds until a wrapped answer is made that was asked for, at most."""
_PATHS: Final = {
    "policy": "sys/policies/acl/{}",
    "mount": "sys/mounts/{}",
    "auth": "sys/auth/{}",
    "quota": "sys/quotas/rate-limit/{}",
}


class Cleaner:
    """Removes by the names in a journal; `callers` are by the names of the manifest's credentials."""

    def __init__(
        self,
        run: str,
        nobody: Client,
        callers: Mapping[str, Client],
        *,
        seal_key: str | None,
        wrapping: Mapping[int, str] | None = None,
    ) -> None:
        """`wrapping` is what gives the wrapped answers, by their numbers in the journal, as the run itself knows it."""
        self._run = run
        self._nobody = nobody
        self._kv = callers.get("kv")
        self._admin = callers.get("admin")
        self._seal_key = seal_key
        self._wrapping = wrapping or {}
        self._credentials = Credentials(run)

    def clean(self, entries: Iterable[Entry], journal: Journal | None = None) -> list[Entry]:
        """Open what is sealed, end namespaces with all that is within them, then remove the rest. Returns what is left."""
        mine = [entry for entry in entries if run_of(_last(entry)) == self._run]
        seals = [entry for entry in mine if entry.kind == "seal"]
        namespaces = [entry for entry in mine if entry.kind == "namespace"]
        left = [entry for entry in entries if entry not in mine]
        opened = {entry for entry in seals if again(self._opened, entry)}
        ended = again(self._ended_namespaces, namespaces)
        for entry in mine:
            if entry.kind == "seal":
                gone = entry in opened
            elif entry.kind == "namespace":
                gone = entry.name in ended
            else:
                gone = entry.namespace in ended or again(self._removed, entry)
            if not gone:
                left.append(entry)
            elif journal is not None:
                journal.removed(entry.number)
        return left

    def _opened(self, _: Entry) -> bool:
        return unseal(self._nobody.within(""), self._seal_key)

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
                with suppress(UnknownOutcome):  # it is asked for again
                    parent.send("DELETE", f"sys/namespaces/{last}")
                if parent.send("GET", f"sys/namespaces/{last}").absent:
                    waiting.discard(name)
            if waiting:
                time.sleep(0.1)
        return {entry.name for entry in entries} - waiting

    def _removed(self, entry: Entry) -> bool:
        if entry.kind == "secret":
            return self._secret(entry)
        if entry.kind == "wrapping":
            return self._wrapped(entry)
        if self._admin is None:
            return False
        admin = self._admin.within(entry.namespace)
        if entry.kind == "token":
            return self._credentials.revoked(admin, entry)
        if entry.kind == "auth" and not _people_removed(admin, entry.name):
            return False
        path = _PATHS[entry.kind].format(entry.name)
        return _is_gone(admin.send("DELETE", path), admin.send("GET", path))

    def _wrapped(self, entry: Entry) -> bool:
        """Ended by its accessor or taken. Where both are lacking, as after a kill, it has an end of its own."""
        if self._admin is not None:
            if self._credentials.revoked(self._admin.within(entry.namespace), entry):
                return True
        elif entry.number not in self._wrapping:
            return time.time() > entry.at + WRAPPED_S + _LATE_S
        token = self._wrapping.get(entry.number)
        return token is not None and is_spent(self._nobody.within(entry.namespace), token)

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


def _people_removed(admin: Client, mount: str) -> bool:
    """Remove the identities that a server makes of whoever logs in at a mount: they would outlive it."""
    found = admin.send("GET", f"sys/auth/{mount}")
    if not found.ok:
        return found.status == 400 or found.not_served  # was not made, or is gone with its identities
    accessor = found.answer.member("data", "accessor")
    listed = admin.send("LIST", "identity/entity-alias/id")
    known = listed.answer.member("data", "key_info")
    if not isinstance(known, dict):
        return listed.absent or listed.not_served
    elsewhere = {one["canonical_id"] for one in known.values() if one["mount_accessor"] != accessor}
    for alias, one in known.items():
        if one["mount_accessor"] == accessor:
            person = one["canonical_id"]
            path = f"entity-alias/id/{alias}" if person in elsewhere else f"entity/id/{person}"
            if not admin.send("DELETE", f"identity/{path}").ok:
                return False
    return True


def _is_gone(removal: Reply, found: Reply) -> bool:
    """Whether a thing is not there: the server says so, or has removed it and does not let this caller look."""
    if found.status in {400, 404}:
        return True
    return removal.ok and (found.denied or found.not_served)


def _last(entry: Entry) -> str:
    """The part of a name that tells the run."""
    return entry.name.rpartition("/")[2] if entry.kind == "namespace" else entry.name
