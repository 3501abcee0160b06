# SPDX-License-Identifier: EUPL-1.2
"""The switch-over: the source's mounts of secrets are set aside, so that nobody writes to them, or reads old secrets there.

`sys/remount` moves a mount to another path at once, on OpenBao, on Vault and here: whoever uses the old path finds
nothing, even with a root token, and the move goes on reading under the new one. It is undone the same way, which needs the source alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from enum import StrEnum

from vaultctl.errors import ApiError, CommandError, RequestError
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server, reason
from vaultctl.port.kv.mount import Mount
from vaultctl.port.settings import mounts

_PATIENCE = 60.0
_SETTLING = 1.0
"""Seconds after which a mount that is still at its old path is not on its way to the new one."""
_PAUSE = 0.01


class Stage(StrEnum):
    """How far the switch-over is, as the journal says."""

    OPEN = "open"
    """Clients use the source."""
    BEGUN = "begun"
    """Some mounts of the source may be set aside, and nobody was told that they may use the destination."""
    DONE = "done"
    """Clients use the destination."""
    UNDONE = "undone"
    """Clients use the source again, and something that they wrote may be at the destination alone."""


_REFUSED = {
    Stage.DONE: "the switch-over is done: clients use the destination, and another move would overwrite what they wrote there. "
    "`vaultctl port back` opens the source again; a move with -replace may then begin anew",
    Stage.BEGUN: "a switch-over was begun and not finished, and mounts of the source may be set aside: give -switch to finish it, "
    "or open the source again by `vaultctl port back`",
    Stage.UNDONE: "the source was opened again after the switch-over: what clients wrote at the destination meanwhile would be "
    "overwritten. Give -replace if it may be",
}


class Aside:
    """Which mounts are set aside, and how far the switch-over is. The journal names a mount before it is moved."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server, self._journal = server, journal
        self.stage = Stage.OPEN
        self.places: dict[tuple[str, str], str] = {}
        """Where each mount is to be, by its namespace and the path that it had."""
        for line in journal.lines:
            if "switch" in line:
                self.stage = Stage(str(line["switch"]))
            if "aside" in line:
                where = (str(line["namespace"]), str(line["aside"]))
                if line["at"]:
                    self.places[where] = str(line["at"])
                else:
                    self.places.pop(where, None)

    def enter(self, *, switch: bool, replace: bool) -> None:
        """Begin a move, or go on with one. CommandError where it would set aside, or overwrite, what nobody said it may."""
        if self.stage is Stage.DONE or (self.stage is Stage.BEGUN and not switch):
            raise CommandError(_REFUSED[self.stage])
        if self.stage is Stage.UNDONE:
            if not replace:
                raise CommandError(_REFUSED[self.stage])
            self._journal.doubt()
            self._say(Stage.OPEN)
        for (namespace, path), at in list(self.places.items()):  # what a run that was ended had begun
            if not self._is_there(namespace, path, at):
                self._remount(namespace, path, at)

    def put(self, found: Iterable[Mount]) -> None:
        """Set mounts aside. CommandError for the first that stays; `undo` then brings the others back."""
        self._say(Stage.BEGUN)
        for mount in found:
            where = (mount.namespace, mount.path)
            if where not in self.places:
                at = f"moved-{secrets.token_hex(4)}/{mount.path}"
                self._write(mount.namespace, mount.path, at)
                self._remount(mount.namespace, mount.path, at)

    def finish(self) -> None:
        """Say that all is at the destination, and that clients may use it from now on."""
        self._say(Stage.DONE)

    def undo(self, error: CommandError) -> CommandError:
        """Open the source again where the switch-over fails; the error to raise, which says how the source is."""
        why = reason(error) if isinstance(error, ApiError) else str(error)
        try:
            self.take_back()
        except CommandError as left:
            return CommandError(f"{why}\n{left}", error.code)
        return CommandError(
            f"{why}\nThe switch-over is undone: all mounts of the source are in their places.", error.code
        )

    def take_back(self) -> list[Name]:
        """Put every mount back where it was; those that were set aside. CommandError where some could not be, when the others are."""
        done, left = [], []
        for (namespace, path), at in list(self.places.items()):
            try:
                if self._is_there(namespace, path, at):
                    self._remount(namespace, at, path)
                    done.append(Name(mounts.ENGINE, namespace, path))
                self._write(namespace, path, "")
            except RequestError:
                raise CommandError(
                    "The source does not answer: run `vaultctl port back` when it does; mounts of it are set aside."
                ) from None
            except CommandError as error:
                why = reason(error) if isinstance(error, ApiError) else str(error)
                left.append(f"{namespace}{path} is still at {namespace}{at}: {why}")
        if left:
            raise CommandError("\n".join([*left, "Run `vaultctl port back` when what hinders it is away."]))
        if self.stage is not Stage.OPEN:
            self._say(Stage.OPEN if self.stage is Stage.BEGUN else Stage.UNDONE)
        return done

    def _is_there(self, namespace: str, path: str, at: str) -> bool:
        """Whether a mount is at its new place. One that may be on its way to it is waited for."""
        until = time.monotonic() + _SETTLING
        while True:
            there = mounts.table(self._server, namespace, mounts.ENGINE)
            if at in there or time.monotonic() > until:
                return at in there
            time.sleep(_PAUSE)

    def _say(self, stage: Stage) -> None:
        self._journal.add({"switch": stage.value}, durable=True)
        self.stage = stage

    def _write(self, namespace: str, path: str, at: str) -> None:
        self._journal.add({"aside": path, "namespace": namespace, "at": at}, durable=True)
        if at:
            self.places[namespace, path] = at
        else:
            self.places.pop((namespace, path), None)

    def _remount(self, namespace: str, begin: str, end: str) -> None:
        body = {"from": begin.rstrip("/"), "to": end.rstrip("/")}
        found = self._server.write(f"{namespace}sys/remount", body)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            about = self._server.read(f"{namespace}sys/remount/status/{found.get('migration_id')}") or {}
            info = about.get("migration_info")
            status = info.get("status") if isinstance(info, dict) else ""
            if status == "success":
                return
            if status == "failure":
                break
            time.sleep(_PAUSE)
        raise CommandError(f"{namespace}{begin}: the source did not move this mount to {end}")
