# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong at the barrier. No error ever holds a path's value, a key or a ciphertext."""

from __future__ import annotations

from vault.values.ids import NamespaceId


class BarrierFailure(Exception):
    """Stored data is not what was written: changed, moved, cut short, or under another key."""


class UnknownTerm(BarrierFailure):
    """An entry names a key term that this keyring does not have: reload the keyring, or it is forged."""


class BarrierSealed(Exception):
    """There are no keys in memory: unseal first."""


class NamespaceSealed(Exception):
    """The keys of one namespace are not in memory, those of the vault are; `owner` is the id of that namespace."""

    def __init__(self, owner: NamespaceId) -> None:
        super().__init__("namespace is sealed")
        self.owner = owner


class KeyringMissing(BarrierFailure):
    """Storage holds no keyring: it was never initialised, or is another vault's."""
