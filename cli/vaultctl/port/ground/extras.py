# SPDX-License-Identifier: EUPL-1.2
"""What needs packages that the command line alone does not bring, and what it says where they are not there."""

from __future__ import annotations

import sys

from vaultctl.errors import CommandError

_NEEDED = ("msgspec", "pyrage", "vault")


class Errors:
    """`with Errors():` turns a refused recipient, and a package that is not installed, into the command's error."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Replace the error on its way out."""
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in _NEEDED:
            raise CommandError(
                f"this command needs module {error.name}: in a checkout, pip install '.[server]'"
            ) from None
        protocol = sys.modules.get("vault.storage.protocol")
        if protocol is not None and isinstance(error, protocol.StorageFailure):
            raise CommandError(str(error)) from None
