# SPDX-License-Identifier: EUPL-1.2
"""operator snapshot: backups of what a server stores, made, looked at and brought back on its machine."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

from vaultctl.commands.server import module_of_server
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_map
from vaultctl.text.output import columns, key_values
from vaultctl.text.terminal import on_one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType
    from typing import Any, TextIO

    from vaultctl.invocation import Invocation

_MODULE = "vault.server.offline.backups"
_AS_IT_WAS = (
    "Everything is as it was when the backup was made. What was revoked since then is valid again until it expires: "
    "tokens, secret ids, Biscuits, certificates. What was deleted or destroyed is back. Revoke and delete it again."
)
_UNKNOWN = "Tokens and leases that were made since then are unknown: what a lease stands for elsewhere does not end by itself."
_NEXT = (
    "Unseal with the shares, or the key slots, that were valid when the backup was made. Then run `vaultctl operator "
    "rotate`, so that the counts of the encryption key begin anew."
)
_AFTERWARDS = (_AS_IT_WAS, _UNKNOWN, _NEXT)
_ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end this as SIGINT does. A half-written file is removed when the machine stops or the terminal closes, too."""


def save(invocation: Invocation) -> int:
    """Copy what is stored, while servers use it, to a file that is verified before it has its name."""
    if invocation.args[0] == "-":
        raise CommandError("a backup is not written to standard output; name a file")
    return _tell(
        invocation,
        _done(
            "save",
            invocation,
            _storage(invocation),
            invocation.args[0],
            recipients=invocation.texts("recipient"),
            recipients_file=invocation.text("recipients-file"),
            force=invocation.truth("force"),
        ),
    )


def inspect(invocation: Invocation) -> int:
    """Tell what a backup holds."""
    return _tell(
        invocation, _done("inspect", invocation, invocation.args[0], identity=invocation.text("identity"))
    )


def verify(invocation: Invocation) -> int:
    """Look through all of a backup, as a restore does before it changes anything."""
    return _tell(
        invocation, _done("verify", invocation, invocation.args[0], identity=invocation.text("identity"))
    )


def restore(invocation: Invocation) -> int:
    """Verify a backup, and bring it into the storage that no server has open."""
    dry_run = invocation.truth("dry-run")
    done = _done(
        "bring_back",
        invocation,
        invocation.args[0],
        _storage(invocation),
        identity=invocation.text("identity"),
        keep=not invocation.truth("discard"),
        dry_run=dry_run,
    )
    told = () if dry_run else _AFTERWARDS
    if not invocation.tabular:
        return _tell(invocation, {**done, "warnings": list(told)})
    code = _tell(invocation, {name: value for name, value in done.items() if value != ""})
    if dry_run:
        invocation.warn("\nNothing was changed: this is what a restore would bring.")
    for text in told:
        invocation.warn(f"\nWARNING! {text}")
    return code


def list_backups(invocation: Invocation) -> int:
    """List what is where a configuration's schedules keep their backups."""
    module = module_of_server(_MODULE)
    try:
        with ended_by_signals():
            found = module.listed(invocation.texts("config"), invocation.environ)
    except module.Failures as failure:
        raise CommandError(str(failure)) from None
    if not invocation.tabular:
        return invocation.print_value(found)
    rows = [[one["schedule"], one["backup"], str(one["size"])] for one in found]
    invocation.say(columns([["Schedule", "Backup", "Bytes"], *rows]))
    return EXIT_OK


def status(invocation: Invocation) -> int:
    """Show the schedules of a server, and what became of each."""
    with ErrorPrefix("Error reading the schedules of backups"):
        answer = invocation.client.send("GET", "sys/snapshots").json()
    found = {
        name: as_map(facts) for name, facts in as_map(as_map(answer.get("data")).get("key_info")).items()
    }
    failing = any(facts.get("failures") for facts in found.values())
    if not invocation.tabular:
        invocation.print_answer(answer)
    else:
        head = ["Schedule", "Type", "Last success", "Backup", "Bytes", "Next", "Failures", "Reason"]
        invocation.say(columns([head, *(_row(name, facts) for name, facts in found.items())]))
    return EXIT_REMOTE if failing else EXIT_OK


def _row(name: str, facts: Mapping[str, Any]) -> list[str]:
    due = "now" if facts.get("running") else facts.get("next")
    shown = [facts.get("type"), facts.get("last_success"), facts.get("backup"), facts.get("size"), due]
    return [
        name,
        *(str(one or "-") for one in shown),
        str(facts.get("failures")),
        str(facts.get("failure") or "-"),
    ]


def _done(name: str, invocation: Invocation, *given: object, **named: object) -> Mapping[str, Any]:
    """What a function of the server's says that was done. Raises `CommandError`."""
    module = module_of_server(_MODULE)
    try:
        with ended_by_signals():
            found: Mapping[str, Any] = getattr(module, name)(*given, **named, progress=Progress(invocation))
    except module.Failures as failure:
        raise CommandError(str(failure)) from None
    return found


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals that end this process be exceptions. Raises `SystemExit` for one, with 128 and its number."""
    came: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only there are signals taken
        return
    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    except KeyboardInterrupt:
        if came:
            raise SystemExit(128 + came[0]) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _storage(invocation: Invocation) -> object:
    module = module_of_server(_MODULE)
    try:
        found: object = module.storage(
            invocation.text("database"), invocation.texts("config"), invocation.environ
        )
    except module.Failures as failure:
        raise CommandError(str(failure)) from None
    return found


def _tell(invocation: Invocation, found: Mapping[str, Any]) -> int:
    if not invocation.tabular:
        return invocation.print_value(found)
    invocation.say(key_values([(name, str(value)) for name, value in found.items()]))
    return EXIT_OK


class Progress:
    """Tells on stderr how far it is: on one line of a terminal, or, if asked for, on a line for each tenth."""

    def __init__(self, invocation: Invocation) -> None:
        self._stream: TextIO = invocation.stderr
        self._terminal = self._stream.isatty()
        self._wanted = self._terminal or invocation.truth("progress")
        self._told = ("", -1)

    def __call__(self, what: str, hundredths: int) -> None:
        """Print it, unless it was printed before."""
        now = (what, hundredths if self._terminal else hundredths // 10 * 10)
        if not self._wanted or now == self._told:
            return
        begin = "\r" if self._terminal and self._told[0] == what else ""
        end = "" if self._terminal and hundredths < 100 else "\n"
        self._stream.write(f"{begin}{on_one_line(what)}: {now[1]:3} %{end}")
        self._stream.flush()
        self._told = now
