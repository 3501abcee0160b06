# SPDX-License-Identifier: EUPL-1.2
"""Where the cubbyhole keeps what: `<token key>/<path>` holds the entry's JSON object."""

from __future__ import annotations

from vault.barrier.view import View
from vault.values.ids import TokenKey


def prefix(key: TokenKey) -> str:
    """Return the prefix of everything that the token with this key keeps."""
    return f"{key}/"


async def purge(view: View, key: TokenKey) -> int:
    """Remove everything that a token kept, in the transaction that revokes it; return how much that was.

    `view` is the cubbyhole mount's, `key` the token's `Identity.key`.
    """
    return await view.delete_prefix(prefix(key))
