# SPDX-License-Identifier: EUPL-1.2
"""What the routes answer by which keys come and go."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of the wrapping key, in PEM."""

    public_key: str


class Backup(msgspec.Struct, frozen=True):
    """A key with all that belongs to it, in base64."""

    backup: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Backup(…)"


class WrappedKeys(msgspec.Struct, frozen=True):
    """A key by version, wrapped for another key, in base64. Versions of which the public half alone is here are left out."""

    keys: Mapping[str, str]
    name: str
    type: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "WrappedKeys(…)"
