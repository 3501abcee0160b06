# SPDX-License-Identifier: EUPL-1.2
"""What needs packages that the command line alone does not bring, and what it says where they are not there."""

from __future__ import annotations

import sys

from vaultctl.errors import CommandError, ExtraErrors


class Errors(ExtraErrors):
    """`with Errors():` turns a refused recipient, and a package that is not installed, into the command's error."""

    needed = ("msgspec", "pyrage", "vault")

    def turned(self, error: BaseException) -> CommandError | None:
        """See `ExtraErrors.turned`."""
        protocol = sys.modules.get("vault.storage.protocol")
        if protocol is not None and isinstance(error, protocol.StorageFailure):
            return CommandError(str(error))
        return None
