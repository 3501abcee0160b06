# SPDX-License-Identifier: EUPL-1.2
"""The command tree: one declaration per command drives parsing, help and shell completion."""

from __future__ import annotations

from vaultctl.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Command:
    """One command: its words, argument line and count (least, most, how messages say it), and its function.

    `function` is `module:name` below vaultctl.commands. `output` is "", "format" or "field" (both flags).
    `formats` are those that it has beside table, json and yaml. With `program`, what stands behind `--` is one to start.
    """

    __slots__ = (
        "arguments",
        "details",
        "flags",
        "formats",
        "function",
        "name",
        "output",
        "passes_through",
        "program",
        "remote",
        "summary",
        "usage",
    )

    def __init__(
        self,
        name: str,
        function: str,
        usage: str,
        arguments: tuple[int, int | None, str],
        summary: str,
        *,
        output: str = "",
        flags: Sequence[Flag] = (),
        details: str = "",
        remote: bool = True,
        formats: Sequence[str] = (),
        passes_through: bool = False,
        program: bool = False,
    ) -> None:
        self.name = name
        self.function = function
        self.usage = usage
        self.arguments = arguments
        self.summary = summary
        self.output = output
        self.flags = flags
        self.details = details
        self.remote = remote
        self.formats = formats
        self.passes_through = passes_through
        self.program = program


HTTP_FLAGS = (
    Flag(
        "address",
        "text",
        "Address of the server, such as https://vault.example:8200 or unix:///run/vault.sock.",
        env="ADDR",
    ),
    Flag("agent-address", "text", "Address of an agent, used instead of -address.", env="AGENT_ADDR"),
    Flag("ca-cert", "text", "PEM file with the CA that signed the server's certificate.", env="CACERT"),
    Flag("ca-path", "text", "Directory of PEM files with CAs; -ca-cert wins.", env="CAPATH"),
    Flag("client-cert", "text", "PEM file with the client certificate for TLS.", env="CLIENT_CERT"),
    Flag("client-key", "text", "PEM file with the key of -client-cert.", env="CLIENT_KEY"),
    Flag(
        "disable-redirects",
        "bool",
        "Do not follow the one redirect that is otherwise followed.",
        env="DISABLE_REDIRECTS",
    ),
    Flag("header", "pairs", "An additional request header name=value; may be repeated. Not X-Vault-*."),
    Flag("mfa", "texts", "MFA credentials, sent as X-Vault-MFA; may be repeated.", env="MFA"),
    Flag("namespace", "text", "Namespace that paths are relative to.", env="NAMESPACE"),
    Flag("ns", "text", "Short for -namespace."),
    Flag("non-interactive", "bool", "Never ask anything on the terminal."),
    Flag("output-curl-string", "bool", "Print the equivalent curl command instead of sending the request."),
    Flag("output-policy", "bool", "Print the policy that the request needs instead of sending it."),
    Flag("policy-override", "bool", "Accepted for compatibility; it has no effect."),
    Flag("tls-server-name", "text", "Name to check the server's certificate against.", env="TLS_SERVER_NAME"),
    Flag("tls-skip-verify", "bool", "Do not verify the server's certificate. Unsafe.", env="SKIP_VERIFY"),
    Flag("unlock-key", "text", "Key that unlocks a locked namespace."),
    Flag(
        "wrap-ttl",
        "duration",
        "Wrap the response in a single-use token that lives this long.",
        env="WRAP_TTL",
    ),
)
FORMAT = Flag(
    "format",
    "text",
    "How to print.",
    env="FORMAT",
    words=("table", "json", "yaml"),
)
FIELD = Flag("field", "text", "Print only this field, without a newline; wins over -format for tables.")

GROUPS = {
    "audit": "Audit devices",
    "auth": "Auth methods and their mounts",
    "env": "Secrets as environment variables and `.env` files",
    "hsm": "Tokens of hardware security modules on this machine",
    "hsm ceremony": "Key ceremonies: go through one, sign it, check it",
    "identity": "Entities: whoever logs in, and what that is worth",
    "kv": "Key-value secrets",
    "kv metadata": "Metadata and settings of keys (KV version 2)",
    "lease": "Leases of dynamic secrets",
    "namespace": "Namespaces: tenants with mounts, policies and tokens of their own",
    "nhi": "Identities of workloads, and their tokens",
    "nhi workload": "Workloads: who answers for them, and until when",
    "operator": "Running the server: init, unseal, seal, keys, root tokens",
    "operator seal-slots": "Ways into the vault: tokens and people's shares",
    "plugin": "What can be mounted",
    "policy": "ACL policies",
    "print": "What this command line would use",
    "secrets": "Secrets engines and their mounts",
    "token": "Tokens",
}


def find_command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command that the first words name and the words after it, or None and the known group's words."""
    group: list[str] = []
    for size in range(1, min(3, len(words)) + 1):
        name = " ".join(words[:size])
        if name in GROUPS:
            group = list(words[:size])
            continue
        for command in _commands(words[0]):
            if command.name == name:
                return command, list(words[size:])
        break
    return None, group


def all_commands() -> list[Command]:
    """Every command, for help and completion."""
    from vaultctl.tree_env import COMMANDS as env
    from vaultctl.tree_hsm import COMMANDS as hsm
    from vaultctl.tree_kv import COMMANDS as kv
    from vaultctl.tree_namespaces import COMMANDS as namespaces
    from vaultctl.tree_nhi import COMMANDS as nhi
    from vaultctl.tree_operating import COMMANDS as operating
    from vaultctl.tree_system import COMMANDS as system
    from vaultctl.tree_tokens import COMMANDS as tokens

    every = (*env, *hsm, *kv, *namespaces, *nhi, *operating, *system, *tokens)
    return sorted(every, key=lambda command: command.name)


def flags_of(command: Command) -> list[Flag]:
    """The command's flags: its own, the output flags and the connection flags."""
    form = FORMAT
    if command.formats:
        form = Flag("format", "text", FORMAT.help, env=FORMAT.env, words=(*FORMAT.words, *command.formats))
    output = {"": (), "format": (form,), "field": (FIELD, form)}[command.output]
    return [*command.flags, *output, *(HTTP_FLAGS if command.remote else ())]


def _commands(first: str) -> Sequence[Command]:
    if first in ("kv", "read", "write", "delete", "list", "scan", "patch"):
        from vaultctl.tree_kv import COMMANDS as kv

        return kv
    if first in ("token", "login", "print", "unwrap", "lease", "identity"):
        from vaultctl.tree_tokens import COMMANDS as tokens

        return tokens
    if first in ("run", "env"):
        from vaultctl.tree_env import COMMANDS as env

        return env
    if first == "namespace":
        from vaultctl.tree_namespaces import COMMANDS as namespaces

        return namespaces
    if first == "nhi":
        from vaultctl.tree_nhi import COMMANDS as nhi

        return nhi
    if first == "hsm":
        from vaultctl.tree_hsm import COMMANDS as hsm

        return hsm
    from vaultctl.tree_system import COMMANDS as system

    if first in ("status", "server", "policy", "path-help", "version", "completion"):
        return system
    from vaultctl.tree_operating import COMMANDS as operating

    if first == "operator":
        from vaultctl.tree_hsm import COMMANDS as hsm

        return (*system, *operating, *hsm)
    return (*system, *operating)
