# SPDX-License-Identifier: EUPL-1.2
"""`python -I -m vault.log.reader FOLDER`: the log reader of a folder, of which there is one at a time.

It ends by itself when nobody has been connected for a while, so it needs no one to end it with the server.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from vault.framework.clock import Clock, Entropy
from vault.log.forward.forwarders import Forwarders
from vault.log.reader.folder import LogFolder
from vault.log.reader.messages import LOCK, SOCKET
from vault.log.reader.service import Service

LINGER_SECONDS: Final = 30.0
"""How long it goes on without a connection."""
HELD: Final = 3
"""What it exits with where another one serves the folder."""
_NICE: Final = 10
"""How far behind the server it stands when both want a core."""


def main(arguments: list[str]) -> int:
    """Serve the folder that is named. Return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -I -m vault.log.reader FOLDER\n")
        return 2
    os.nice(_NICE)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = Path(arguments[0])
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return HELD
    forwarders = Forwarders(folder, host=socket.gethostname(), clock=Clock(), entropy=Entropy())
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        asyncio.run(_serve(folder, forwarders))
    finally:
        forwarders.stop()
    return 0


async def _serve(folder: Path, forwarders: Forwarders) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    forwarders.start()  # now that whoever wants it to end is heard
    logs = LogFolder(folder, time.monotonic)
    service = Service(logs, time.monotonic, ended.set)
    server = await asyncio.start_unix_server(service.serve, sock=_socket(folder))
    tasks = [loop.create_task(logs.run()), loop.create_task(_watch(service, ended))]
    for task in tasks:
        task.add_done_callback(lambda _: ended.set())
    try:
        await ended.wait()
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        failures = await asyncio.gather(*tasks, return_exceptions=True)
        (folder / SOCKET).unlink(missing_ok=True)
        await logs.close()
        for failure in failures:
            if isinstance(failure, Exception):
                raise failure


def _socket(folder: Path) -> socket.socket:
    """Return the socket, bound. Its name is that of its folder's descriptor: a path may be too long for a socket."""
    (folder / SOCKET).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found.bind(f"/proc/self/fd/{opened}/{SOCKET}")
    finally:
        os.close(opened)
    (folder / SOCKET).chmod(0o600)
    return found


async def _watch(service: Service, ended: asyncio.Event) -> None:
    """Return when nobody has been connected for a while."""
    alone = time.monotonic()
    while not ended.is_set() and time.monotonic() - alone < LINGER_SECONDS:
        if service.connections:
            alone = time.monotonic()
        await asyncio.sleep(1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
