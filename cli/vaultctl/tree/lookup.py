# SPDX-License-Identifier: EUPL-1.2
"""Finding a command by its words: only the declarations that can have it are imported."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from vaultctl.tree.command import Command

GROUPS = {
    "audit": "Audit devices, and the log: search, proofs, verification",
    "audit holds": "Records of the log that are kept whatever their age",
    "auth": "Auth methods and their mounts",
    "crypto": "Keys in use, and what national guidance says of them",
    "env": "Secrets as environment variables and `.env` files",
    "hsm": "Tokens of hardware security modules on this machine",
    "hsm ceremony": "Key ceremonies: go through one, sign it, check it",
    "identity": "Entities: clients that log in, and their policies",
    "kv": "Key-value secrets",
    "kv metadata": "Metadata and settings of keys (KV version 2)",
    "lease": "Leases of dynamic secrets",
    "namespace": "Namespaces: tenants with mounts, policies and tokens of their own",
    "nhi": "Identities of workloads, and their tokens",
    "nhi workload": "Workloads: who answers for them, and until when",
    "operator": "Running the server: init, unseal, seal, keys, root tokens",
    "operator db": "A vault's tables in PostgreSQL",
    "operator snapshot": "Backups of what a server stores",
    "operator seal-slots": "Ways into the vault: tokens and people's shares",
    "plugin": "What can be mounted",
    "policy": "ACL policies",
    "port": "Out of one vault and into another: secrets, policies, identities",
    "print": "What this command line would use",
    "secrets": "Secrets engines and their mounts",
    "token": "Tokens",
    "transit": "Keys of transit that come from elsewhere",
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
    from vaultctl.tree.administration import COMMANDS as operating
    from vaultctl.tree.audit import COMMANDS as audit
    from vaultctl.tree.env import COMMANDS as env
    from vaultctl.tree.hsm import COMMANDS as hsm
    from vaultctl.tree.kv import COMMANDS as kv
    from vaultctl.tree.namespaces import COMMANDS as namespaces
    from vaultctl.tree.nhi import COMMANDS as nhi
    from vaultctl.tree.port import COMMANDS as port
    from vaultctl.tree.ssh import COMMANDS as ssh
    from vaultctl.tree.system import COMMANDS as system
    from vaultctl.tree.tokens import COMMANDS as tokens
    from vaultctl.tree.transit import COMMANDS as transit

    every = (*audit, *env, *hsm, *kv, *namespaces, *nhi, *operating, *port, *ssh, *system, *tokens, *transit)
    return sorted(every, key=lambda command: command.name)


def _commands(first: str) -> Sequence[Command]:
    if first in ("kv", "read", "write", "delete", "list", "scan", "patch"):
        from vaultctl.tree.kv import COMMANDS as kv

        return kv
    if first in ("token", "login", "print", "unwrap", "lease", "identity"):
        from vaultctl.tree.tokens import COMMANDS as tokens

        return tokens
    if first in ("run", "env"):
        from vaultctl.tree.env import COMMANDS as env

        return env
    if first == "namespace":
        from vaultctl.tree.namespaces import COMMANDS as namespaces

        return namespaces
    if first == "audit":
        from vaultctl.tree.audit import COMMANDS as audit

        return audit
    if first == "transit":
        from vaultctl.tree.transit import COMMANDS as transit

        return transit
    if first == "nhi":
        from vaultctl.tree.nhi import COMMANDS as nhi

        return nhi
    if first == "port":
        from vaultctl.tree.port import COMMANDS as port

        return port
    if first == "ssh":
        from vaultctl.tree.ssh import COMMANDS as ssh

        return ssh
    if first == "hsm":
        from vaultctl.tree.hsm import COMMANDS as hsm

        return hsm
    from vaultctl.tree.system import COMMANDS as system

    if first in ("status", "server", "conformance", "policy", "path-help", "version", "completion"):
        return system
    from vaultctl.tree.administration import COMMANDS as operating

    if first == "operator":
        from vaultctl.tree.hsm import COMMANDS as hsm

        return (*system, *operating, *hsm)
    return (*system, *operating)
