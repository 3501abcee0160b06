# SPDX-License-Identifier: EUPL-1.2
"""How a process comes by the sockets that it listens on: it binds them itself, or was given them by whoever started it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from vault.framework.telemetry.log import Log
from vault.server.application import Build
from vault.server.config.settings import Config
from vault.server.http import sockets
from vault.server.http.listeners import Listeners
from vault.server.process import resources
from vault.server.process.notices import Notices


class Doors(Protocol):
    """What is the process's own matter, or that of all processes of a server."""

    @property
    def warns(self) -> bool:
        """Whether this process tells what operators should know of the configuration and the machine."""
        ...

    @property
    def notices(self) -> Notices:
        """What whoever started this process is told of it."""
        ...

    def opened(self, config: Config) -> AbstractContextManager[list[socket.socket]]:
        """Return a socket for each listener, bound and listening. Raises `StartFailure`."""
        ...

    def builder(self, build: Build, log: Log) -> Build:
        """Return what makes the application, given what does that for a process that is alone."""
        ...

    def serving(self, listening: Listeners) -> None:
        """Know that clients can come now."""
        ...

    def reloaded(self) -> None:
        """Know that all reloads are done that were asked for."""
        ...


class OwnDoors:
    """Those of a server that is one process."""

    warns = True

    def __init__(self, notices: Notices) -> None:
        self.notices = notices

    @contextlib.contextmanager
    def opened(self, config: Config) -> Iterator[list[socket.socket]]:
        """See `Doors`. The file with the process id comes last: the addresses may be another server's, and so the file."""
        bound = [sockets.bind(listener) for listener in config.listeners]
        for listener, each in zip(config.listeners, bound, strict=True):
            sockets.occupy(listener, each)
        with resources.pid_file(config.pid_file):
            yield bound

    def builder(self, build: Build, log: Log) -> Build:
        """See `Doors`."""
        del log
        return build

    def serving(self, listening: Listeners) -> None:
        """See `Doors`."""
        del listening

    def reloaded(self) -> None:
        """See `Doors`: whoever waits for it hears of it by `notices`."""
