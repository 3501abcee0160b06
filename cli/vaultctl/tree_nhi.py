# SPDX-License-Identifier: EUPL-1.2
"""Declarations: identities of workloads, and what holders do with their tokens offline."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")
_MOUNT = Flag("mount", "text", "Where the engine nhi is mounted; default nhi.")
_TOKEN = Flag(
    "token-file",
    "text",
    "File with the Biscuit, or - for standard input; the token in use if not given. A token is never an argument.",
)
_ROOT = Flag(
    "root-key",
    "text",
    "Public key of the issuer, as ed25519/HEX or secp256r1/HEX; asked of the server if not given.",
)
_OFFLINE = "Needs the package coffre[nhi]; no server is asked where -root-key is given."

COMMANDS = (
    Command(
        "nhi attenuate",
        "nhi.offline:attenuate",
        "[options]",
        _NONE,
        "Narrow a token, offline",
        details="Prints a token that can do less: what the flags name, and no longer. It can never do more. "
        + _OFFLINE,
        flags=(
            Flag("op", "list", "Operation that stays: create, read, update, delete, list, patch or scan."),
            Flag("path", "texts", "Path that stays, as secret/data/app/*; may be repeated."),
            Flag("ttl", "duration", "How long it is good from now on."),
            Flag("cidr", "texts", "Network that it is good from; may be repeated."),
            Flag("body-file", "text", "File with the only request body that it is good for."),
            Flag("check", "texts", "A check in Datalog, or @FILE; may be repeated."),
            Flag("seal", "bool", "Let nobody narrow it further."),
            _TOKEN,
            _ROOT,
            _MOUNT,
        ),
    ),
    Command(
        "nhi seal",
        "nhi.offline:seal",
        "[options]",
        _NONE,
        "Close a token, offline: nobody can add to it",
        details="Needs the package coffre[nhi].",
        flags=(_TOKEN,),
        remote=False,
    ),
    Command(
        "nhi inspect",
        "nhi.offline:inspect",
        "[options]",
        _NONE,
        "Show what a token says",
        output="format",
        details="Its signatures are verified unless -unverified is given. " + _OFFLINE,
        flags=(
            Flag("unverified", "bool", "Ask nobody, verify nothing: it may be forged."),
            _TOKEN,
            _ROOT,
            _MOUNT,
        ),
    ),
)
