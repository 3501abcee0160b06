# SPDX-License-Identifier: EUPL-1.2
"""What a shell offers for an argument: mounts, paths and policies, as the server lists them for the token in use."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager

from vaultctl.errors import CommandError
from vaultctl.flags import parse
from vaultctl.tree.command import Command, flags_of
from vaultctl.tree.lookup import find_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from vaultctl.invocation import Invocation

_SECONDS = "2"
"""How long a shell waits for a server."""
_KINDS = {
    "auth disable": "auth", "auth move": "auth", "auth tune": "auth", "delete": "path", "env export": "key",
    "env import": "key", "kv enable-versioning": "kv", "list": "path", "patch": "path", "path-help": "path",
    "policy delete": "policy", "policy explain": "path", "policy read": "policy", "policy write": "policy",
    "read": "path", "run": "key", "scan": "path", "secrets disable": "mount", "secrets move": "mount",
    "secrets tune": "mount", "token capabilities": "path", "write": "path",
}  # fmt: skip
"""What the first argument of a command names; of every `kv` command that is not here, a key."""
_REPEATED = ("env export", "run")
"""Commands all of whose arguments are of that kind."""
_AUTH = "auth/"
_POLICY_FLAGS = ("-policy", "--policy")


@contextmanager
def in_time() -> Generator[None]:
    """End this process, which has said nothing yet, where a name server or a server that drips takes longer than that.

    A signal's handler would wait for both.
    """
    import threading

    timer = threading.Timer(int(_SECONDS), os._exit, (0,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def candidates(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """What the last of `words` may become, the others standing before it; nothing where that is not known."""
    from vaultctl.invocation import Invocation

    before, current = _joined(words[:-1]), words[-1] if words else ""
    if before and before[-1].rstrip("=") in _POLICY_FLAGS:
        kind, before = "policy", before[:-1]
    else:
        kind = ""
    command, rest = find_command(before)
    if command is None or "--" in rest:
        return []
    nowhere = io.StringIO()
    try:
        flags, given = parse(flags_of(command), rest)
        kind = kind or _kind_of(command, len(given))
        quick = {**environ, "BAO_CLIENT_TIMEOUT": _SECONDS, "BAO_MAX_RETRIES": "0", "BAO_WRAP_TTL": ""}
        flags = {name: value for name, value in flags.items() if not name.startswith(("output-", "wrap-"))}
        asking = Invocation(
            given, flags, form="json", environ=quick, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        try:
            found = _SOURCES[kind](asking, current) if kind else []
        finally:
            asking.close()
    except CommandError:
        return []
    return [one for one in found if one.startswith(current) and one.isprintable() and not _needs_quotes(one)]


def _joined(words: Sequence[str]) -> list[str]:
    """The words as they were typed: bash takes `-flag=value` apart at the sign."""
    found: list[str] = []
    for word in words:
        if found and (word == "=" or (found[-1].endswith("=") and found[-1].startswith("-"))):
            found[-1] += word
        else:
            found.append(word)
    return found


def _kind_of(command: Command, given: int) -> str:
    usual = "key" if command.name.startswith("kv ") else ""
    kind = _KINDS.get(command.name, usual)
    return kind if not given or command.name in _REPEATED else ""


def _needs_quotes(text: str) -> bool:
    """Whether a shell would read something else, or we a flag: nothing that others named gets into a command line so."""
    return text.startswith(("-", "=")) or any(not (sign.isalnum() or sign in "/._-@:+,=%") for sign in text)


def _mounts(asking: Invocation, kind: str) -> dict[str, object]:
    from vaultctl.text.json import as_map

    answer = asking.client.send("GET", "sys/internal/ui/mounts", patient=False).json()
    return as_map(as_map(answer.get("data")).get(kind))


def _kv_mounts(asking: Invocation) -> list[str]:
    from vaultctl.text.json import as_map

    mounts = _mounts(asking, "secret")
    return sorted(path for path, about in mounts.items() if as_map(about).get("type") == "kv")


def _keys(asking: Invocation, current: str) -> list[str]:
    """Keys below the folder that was typed so far; without one, the mounts that have keys."""
    from vaultctl.commands.kv.paths import locate_key

    folder, mount = current[: current.rfind("/") + 1], asking.text("mount")
    if not folder and not mount:
        return _kv_mounts(asking)
    location = locate_key(asking, folder, mount)
    return [folder + name for name in _listed(asking, location.path("metadata"))]


def _paths(asking: Invocation, current: str) -> list[str]:
    folder = current[: current.rfind("/") + 1]
    if folder and folder != _AUTH:
        return [folder + name for name in _listed(asking, folder.rstrip("/"))]
    return sorted([*_mounts(asking, "secret"), *(_AUTH + path for path in _mounts(asking, "auth"))])


def _listed(asking: Invocation, path: str) -> list[str]:
    from vaultctl.text.json import as_list, as_map

    answer = asking.client.send("GET", path, query={"list": "true"}, patient=False).json()
    return [str(name) for name in as_list(as_map(answer.get("data")).get("keys"))]


_SOURCES: dict[str, Callable[[Invocation, str], list[str]]] = {
    "auth": lambda asking, _: sorted(_mounts(asking, "auth")),
    "key": _keys,
    "kv": lambda asking, _: _kv_mounts(asking),
    "mount": lambda asking, _: sorted(_mounts(asking, "secret")),
    "path": _paths,
    "policy": lambda asking, _: _listed(asking, "sys/policies/acl"),
}
