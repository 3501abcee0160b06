# SPDX-License-Identifier: EUPL-1.2
"""Declarations: keys and root tokens by consent, keys in use, auth methods, plugins, and a server's log and past."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command
from vaultctl.tree.system import TUNING

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")
_PLUGIN = (2, 2, "2")
_PATHS = (2, 2, "2")
_TOKEN_TYPE = Flag(
    "token-type", "text", "What its tokens are: default-service, default-batch, service or batch."
)
_PROGRAM = Flag("version", "text", "Version of the plugin.")

_PROGRESS = Flag("progress", "bool", "Tell on stderr how far it is; on a terminal it is told anyway.")
_IDENTITY = Flag(
    "identity",
    "text",
    "File with the private key that opens the backup: of age-keygen, or a private SSH key.",
)
_DATABASE = (
    Flag("config", "texts", "The server's configuration, which names its database; may be repeated."),
    Flag("database", "text", "The database file itself, instead of -config."),
    _PROGRESS,
)

_POSTGRESQL = (
    Flag("config", "texts", "The server's configuration, which names its PostgreSQL; may be repeated."),
)
_OWNER = (
    *_POSTGRESQL,
    Flag(
        "owner",
        "text",
        "Connect as this user, who owns the tables. The configuration's user may then use them.",
    ),
    Flag("owner-password-file", "text", "File with the owner's password."),
)

COMMANDS = (
    Command(
        "operator snapshot save",
        "operator.snapshot:save",
        "-config=PATH [options] FILE",
        _ONE,
        "Back up what this machine's server stores to a file, while it runs",
        output="format",
        remote=False,
        details="The backup is one commit. It gets its name when it is verified and on the disk. Run it as the server's "
        "user, or as root. Bring it back with `vaultctl operator snapshot restore`. Exit code 0: done. 1: there is no new backup.",
        flags=(
            *_DATABASE,
            Flag("force", "bool", "Replace FILE, once the new backup is complete."),
            Flag(
                "recipient",
                "texts",
                "Encrypt to this key: age1…, as age-keygen prints it, or a public SSH key; may be repeated.",
            ),
            Flag("recipients-file", "text", "Encrypt to the keys in this file, one on each line."),
        ),
    ),
    Command(
        "operator snapshot inspect",
        "operator.snapshot:inspect",
        "[options] BACKUP",
        _ONE,
        "Tell what a backup holds",
        output="format",
        remote=False,
        details="Entries, timers, the epoch of the commit, its schema and its size. Exit code 0: done. 1: it cannot be read.",
        flags=(_PROGRESS, _IDENTITY),
    ),
    Command(
        "operator snapshot verify",
        "operator.snapshot:verify",
        "[options] BACKUP",
        _ONE,
        "Look through all of a backup, as a restore does before it changes anything",
        output="format",
        remote=False,
        details="That it is what was written, whole, of a vault, and of no newer release. Exit code 0: it is. 1: it is not.",
        flags=(_PROGRESS, _IDENTITY),
    ),
    Command(
        "operator snapshot restore",
        "operator.snapshot:restore",
        "-config=PATH [options] BACKUP",
        _ONE,
        "Bring a backup back into the storage of this machine's server, which is stopped",
        output="format",
        remote=False,
        details="The backup is verified first. What was in the database file is kept in a file beside it; a PostgreSQL must have "
        "its tables and nothing in them. While a server has the storage open it is refused. Exit code 0: done. 1: nothing was changed.",
        flags=(
            *_DATABASE,
            _IDENTITY,
            Flag("discard", "bool", "Keep nothing of what was in the database, if it was one."),
            Flag("dry-run", "bool", "Do everything but the change itself."),
        ),
    ),
    Command(
        "operator snapshot list",
        "operator.snapshot:list_backups",
        "-config=PATH [options]",
        _NONE,
        "List the backups that a server has made by itself",
        output="format",
        remote=False,
        details="Of each `snapshot` in the configuration, in its directory or bucket. Exit code 0: done. 1: one does not answer.",
        flags=(Flag("config", "texts", "The server's configuration; may be repeated."),),
    ),
    Command(
        "operator snapshot status",
        "operator.snapshot:status",
        "[options]",
        _NONE,
        "Show the schedules of backups of a server, and what became of each",
        output="format",
        details="Exit code 0: each has a backup of its last attempt. 2: one has not.",
    ),
    Command(
        "operator db init",
        "operator.db:init",
        "-config=PATH [options]",
        _NONE,
        "Make a vault's tables in the PostgreSQL that a configuration names",
        output="format",
        remote=False,
        details="What is there already stays. With -owner, the user of connection_url may read the tables and call the "
        "functions afterwards, and nothing else. Exit code 0: done. 1: nothing was changed.",
        flags=_OWNER,
    ),
    Command(
        "operator db check",
        "operator.db:check",
        "-config=PATH [options]",
        _NONE,
        "Prove on two connections that a PostgreSQL does what a vault rests on",
        output="format",
        remote=False,
        details="No data is changed. Exit code 0: all is well. 1: a vault must not be kept there. 2: warnings only.",
        flags=_POSTGRESQL,
    ),
    Command(
        "operator db migrate",
        "operator.db:migrate",
        "-config=PATH [options]",
        _NONE,
        "Bring a vault's tables in PostgreSQL up to this release",
        output="format",
        remote=False,
        details="Nodes of the release before go on working. Exit code 0: done. 1: nothing was changed.",
        flags=_OWNER,
    ),
    Command(
        "operator upgrade-check",
        "operator.upgrade_check:check",
        "(-config=PATH | -database=PATH) [options]",
        _NONE,
        "Tell what this program's release would change of a database",
        output="format",
        remote=False,
        details="Nothing is changed. Exit code 0: start it. 1: do not, and why. 2: read the warnings first.",
        flags=_DATABASE[:2],
    ),
    Command(
        "operator migrate",
        "operator.migrate:migrate",
        "-config=PATH [options]",
        _NONE,
        "Carry a vault into another storage, while no server runs",
        remote=False,
        details='The file names both, as `storage_source "sqlite" { path = "FILE" }` and `storage_destination "postgresql" '
        '{ connection_url = "URL" }`, or the other way. What lies there is carried sealed as it is, compared entry by '
        "entry, and kept when it is whole: whatever ends this before leaves the destination as it was. The destination is "
        "empty, and no server has either one open. Exit code 0: done. 1: nothing was begun. 2: nothing was kept.",
        flags=(
            Flag(
                "config",
                "text",
                "The file that names both storages.",
                env="MIGRATE_CONFIG_PATH",
            ),
            Flag("progress", "bool", "Tell on stderr how far it is; on a terminal it is told anyway."),
            Flag("log-level", "text", "Without effect: -progress tells how far it is.", words=()),
            Flag("max-parallel", "int", "Without effect: one connection carries everything."),
            Flag("reset", "bool", "Do nothing: what is ended early leaves no lock behind."),
            Flag("start", "text", "Refused: a part of a vault opens nowhere."),
        ),
    ),
    Command(
        "operator step-down",
        "operator.seal:step_down",
        "[options]",
        _NONE,
        "Have a server stand aside for ten seconds, if another one serves",
    ),
    Command(
        "operator members",
        "operator.seal:members",
        "[options]",
        _NONE,
        "List the cluster's nodes",
        output="format",
    ),
    Command(
        "crypto inventory",
        "crypto:inventory",
        "[options]",
        _NONE,
        "List the keys that a server has in use, and how strong they are",
        output="format",
        details="Of a namespace, its own keys alone; no key is shown. Ages are in days. Exit code 2 where -profile warns of a "
        "key.",
        flags=(
            Flag(
                "profile",
                "text",
                "Hold each key against this guidance.",
                words=("anssi", "bsi"),
            ),
        ),
    ),
    Command(
        "operator validate-config",
        "server:validate_config",
        "-config=PATH",
        _NONE,
        "Check configuration files",
        remote=False,
        details="Exit code 0: good. 1: problems. 2: warnings only. The same as `vaultctl server -test-config`.",
        flags=(Flag("config", "texts", "File, or directory of .hcl and .json files; may be repeated."),),
    ),
    Command(
        "operator diagnose",
        "server:diagnose",
        "-config=PATH [options]",
        _NONE,
        "Look at everything that a start would meet on this machine",
        output="format",
        remote=False,
        details="Exit code 0: all is well. 1: a start would fail. 2: warnings only. 3: no configuration was given. "
        "While the server runs, leave out what it holds: -skip=listener.",
        flags=(
            Flag("config", "texts", "File, or directory of .hcl and .json files; may be repeated."),
            Flag(
                "skip",
                "texts",
                "What to leave out; may be repeated.",
                words=("listener", "storage", "autounseal"),
            ),
            Flag("debug", "bool", "Accepted for compatibility: everything is shown."),
        ),
    ),
    *(
        Command(
            f"operator {name}",
            "operator.rotate_keys:rotate_keys",
            "[options] [KEY]",
            (0, 1, "0-1"),
            summary,
            output="format",
            details="Without KEY it is asked for and not shown; - reads it from standard input.",
            flags=(
                Flag("init", "bool", "Begin."),
                Flag("status", "bool", "Show how far it has come; with -verify, the verification."),
                Flag("cancel", "bool", "Give it up; with -verify, begin the verification anew."),
                Flag(
                    "verify",
                    "bool",
                    "With -init: the new keys count once enough were given back. Else: give one.",
                ),
                Flag("key-shares", "int", "Number of new keys; default 5."),
                Flag("n", "int", "Short for -key-shares."),
                Flag("key-threshold", "int", "How many of them it takes; default 3."),
                Flag("t", "int", "Short for -key-threshold."),
                Flag("nonce", "text", "What -init has shown: which rotation KEY is for."),
                Flag("pgp-keys", "list", "Files with PGP keys that the new keys are encrypted to."),
                Flag("target", "text", "Whose keys.", words=("barrier", "recovery")),
                Flag("backup", "bool", "Keep the encrypted keys on the server."),
                Flag("backup-retrieve", "bool", "Show the encrypted keys that were kept."),
                Flag("backup-delete", "bool", "Remove them."),
            ),
        )
        for name, summary in (
            ("rotate-keys", "Make new unseal or recovery keys"),
            ("rekey", "Older name of rotate-keys"),
        )
    ),
    Command(
        "operator generate-root",
        "operator.generate_root:generate_root",
        "[options] [KEY]",
        (0, 1, "0-1"),
        "Make a root token, by consent",
        output="format",
        details="Without KEY it is asked for and not shown; - reads it from standard input.",
        flags=(
            Flag("init", "bool", "Begin."),
            Flag("status", "bool", "Show how far it has come."),
            Flag("cancel", "bool", "Give it up."),
            Flag("nonce", "text", "What -init has shown: which attempt KEY is for."),
            Flag("otp", "text", "The one-time pad; with -init, one of your own."),
            Flag("pgp-key", "text", "File with the PGP key that the token is encrypted to."),
            Flag("decode", "text", "Take this encoded token out of -otp; - reads it from standard input."),
            Flag("generate-otp", "bool", "Print a pad that -init takes."),
        ),
    ),
    Command(
        "auth enable",
        "auth:enable",
        "[options] TYPE",
        _ONE,
        "Mount an auth method",
        flags=(
            *TUNING,
            _TOKEN_TYPE,
            Flag("path", "text", "Where to mount it; default: the type."),
            Flag("local", "bool", "Not replicated."),
            Flag("seal-wrap", "bool", "Encrypt with the seal too."),
            Flag("external-entropy-access", "bool", "Accepted for compatibility."),
            Flag("plugin-name", "text", "Name of the plugin."),
        ),
    ),
    Command(
        "auth list",
        "auth:list_methods",
        "[options]",
        _NONE,
        "List auth methods",
        output="format",
        flags=(Flag("detailed", "bool", "Show every setting."),),
    ),
    Command(
        "auth tune",
        "auth:tune",
        "[options] PATH",
        _ONE,
        "Change a method's settings",
        flags=(
            *TUNING,
            _TOKEN_TYPE,
            Flag("user-lockout-threshold", "int", "Wrong passwords until a user is locked out."),
            Flag("user-lockout-duration", "duration", "How long the lock lasts."),
            Flag("user-lockout-counter-reset-duration", "duration", "When the count starts anew."),
            Flag("user-lockout-disable", "bool", "Do not lock users out."),
        ),
    ),
    Command(
        "auth help",
        "auth_help:show",
        "[options] TYPE | PATH",
        _ONE,
        "How to log in with a type of auth method, or with the one at a path",
    ),
    Command("auth move", "auth:move", "[options] SOURCE DESTINATION", _PATHS, "Move an auth method"),
    Command("auth disable", "auth:disable", "[options] PATH", _ONE, "Remove an auth method and its tokens"),
    Command("secrets move", "secrets:move", "[options] SOURCE DESTINATION", _PATHS, "Move a secrets engine"),
    Command(
        "plugin list",
        "plugin:list_plugins",
        "[options] [TYPE]",
        (0, 1, "0 or 1"),
        "List what can be mounted",
        output="format",
        flags=(Flag("detailed", "bool", "Show the state of each too."),),
    ),
    Command(
        "plugin info",
        "plugin:info",
        "[options] TYPE NAME",
        _PLUGIN,
        "Show a plugin",
        output="field",
        flags=(_PROGRAM,),
    ),
    Command(
        "plugin reload",
        "plugin:reload_plugins",
        "[options]",
        _NONE,
        "Reload a plugin",
        flags=(
            Flag("plugin", "text", "Name of the plugin."),
            Flag("mounts", "texts", "Path of a mount; may be repeated."),
            Flag("scope", "text", "global for every node."),
        ),
    ),
    Command(
        "plugin register",
        "plugin:register",
        "[options] TYPE NAME",
        _PLUGIN,
        "Register a program as a plugin",
        details="Servers whose plugins are all part of them, as Coffre's are, refuse this.",
        flags=(
            Flag("sha256", "text", "Digest of the program, in hexadecimal."),
            Flag("command", "text", "The program; default: NAME."),
            Flag("args", "texts", "An argument; may be repeated."),
            _PROGRAM,
        ),
    ),
    Command(
        "plugin deregister",
        "plugin:deregister",
        "[options] TYPE NAME",
        _PLUGIN,
        "Remove a plugin that is a program",
        flags=(_PROGRAM,),
    ),
    Command(
        "monitor",
        "monitor:monitor",
        "[options]",
        _NONE,
        "Print the server's log as it is written",
        flags=(
            Flag(
                "log-level", "text", "From which level on: trace, debug, info, warn or error; default info."
            ),
            Flag("log-format", "text", "How lines look.", words=("standard", "json")),
        ),
    ),
    Command(
        "version-history",
        "monitor:version_history",
        "[options]",
        _NONE,
        "List the versions that the server has run",
        output="format",
    ),
)
