# SPDX-License-Identifier: Apache-2.0
"""Ends the credentials that a run had made, and its wrapped answers, which servers keep as credentials too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from esa_conformance.binding.client import TOKENS, Client
from esa_conformance.binding.replies import Reply
from esa_conformance.errors import UnknownOutcome
from esa_conformance.run.journal import Entry
from esa_conformance.run.names import run_of

WRAPPED_S: Final = 120
"""Seconds for which a run has answers wrapped."""
_WRAPPING: Final = ["response-wrapping"]
"""The policies of a wrapped answer."""
_ATTEMPTS: Final = 6
_A = TypeVar("_A")
_R = TypeVar("_R")


def again(work: Callable[[_A], _R], what: _A) -> _R:
    """Do what may be done twice: once more where a connection was cut and nobody knows whether it was done.

    `work` sends few requests: of many, one is cut each time.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return work(what)
        except UnknownOutcome:
            time.sleep(0.05)
    return work(what)


class Credentials:
    """Those of one run."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._accessors: dict[str, Mapping[str, str] | None] = {}

    def revoked(self, admin: Client, entry: Entry) -> bool:
        """End the credential of an entry: whether it is certain that there is none."""
        accessor = entry.accessor
        if not accessor:
            known = self._unknown(admin)
            if known is None:
                return False
            accessor = known.get(_shown(entry), "")
            if not accessor:
                return True  # it was not made
        found = admin.look_up_accessor(accessor)
        if not found.ok:
            return found.status in {400, 404} or (found.denied and admin.look_up_self().ok)
        if run_of(_name(found)) != self._run and not _is_wrapped_token(entry, found):
            return False
        return admin.revoke_accessor(accessor).ok

    def _unknown(self, admin: Client) -> Mapping[str, str] | None:
        """Accessors of this run by what they are called: asked for once, for those whose making was cut off.

        None where the server does not tell them.
        """
        if admin.namespace not in self._accessors:
            self._accessors[admin.namespace] = self._listed(admin)
        return self._accessors[admin.namespace]

    def _listed(self, admin: Client) -> Mapping[str, str] | None:
        listed = admin.send("LIST", "auth/token/accessors")
        if not listed.ok:
            return {} if listed.absent else None
        made = {}
        for accessor in listed.keys:
            found = again(admin.look_up_accessor, accessor)
            if found.ok and run_of(_name(found)) == self._run:
                made[_name(found)] = accessor
        return made


def is_spent(nobody: Client, token: str) -> bool:
    """Take a wrapped answer by what gives it: whether nobody can from now on."""
    taken = nobody.unwrap(token)
    return taken.ok or (taken.status in {400, 403, 404} and not nobody.look_up_wrapped(token).ok)


def _shown(entry: Entry) -> str:
    """What the server calls the credential of an entry."""
    return entry.name if entry.kind == "wrapping" else f"token-{entry.name}"


def _is_wrapped_token(entry: Entry, found: Reply) -> bool:
    """Whether a wrapped answer whose accessor the run was given has a credential in it: its path names no run."""
    return entry.kind == "wrapping" and found.answer.member("data", "path") == TOKENS


def _name(found: Reply) -> str:
    """What a credential is called: a wrapped answer after the secret in it, others as they were told to be."""
    data: Mapping[str, Any] = found.data if isinstance(found.data, dict) else {}
    if data.get("policies") == _WRAPPING:
        return str(data.get("path", "")).rpartition("/")[2]
    return str(data.get("display_name", ""))
