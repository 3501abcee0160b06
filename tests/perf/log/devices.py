# SPDX-License-Identifier: EUPL-1.2
"""How fast each kind of device catches up: records a second that a receiver in another process takes, which keeps nothing.

The log is written before; the time is from the start of its device until the receiver has all and the device knows.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.log.devices.site import KINDS, Site, running
from vault.log.forward.settings import DeviceSettings, Kind

_PATIENCE: Final = 600.0
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH: Final = b"content-length:"
_CHUNK: Final = 1 << 18


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what comes, and keep nothing."""
    while await reader.read(_CHUNK):
        pass
    writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read requests, and take each."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        (line,) = (line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH))
        await reader.readexactly(int(line.removeprefix(_LENGTH)))
        writer.write(_ANSWER)


async def _receive(kind: str) -> None:
    serve = _answer if kind in {"http", "otlp"} else _take
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def receiver(kind: Kind) -> Iterator[int]:
    """Run a receiver for devices of a kind; its port."""
    command = [sys.executable, "-m", "tests.perf.log.devices", "--receive", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def rate(kind: Kind, count: int, patience: float = _PATIENCE) -> float:
    """Return how many records a second a device of a kind sends; fail after `patience` seconds."""
    with tempfile.TemporaryDirectory() as folder, receiver(kind) as port:
        scheme = "http" if kind in {"http", "otlp"} else "tcp"
        settings = DeviceSettings(kind=kind, name="siem", address=f"{scheme}://127.0.0.1:{port}")
        site = Site(Path(folder) / "log", [settings])
        site.write(count)
        began = time.monotonic()
        with running(site):
            site.wait_for_all(patience=patience)
            return count / (time.monotonic() - began)


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--receive", choices=KINDS, help="only be a receiver, and print its port")
    options = parser.parse_args()
    if options.receive:
        asyncio.run(_receive(options.receive))
        return
    for kind in KINDS:
        print(f"{kind:8} {rate(kind, options.records):8,.0f} records a second")


if __name__ == "__main__":
    main()
