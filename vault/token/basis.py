# SPDX-License-Identifier: EUPL-1.2
"""What a call stands on while tokens of others are revoked, as storage can tell at its commit."""

from __future__ import annotations

from vault.framework.call import Call
from vault.storage.protocol import Basis, Tx
from vault.token.model import TOKEN_KIND


def leave_to_commit(call: Call, tx: Tx) -> bool:
    """Have the commit make sure of the facts by which a call was let in; return whether it will.

    It cannot where nobody holds the caller: any change may then be of what it stands on.
    """
    if call.bound.route.access.factless or call.epoch <= 0:
        return False
    if call.identity is None:
        return tx.rest_on(Basis(call.epoch, TOKEN_KIND, ()))
    return call.identity.held and tx.rest_on(Basis(call.epoch, TOKEN_KIND, call.identity.hooks))
