# SPDX-License-Identifier: EUPL-1.2
"""What the routes answer by which keys come and go."""

from __future__ import annotations

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
