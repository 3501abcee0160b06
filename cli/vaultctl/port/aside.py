# SPDX-License-Identifier: EUPL-1.2
"""The switch-over: the source's mounts of secrets are set aside, so that nobody writes to them, or reads old secrets there.

`sys/remount` moves a mount to another path at once, on OpenBao, on Vault and here: whoever uses the old path finds
nothing, even with a root token, and the move goes on reading under the new one. It is undone the same way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from vaultctl.errors import CommandError
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount
from vaultctl.port.settings import mounts

_PATIENCE = 60.0
_PAUSE = 0.01


class Aside:
    """Which mounts are set aside, as the journal says it before it is so."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server, self._journal = server, journal
        self.places: dict[tuple[str, str], str] = {}
        """Where each mount is, by its namespace and the path that it had."""
        for line in journal.lines:
            if "aside" in line:
                where = (str(line["namespace"]), str(line["aside"]))
                if line["at"]:
                    self.places[where] = str(line["at"])
                else:
                    self.places.pop(where, None)

    def settle(self) -> None:
        """Finish what was begun when a run was ended: what is to be set aside is. CommandError where that fails."""
        for (namespace, path), at in list(self.places.items()):
            there = mounts.table(self._server, namespace, mounts.ENGINE)
            if path in there and at not in there:
                self._remount(namespace, path, at)

    def put(self, found: Iterable[Mount]) -> None:
        """Set mounts aside."""
        for mount in found:
            where = (mount.namespace, mount.path)
            if where not in self.places:
                at = f"moved-{secrets.token_hex(4)}/{mount.path}"
                self._write(mount.namespace, mount.path, at)
                self._remount(mount.namespace, mount.path, at)

    def take_back(self) -> list[Name]:
        """Put every mount back where it was."""
        done = []
        for (namespace, path), at in list(self.places.items()):
            if at in mounts.table(self._server, namespace, mounts.ENGINE):
                self._remount(namespace, at, path)
            self._write(namespace, path, "")
            done.append(Name(mounts.ENGINE, namespace, path))
        return done

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
