# SPDX-License-Identifier: EUPL-1.2
"""Declarations: the server itself, mounts, policies, help and completion."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

TUNING = (
    Flag("description", "text", "What the mount is for."),
    Flag("default-lease-ttl", "duration", "Default lifetime of leases and tokens."),
    Flag("max-lease-ttl", "duration", "Longest lifetime of leases and tokens."),
    Flag(
        "listing-visibility",
        "text",
        "unauth shows the mount to everyone; hidden does not.",
        words=("unauth", "hidden"),
    ),
    Flag(
        "audit-non-hmac-request-keys",
        "texts",
        "Request key that audit records show in clear; may be repeated.",
    ),
    Flag(
        "audit-non-hmac-response-keys",
        "texts",
        "Response key that audit records show in clear; may be repeated.",
    ),
    Flag("passthrough-request-headers", "texts", "Request header that the engine sees; may be repeated."),
    Flag("allowed-response-headers", "texts", "Response header that the engine may set; may be repeated."),
    Flag("options", "pairs", "key=value option of the engine; may be repeated."),
    Flag("plugin-version", "text", "Version of the plugin."),
    Flag("version", "int", "Version of the KV engine: 1 or 2."),
)
"""Settings of every mount."""
_NONE = (0, 0, "0")
_ONE = (1, 1, "1")

COMMANDS = (
    Command(
        "server",
        "server:run",
        "[options]",
        (0, None, "0"),
        "Start a server",
        passes_through=True,
        remote=False,
        details="All arguments go to the server as they are; `vaultctl server -h` lists them.",
    ),
    Command(
        "conformance",
        "conformance:run",
        "COMMAND [options]",
        (0, None, "0"),
        "Judge a server by the European Secrets API",
        passes_through=True,
        remote=False,
        details="All arguments go to the suite as they are; `vaultctl conformance -h` lists them. Exit code 0: the claim "
        "holds. 1: it does not. 2: usage or manifest. 3: error. 4: stopped for safety. 5: something was left behind.",
    ),
    Command(
        "status",
        "status:status",
        "[options]",
        _NONE,
        "Whether the server is sealed",
        output="field",
        details="Exit code 0: unsealed. 2: sealed. 1: error.",
    ),
    Command(
        "operator init",
        "operator.seal:init",
        "[options]",
        _NONE,
        "Initialise a new server",
        output="field",
        flags=(
            Flag("key-shares", "int", "Number of unseal keys; default 5."),
            Flag("n", "int", "Short for -key-shares."),
            Flag("key-threshold", "int", "How many of them unseal; default 3."),
            Flag("t", "int", "Short for -key-threshold."),
            Flag("pgp-keys", "list", "Files with PGP keys that the unseal keys are encrypted to."),
            Flag("root-token-pgp-key", "text", "File with the PGP key for the root token."),
            Flag("recovery-shares", "int", "Number of recovery keys, for automatic unsealing."),
            Flag("recovery-threshold", "int", "How many recovery keys are needed."),
            Flag("recovery-pgp-keys", "list", "Files with PGP keys for the recovery keys."),
            Flag("status", "bool", "Only say whether the server is initialised: exit code 0 yes, 2 no."),
        ),
    ),
    Command(
        "operator unseal",
        "operator.seal:unseal",
        "[options] [KEY]",
        (0, 1, "1"),
        "Give one unseal key",
        output="field",
        details="Without KEY it is asked for and not shown; - reads it from standard input.",
        flags=(
            Flag("reset", "bool", "Forget the keys given so far."),
            Flag("migrate", "bool", "The key is for a seal migration."),
        ),
    ),
    Command("operator seal", "operator.seal:seal", "[options]", _NONE, "Seal the server"),
    Command(
        "operator rotate",
        "operator.seal:rotate",
        "[options]",
        _NONE,
        "Start a new encryption key",
        output="format",
    ),
    Command(
        "operator key-status",
        "operator.seal:key_status",
        "[options]",
        _NONE,
        "Show the encryption key's term and age",
        output="format",
    ),
    Command("policy list", "policy:list_names", "[options]", _NONE, "List policies", output="format"),
    Command("policy read", "policy:read", "[options] NAME", _ONE, "Print a policy", output="format"),
    Command(
        "policy write", "policy:write", "[options] NAME FILE", (2, 2, "2"), "Upload a policy; - reads stdin"
    ),
    Command("policy delete", "policy:delete", "[options] NAME", _ONE, "Delete a policy"),
    Command(
        "policy explain",
        "policy:explain",
        "[options] PATH",
        _ONE,
        "Show which rule decides on a path, and what is missing",
        output="format",
        flags=(
            Flag("accessor", "text", "Accessor of the token to explain for, instead of the one in use."),
            Flag("capability", "texts", "Capability to explain; may be repeated. All when left out."),
            Flag("policy", "texts", "Policy to explain for, instead of a token's; may be repeated."),
        ),
    ),
    Command("policy fmt", "policy:fmt", "FILE", _ONE, "Format a policy file in place", remote=False),
    Command(
        "secrets enable",
        "secrets:enable",
        "[options] TYPE",
        _ONE,
        "Mount a secrets engine",
        flags=(
            *TUNING,
            Flag("path", "text", "Where to mount it; default: the type."),
            Flag("force-no-cache", "bool", "Bypass caches."),
            Flag("local", "bool", "Not replicated."),
            Flag("seal-wrap", "bool", "Encrypt with the seal too."),
            Flag("external-entropy-access", "bool", "Accepted for compatibility."),
            Flag("plugin-name", "text", "Name of the plugin."),
        ),
    ),
    Command(
        "secrets list",
        "secrets:list_mounts",
        "[options]",
        _NONE,
        "List secrets engines",
        output="format",
        flags=(Flag("detailed", "bool", "Show every setting."),),
    ),
    Command(
        "secrets tune", "secrets:tune", "[options] PATH", _ONE, "Change a mount's settings", flags=TUNING
    ),
    Command("secrets disable", "secrets:disable", "[options] PATH", _ONE, "Remove a mount and all its data"),
    Command(
        "path-help", "about:path_help", "[options] PATH", _ONE, "The server's help on a path", output="format"
    ),
    Command("version", "about:version", "", (0, None, "0"), "Print the version", remote=False),
    Command(
        "completion",
        "completion.script:script",
        "bash | zsh | fish",
        _ONE,
        "Print a shell completion script",
        remote=False,
    ),
)
