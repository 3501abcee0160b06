# SPDX-License-Identifier: EUPL-1.2
"""Declarations: keys of transit that come from elsewhere."""

from __future__ import annotations

from vaultctl.tree.command import Command

_LINE = "[options] PATH KEY [key=value…]"
_TWO = (2, None, "2+")
_MATERIAL = (
    "KEY is `@FILE`, or `-` for standard input: the key in base64, bare if it is symmetric or for MACs, of a pair in "
    "PKCS #8. It is wrapped here for the wrapping key of the mount, and leaves this machine no other way; it stands in no "
    "argument, which others could see. What follows goes to the server with it, as `type=ecdsa-p256`."
)

COMMANDS = (
    Command(
        "transit import",
        "transit:import_key",
        _LINE,
        _TWO,
        "Take a key in that was made elsewhere, as MOUNT/keys/NAME",
        details=_MATERIAL,
    ),
    Command(
        "transit import-version",
        "transit:import_version",
        _LINE,
        _TWO,
        "Take a newer version of an imported key in",
        details=_MATERIAL,
    ),
)
