# SPDX-License-Identifier: EUPL-1.2
"""A namespace as it is stored, and which names one may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.framework.call import Namespace
from vault.values.ids import VAULT, NamespaceId

NAMESPACE_KIND: Final = "namespace"
"""Kind of the cached fact, and of the timer that sweeps, of one namespace; the key is its id."""
RESERVED: Final = frozenset({"root", "sys", "audit", "auth", "cubbyhole", "identity"})
"""Names that mean something else in a path (SL-08)."""


class ShareSeal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The root key of a namespace under a key that people hold shares of.

    `links` lead from the root key in `wrapped` to the one that counts, each from one to the next: those that came
    without the shares, until these are given again.
    """

    shares: int
    threshold: int
    wrapped: bytes
    links: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Say how many shares, and nothing of the key."""
        return f"<ShareSeal {self.threshold} of {self.shares}>"


class NamespaceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One namespace. `path` is all of it and ends in `/`; `uuid` and `id` are never used again.

    `lock` is the SHA-256 of the key that unlocks it, empty while it is open. `tainted`: it is being removed, and
    nothing in it answers any more; `abandoned`: without having been opened before. `owner` is the id of the namespace
    whose keys encrypt it, empty where these are the vault's; `seal` says how its own are come by.
    """

    id: NamespaceId
    uuid: str
    path: str
    custom_metadata: Mapping[str, str] = {}
    lock: bytes = b""
    tainted: bool = False
    abandoned: bool = False
    owner: NamespaceId = VAULT
    seal: ShareSeal | None = None

    @property
    def parent(self) -> str:
        """The path of the namespace that this one is in."""
        return self.path[: self.path.rstrip("/").rfind("/") + 1]

    def as_namespace(self) -> Namespace:
        """Return what calls carry."""
        return Namespace(self.id, self.path)


NAMESPACE: Final = RecordKind("namespace", NamespaceEntry)


class WrongName(ValueError):
    """A text that cannot be a namespace's name; the message says why, in OpenBao's words."""


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a namespace. Raises `WrongName`."""
    if "/" in name:
        raise WrongName("namespace name cannot contain /")
    if name.casefold() in RESERVED:
        raise WrongName(f'"{name}/" is a reserved path and cannot be used as a namespace name')
    for wildcard in "+*":
        if wildcard in name:
            raise WrongName(
                f'"{name}" contains wildcard characters that cannot be used in a namespace name: {wildcard!r}'
            )
    if any(char.isspace() for char in name):
        raise WrongName(f'"{name}" contains space characters that cannot be used in a namespace name')
    if name in {"", ".", ".."} or not name.isprintable():
        raise WrongName("a namespace name must be printable, and neither empty nor dots alone")
