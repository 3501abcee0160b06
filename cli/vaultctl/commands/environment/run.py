# SPDX-License-Identifier: EUPL-1.2
"""run: a program with secrets in its environment."""

from __future__ import annotations

import os
import signal

from vaultctl.commands.kv.paths import locate_key
from vaultctl.commands.kv.read import fetch
from vaultctl.errors import EXIT_REMOTE, CommandError, UsageError, no_value
from vaultctl.invocation import Invocation
from vaultctl.text.json import as_map
from vaultctl.text.variables import checked_name, named, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKENS = ("BAO_TOKEN", "VAULT_TOKEN")
_NOT_FOUND, _NOT_STARTED = 127, 126
"""What a shell says of a program that is not there, and of one that cannot be started."""


def run(invocation: Invocation) -> int:
    """Become the program behind `--`, with the secrets that were asked for in its environment, and there alone."""
    if not invocation.program:
        raise UsageError("What to run stands behind two dashes: vaultctl run SECRET -- COMMAND")
    wanted = wanted_variables(invocation)
    environment = dict(invocation.environ)
    if not invocation.truth("keep-token"):
        for name in _TOKENS:
            environment.pop(name, None)
    environment.update(wanted)
    invocation.close()
    invocation.stdout.flush()
    program = invocation.program
    # Python ignores these, and so would what it becomes.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606 -- starting it is what the command is for
    except FileNotFoundError:
        raise CommandError(f"{program[0]}: no such program", _NOT_FOUND) from None
    except (OSError, ValueError) as error:
        why = (
            error.strerror
            if isinstance(error, OSError)
            else "its name is empty, or an argument has a NUL character"
        )
        raise CommandError(f"{program[0]} cannot be started: {why}", _NOT_STARTED) from None
    finally:  # it is still this program
        for number, handler in before.items():
            signal.signal(number, handler)


def wanted_variables(invocation: Invocation) -> dict[str, str]:
    """The variables of all secrets that are named, the later ones first to count, and of -env, which counts most."""
    if not invocation.args and not invocation.pairs("env"):
        raise UsageError("Name a secret, or a field with -env=NAME=SECRET#FIELD")
    secrets = _Secrets(invocation)
    found: dict[str, str] = {}
    for key in invocation.args:
        found.update(named(secrets.fields(key), invocation.text("prefix"), key))
    for name, place in invocation.pairs("env").items():
        key, sign, field = place.rpartition("#")
        if not sign or not key or not field:
            raise UsageError(f"invalid value for flag -env: {checked_name(name)} is to be SECRET#FIELD")
        fields = secrets.fields(key)
        if field not in fields:
            raise CommandError(f'{key} has no field "{field}"', EXIT_REMOTE)
        found[checked_name(name)] = spelled(fields[field], f'field "{field}" of {key}')
    return found


class _Secrets:
    """Secrets by key, each read once."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._read: dict[str, Mapping[str, object]] = {}

    def fields(self, key: str) -> Mapping[str, object]:
        """The fields of the newest version. CommandError where there is none, or the answer is wrapped."""
        if key not in self._read:
            self._read[key] = self._fetched(key)
        return self._read[key]

    def _fetched(self, key: str) -> Mapping[str, object]:
        location = locate_key(self._invocation, key, self._invocation.text("mount"))
        path = location.path("data")
        answer = fetch(self._invocation, path)
        if answer is None:
            raise no_value(path)
        if answer.get("wrap_info"):
            raise CommandError(f"The answer for {path} is wrapped: do without -wrap-ttl")
        data = as_map(answer.get("data"))
        if location.version == 1:
            return data
        if not data:  # the mount itself
            raise no_value(path)
        if data.get("data") is None:
            raise CommandError(f"No data found at {path}: its newest version is deleted", EXIT_REMOTE)
        return as_map(data["data"])
