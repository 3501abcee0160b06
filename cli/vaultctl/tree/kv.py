# SPDX-License-Identifier: EUPL-1.2
"""Declarations: key-value commands, and the generic commands on any path."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_MOUNT = Flag("mount", "text", "Mount path; the argument is then the key below it.")
_VERSIONS = Flag("versions", "list", "Version numbers, separated by commas; may be repeated.")
_VERSION = Flag("version", "int", "Version number.")
_CAS = Flag("cas", "int", "Write only if this is the current version; 0: only if the key does not exist.")
_CAS_REQUIRED = Flag("cas-required", "bool", "Whether every write to the key must give -cas.")
_CUSTOM = Flag("custom-metadata", "pairs", "key=value describing the secret; may be repeated.")
_REMOVE = Flag("remove-custom-metadata", "texts", "Key to remove from the custom metadata; may be repeated.")
_AFTER = Flag("delete-version-after", "duration", "Delete versions this long after they were written.")
_MAX = Flag("max-versions", "int", "How many versions to keep.")
_FORCE = (Flag("force", "bool", "Send the request without data."), Flag("f", "bool", "Short for -force."))
_PAGE = (
    Flag("after", "text", "Only entries that sort after this one."),
    Flag("limit", "int", "At most this many."),
    Flag("detailed", "bool", "Show what the server says about each entry."),
)
_DATA = (
    "Values are key=value, key=@file (the file's content), key=- (standard input); "
    "@file.json or - alone give the whole body."
)
_ONE = (1, 1, "1")

COMMANDS = (
    Command(
        "kv get",
        "kv.read:get",
        "[options] KEY",
        _ONE,
        "Read a secret",
        output="field",
        flags=(_MOUNT, _VERSION),
    ),
    Command(
        "kv put",
        "kv.write:put",
        "[options] KEY DATA...",
        (1, None, ">1"),
        "Write a secret, replacing its data",
        output="field",
        flags=(_MOUNT, _CAS),
        details=_DATA,
    ),
    Command(
        "kv patch",
        "kv.write:patch",
        "[options] KEY DATA...",
        (1, None, ">1"),
        "Change some keys of a secret",
        output="field",
        details=_DATA,
        flags=(
            _MOUNT,
            _CAS,
            Flag(
                "method",
                "text",
                "patch (default when permitted) or rw (read, then write).",
                words=("patch", "rw"),
            ),
            Flag("remove-data", "texts", "Key to remove from the data; may be repeated."),
        ),
    ),
    Command(
        "kv list",
        "kv.read:list_keys",
        "[options] PATH",
        (0, 1, "1"),
        "List keys",
        output="format",
        flags=(_MOUNT,),
    ),
    Command(
        "kv scan",
        "kv.read:scan_keys",
        "[options] PATH",
        (0, 1, "1"),
        "List keys with all below them",
        output="format",
        flags=(_MOUNT,),
    ),
    Command(
        "kv delete",
        "kv.versions:delete",
        "[options] KEY",
        _ONE,
        "Delete the newest or given versions",
        output="field",
        flags=(_MOUNT, _VERSIONS),
    ),
    Command(
        "kv undelete",
        "kv.versions:undelete",
        "[options] KEY",
        _ONE,
        "Bring deleted versions back",
        output="field",
        flags=(_MOUNT, _VERSIONS),
    ),
    Command(
        "kv destroy",
        "kv.versions:destroy",
        "[options] KEY",
        _ONE,
        "Remove versions for ever",
        output="field",
        flags=(_MOUNT, _VERSIONS),
    ),
    Command(
        "kv rollback",
        "kv.versions:rollback",
        "[options] KEY",
        _ONE,
        "Write an old version's data anew",
        output="field",
        flags=(_MOUNT, _VERSION),
    ),
    Command(
        "kv enable-versioning",
        "kv.versions:enable_versioning",
        "[options] MOUNT",
        _ONE,
        "Upgrade a version 1 mount to version 2",
        output="format",
    ),
    Command(
        "kv metadata get",
        "kv.metadata:get",
        "[options] KEY",
        _ONE,
        "Show a key's versions and settings",
        output="format",
        flags=(_MOUNT,),
    ),
    Command(
        "kv metadata put",
        "kv.metadata:put",
        "[options] KEY",
        _ONE,
        "Set a key's settings",
        output="format",
        flags=(_MOUNT, _CAS_REQUIRED, _CUSTOM, _AFTER, _MAX),
    ),
    Command(
        "kv metadata patch",
        "kv.metadata:patch",
        "[options] KEY",
        _ONE,
        "Change some of a key's settings",
        output="format",
        flags=(_MOUNT, _CAS_REQUIRED, _CUSTOM, _REMOVE, _AFTER, _MAX),
    ),
    Command(
        "kv metadata delete",
        "kv.metadata:delete",
        "[options] KEY",
        _ONE,
        "Delete a key with all its versions",
        output="format",
        flags=(_MOUNT,),
    ),
    Command(
        "read",
        "generic:read",
        "[options] PATH [QUERY...]",
        (1, None, "1"),
        "Read any path",
        output="field",
        formats=("raw",),
        details="Arguments key=value after the path become query parameters.",
    ),
    Command(
        "write",
        "generic:write",
        "[options] PATH [DATA...]",
        (1, None, "1"),
        "Write to any path",
        output="field",
        flags=_FORCE,
        details=_DATA,
    ),
    Command(
        "patch",
        "generic:patch",
        "[options] PATH [DATA...]",
        (1, None, "1"),
        "Merge data into any path",
        output="field",
        flags=_FORCE,
        details=_DATA,
    ),
    Command(
        "delete",
        "generic:delete",
        "[options] PATH",
        (1, None, "at least 1"),
        "Delete any path",
        output="field",
    ),
    Command(
        "list", "generic:list_path", "[options] PATH", _ONE, "List any path", output="format", flags=_PAGE
    ),
    Command(
        "scan",
        "generic:scan_path",
        "[options] PATH",
        _ONE,
        "List any path with all below it",
        output="format",
        flags=_PAGE,
    ),
)
