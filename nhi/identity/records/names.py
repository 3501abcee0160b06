# SPDX-License-Identifier: EUPL-1.2
"""The one form of each kind of name, by which it is compared, kept unique and found (SL-21; ADR 0022).

Names that people give and type have no case: those of entities and groups, and those by which a mount knows a client
whose users are people's names. Names that are credentials or come from elsewhere are exact: role ids, subjects and
groups of tokens, uids of service accounts, names in certificates. Names that differ for their own authority stay different here.
"""

from __future__ import annotations

import hashlib
from typing import Final

from vault.framework.names import folded
from vault.values.ids import MountAccessor

_FOLDED: Final = frozenset({"token", "userpass"})
"""Kinds of auth methods whose own names have no case: what is compared so there is compared so here."""


def exact(accessor: MountAccessor) -> bool:
    """Whether the mount with this accessor tells names apart by case; its kind is in the accessor, also of one that is gone."""
    return accessor.removeprefix("auth_").rpartition("_")[0] not in _FOLDED


def hashed(*parts: str) -> str:
    """Return the path segment that stands for texts as they are; each is hashed, so none reaches into another."""
    digests = [hashlib.sha256(part.encode()).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def hashed_name(*parts: str) -> str:
    """Return the path segment that stands for names without case."""
    return hashed(*map(folded, parts))


def place(accessor: MountAccessor, name: str) -> str:
    """Return the path segment that stands for the name of a client, or of a group, at a mount's authority."""
    return f"exact-{hashed(accessor, name)}" if exact(accessor) else hashed_name(accessor, name)


def former_place(accessor: MountAccessor, name: str) -> str | None:
    """Return where `place` was while all names were folded; None where it still is."""
    return hashed_name(accessor, name) if exact(accessor) else None
