# SPDX-License-Identifier: EUPL-1.2
"""Declarations: namespaces."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")
_MAY = (0, 1, "0 or 1")
_DETAILED = (
    Flag("detailed", "bool", "Show what is known of each: id, path, metadata, whether it is locked."),
)
_METADATA = Flag("custom-metadata", "pairs", "key=value for people and tools; may be repeated.")

COMMANDS = (
    Command(
        "namespace create",
        "namespace.namespaces:create",
        "[options] PATH",
        _ONE,
        "Make a namespace in the one that -namespace names",
        output="field",
        flags=(
            _METADATA,
            Flag("key-shares", "int", "Gives it keys of its own, in so many shares; it is sealed at first."),
            Flag("n", "int", "Short for -key-shares."),
            Flag("key-threshold", "int", "How many of the shares unseal it."),
            Flag("t", "int", "Short for -key-threshold."),
            Flag("pgp-keys", "list", "Files with PGP keys that the shares are encrypted to."),
            Flag("seal", "text", "File with one seal stanza, instead of -key-shares and -key-threshold."),
        ),
    ),
    Command(
        "namespace seal",
        "namespace.seal:seal",
        "[options] PATH",
        _ONE,
        "Seal a namespace that has keys of its own, and all in it",
    ),
    Command(
        "namespace unseal",
        "namespace.seal:unseal",
        "[options] PATH [KEY]",
        (1, 2, "1-2"),
        "Give one unseal key of a namespace; without KEY it is asked for",
        output="format",
        flags=(Flag("reset", "bool", "Forget the keys given so far."),),
    ),
    Command(
        "namespace seal-status",
        "namespace.seal:seal_status",
        "[options] PATH",
        _ONE,
        "Show whether a namespace is sealed",
        output="field",
    ),
    Command(
        "namespace delete-sealed",
        "namespace.seal:delete_sealed",
        "[options] PATH",
        _ONE,
        "Remove a namespace that is sealed; its leases are not revoked",
        flags=(Flag("force", "bool", "The namespaces in it go too."),),
    ),
    Command(
        "namespace lookup",
        "namespace.namespaces:lookup",
        "[options] PATH",
        _ONE,
        "Show a namespace",
        output="format",
    ),
    Command(
        "namespace list",
        "namespace.namespaces:list_names",
        "[options]",
        _NONE,
        "List the namespaces in this one",
        output="format",
        flags=_DETAILED,
    ),
    Command(
        "namespace scan",
        "namespace.namespaces:scan",
        "[options]",
        _NONE,
        "List the namespaces in this one, and in all of those",
        output="format",
        flags=_DETAILED,
    ),
    Command(
        "namespace patch",
        "namespace.namespaces:patch",
        "[options] PATH",
        _ONE,
        "Change a namespace's metadata",
        output="field",
        flags=(
            _METADATA,
            Flag("remove-custom-metadata", "texts", "Key to remove from the metadata; may be repeated."),
        ),
    ),
    Command(
        "namespace delete",
        "namespace.namespaces:delete",
        "[options] PATH",
        _ONE,
        "Remove a namespace with everything in it",
    ),
    Command(
        "namespace lock",
        "namespace.namespaces:lock",
        "[options] [PATH]",
        _MAY,
        "Close the API of a namespace, and of all in it",
        output="format",
    ),
    Command(
        "namespace unlock",
        "namespace.namespaces:unlock",
        "[options] [PATH]",
        _MAY,
        "Open the API of a namespace again",
        output="format",
        details="With -unlock-key, the key that locking printed; with sudo, without it.",
    ),
)
