# SPDX-License-Identifier: EUPL-1.2
"""Entries of tokens as `auth/token/create` makes them, for vaults that are filled by the product's own storage code."""

from typing import Final

from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.times import Nanos, Seconds

LIFE: Final = Seconds(30 * 86400)


def entry_of(tokens: TokenStore, now: Nanos) -> TokenEntry:
    """Return the entry of a token made `now` that lives for `LIFE`."""
    return TokenEntry(
        accessor=tokens.new_accessor(),
        policies=("default",),
        path="auth/token/create",
        display_name="token",
        created=now,
        ttl=LIFE,
        expires=Nanos(now + LIFE * 1_000_000_000),
        renewable=True,
    )
