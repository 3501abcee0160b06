# SPDX-License-Identifier: EUPL-1.2
"""What traces cost a KV v2 read through the real connection: processor time without a collector, and with one that is
sent no request, one in twenty, and each. Run as `python -m tests.perf.tracing`; prints the table of `docs/observability.md`.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.perf.repeats import READS, TOGETHER, Many
from tests.routes.driver import Application
from vault.server.config.settings import Telemetry
from vault.server.config.telemetry.collector import Collector
from vault.storage.sqlite.storage import SqliteStorage

ROUNDS: Final = 9
_PROGRAM: Final = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
_KINDS: Final = {"no collector": None, "none traced": 0.0, "one in twenty": 0.05, "each traced": 1.0}


async def _sent(application: Application) -> None:
    """Return once nothing waits to be sent."""
    feed = application.vault.ground.feed
    while feed is not None and feed._traces._waiting:  # noqa: ASYNC110 - another thread empties it
        await asyncio.sleep(0.1)


async def _cost(application: Application) -> tuple[float, float]:
    """Microseconds for one read: of the event loop's thread, and of the whole process until all is sent."""
    many = Many(application)
    for _ in range(20):
        await many.read()
    await _sent(application)
    whole, own = time.process_time(), time.thread_time()
    for _ in range(READS // TOGETHER):
        await many.read()
    loop = time.thread_time() - own
    await _sent(application)
    await asyncio.sleep(0.3)  # the last batch is on its way
    return loop / READS * 1e6, (time.process_time() - whole) / READS * 1e6


def measured(rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return by kind what a read costs: the least of so many rounds, in which the kinds take turns."""
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(receiver.terminate)
        assert receiver.stdout is not None
        endpoint = f"http://127.0.0.1:{int(receiver.stdout.readline())}"
        made: dict[str, Application] = {}
        for kind, ratio in _KINDS.items():
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            collector = Collector() if ratio is None else Collector(endpoint=endpoint, sampling_ratio=ratio)
            made[kind] = stack.enter_context(
                Application(
                    SqliteStorage.open(Path(folder) / "vault.db"), telemetry=Telemetry(otlp=collector)
                )
            )
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in made}
        for _ in range(rounds):
            for kind, application in made.items():
                found[kind].append(application.run(_cost(application)))
        return {
            kind: (min(own for own, _ in costs), min(whole for _, whole in costs))
            for kind, costs in found.items()
        }


if __name__ == "__main__":
    print("| requests | event loop | whole process |\n|---|---|---|")
    for kind, (own, whole) in measured().items():
        print(f"| {kind} | {own:.1f} us | {whole:.1f} us |")
