# SPDX-License-Identifier: Apache-2.0
"""Finds what earlier runs have left and whose end of life is past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.run.journal import Entry, Kind
from esa_conformance.run.names import ended

_LISTS: Final[tuple[tuple[Kind, str, str], ...]] = (
    ("namespace", "LIST", "sys/namespaces"),
    ("quota", "LIST", "sys/quotas/rate-limit"),
    ("auth", "GET", "sys/auth"),
    ("mount", "GET", "sys/mounts"),
    ("policy", "LIST", "sys/policies/acl"),
)
_DEEPEST: Final = 6


def expired(callers: dict[str, Client], now: float) -> list[Entry]:
    """Everything that a run made and that may be swept at `now`, in seconds since 1970."""
    found: list[Entry] = []
    if "admin" in callers:
        admin = callers["admin"]
        for kind, method, path in _LISTS:
            reply = admin.send(method, path)
            names = reply.keys if method == "LIST" else list(reply.data or ())
            found += [
                Entry(len(found) + place, kind, name.strip("/"), "", "")
                for place, name in enumerate(names, 1)
                if ended(name, now)
            ]
    if "kv" in callers:
        kv = callers["kv"]
        tops = [name for name in kv.list("").keys if ended(name, now)]
        for path in (path for top in tops for path in _below(kv, top, _DEEPEST)):
            found.append(Entry(len(found) + 1, "secret", path, "", kv.where.mount))
    return found


def _below(kv: Client, name: str, depth: int) -> Iterator[str]:
    """The secrets in a folder, or the one that the name is of."""
    if not name.endswith("/"):
        yield name
    elif depth:
        for child in kv.list(name).keys:
            yield from _below(kv, name + child, depth - 1)
