# SPDX-License-Identifier: EUPL-1.2
"""Where the cubbyhole keeps what: `<token key>/<path>` holds the entry's JSON object."""

from __future__ import annotations

from typing import Final

from vault.barrier.view import View
from vault.values.ids import TokenKey

_ROUND: Final = 1024
"""Entries that one transaction removes."""


def prefix(key: TokenKey) -> str:
    """Return the prefix of everything that the token with this key keeps."""
    return f"{key}/"


async def purge(view: View, key: TokenKey) -> bool:
    """Remove what a token kept, in the transaction that revokes it; return whether it has to be asked again, for the rest.

    `view` is the cubbyhole mount's, `key` the token's `Identity.key`.
    """
    return await view.delete_some(prefix(key), _ROUND) != ""
