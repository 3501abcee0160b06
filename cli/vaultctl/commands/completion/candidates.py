# SPDX-License-Identifier: EUPL-1.2
"""What a shell offers for an argument: mounts, paths, policies and other names, as the server lists them for the token in use."""

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

    from vaultctl.flags import Flag
    from vaultctl.invocation import Invocation

_SECONDS = "2"
"""How long a shell waits for a server."""
_KINDS = {
    "auth disable": "auth", "auth enable": "auth type", "auth move": "auth", "auth tune": "auth", "delete": "path",
    "env export": "key", "env import": "key", "hsm rewrap": "slot", "kv enable-versioning": "kv", "list": "path",
    "namespace delete": "namespace", "namespace lock": "namespace", "namespace lookup": "namespace",
    "namespace patch": "namespace", "namespace seal": "namespace", "namespace unlock": "namespace",
    "nhi issue": "registration", "nhi register": "registration", "nhi workload delete": "workload",
    "nhi workload read": "workload", "nhi workload write": "workload", "operator seal-slots add": "slot",
    "operator seal-slots demote": "slot", "operator seal-slots promote": "slot", "operator seal-slots remove": "slot",
    "operator seal-slots rewrap": "slot", "operator seal-slots verify": "slot", "patch": "path", "path-help": "path",
    "policy delete": "policy", "policy explain": "path", "policy read": "policy", "policy write": "policy",
    "read": "path", "run": "key", "scan": "path", "secrets disable": "mount", "secrets enable": "secret type",
    "secrets move": "mount", "secrets tune": "mount", "token capabilities": "path", "write": "path",
}  # fmt: skip
"""What the first argument of a command names; of every `kv` command that is not here, a key."""
_REPEATED = ("env export", "run")
"""Commands all of whose arguments are of that kind."""
_AUTH = "auth/"
_VARIABLE = "env"
"""The flag whose value is NAME=SECRET#FIELD: what comes behind its second sign is completed as an argument is."""
_FLAGS = {"policy": "policy", "registration": "registration", "workload": "workload"}
"""What the value of a flag names."""


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
    before, current = _joined(words[:-1]), words[-1] if words else ""
    beginning = ""
    if current.startswith("-") and "=" in current:  # as zsh has it, which takes nothing apart
        name, _, current = current.partition("=")
        beginning = f"{name}="
        before.append(beginning)
        if name.lstrip("-") == _VARIABLE and "=" in current:
            variable, _, current = current.partition("=")
            beginning = before[-1] = f"{beginning}{variable}="
    return [beginning + one for one in _fitting(before, current, environ)]


def _fitting(before: Sequence[str], current: str, environ: Mapping[str, str]) -> list[str]:
    """What `current` may become after the words before it."""
    from vaultctl.invocation import Invocation

    command, rest = find_command(before)
    if command is None or "--" in rest:
        return []
    flag = _waiting(command, rest)
    if flag is not None and flag.words:
        return [word for word in flag.words if word.startswith(current)]
    nowhere = io.StringIO()
    try:
        flags, given = parse(flags_of(command), rest if flag is None else rest[:-1])
        kind = _kind_of(command, len(given)) if flag is None else _FLAGS.get(flag.name, "")
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


def _waiting(command: Command, rest: Sequence[str]) -> Flag | None:
    """The flag whose value is to come next, if there is one."""
    last = rest[-1] if rest else ""
    name = last.removesuffix("=").lstrip("-")
    if not last.startswith("-") or "=" in name:
        return None
    return next((flag for flag in flags_of(command) if flag.name == name and flag.kind != "bool"), None)


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


def _types(asking: Invocation, kind: str) -> list[str]:
    """What can be mounted; `kv` of version 2 has a name of its own that the catalogue does not have."""
    found = _listed(asking, f"sys/plugins/catalog/{kind}")
    return sorted([*found, *(["kv-v2"] if "kv" in found else [])])


def _workloads(asking: Invocation, folder: str) -> list[str]:
    mount = asking.text("mount").strip("/") or "nhi"
    return _listed(asking, f"{mount}/{folder}")


def _listed(asking: Invocation, path: str) -> list[str]:
    from vaultctl.text.json import as_list, as_map

    answer = asking.client.send("GET", path, query={"list": "true"}, patient=False).json()
    return [str(name) for name in as_list(as_map(answer.get("data")).get("keys"))]


_SOURCES: dict[str, Callable[[Invocation, str], list[str]]] = {
    "auth": lambda asking, _: sorted(_mounts(asking, "auth")),
    "auth type": lambda asking, _: _types(asking, "auth"),
    "key": _keys,
    "kv": lambda asking, _: _kv_mounts(asking),
    "mount": lambda asking, _: sorted(_mounts(asking, "secret")),
    "namespace": lambda asking, _: _listed(asking, "sys/namespaces"),
    "path": _paths,
    "policy": lambda asking, _: _listed(asking, "sys/policies/acl"),
    "registration": lambda asking, _: _workloads(asking, "registrations"),
    "secret type": lambda asking, _: _types(asking, "secret"),
    "slot": lambda asking, _: _listed(asking, "sys/seal-slots"),
    "workload": lambda asking, _: _workloads(asking, "workloads"),
}
