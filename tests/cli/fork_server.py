# SPDX-License-Identifier: EUPL-1.2
"""Runs `python -m vaultctl` many times and starts the interpreter once: loaded, it forks for each command line.

A command is a process of its own all the same, with its arguments, environment, folder and streams. What it shares
with others is the standard library, which it would load first; no module of ours is loaded before it asks for it.
`python -m tests.cli.fork_server SOCKET` is the process that forks.
"""

import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Final

_ROOT: Final = Path(__file__).parents[2]
_STANDARD: Final = ("base64", "datetime", "decimal", "http.client", "random", "ssl", "urllib.parse", "uuid")
_MOST: Final = 1 << 16
_SECONDS: Final = 120


class ForkServer:
    """The process that forks, seen from a test."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line, with nothing on standard input. Whoever a signal ends exits as a shell says it."""
        with (
            open(os.devnull, "rb") as stdin,
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
        ):
            asked = json.dumps([list(words), dict(environment), str(folder)]).encode()
            streams = [stream.fileno() for stream in (stdin, stdout, stderr)]
            socket.send_fds(self._line, [asked], streams)
            try:
                answer = self._line.recv(_MOST)
            except BaseException:
                self._line.close()  # else the next would get this one's answer
                raise
            if not answer:
                raise RuntimeError("the process that runs vaultctl has ended")
            code, said = int(answer), [_read(stdout), _read(stderr)]
        return subprocess.CompletedProcess(words, code if code >= 0 else 128 - code, *said)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@contextmanager
def fork_server() -> Generator[ForkServer]:
    """Start it; it ends when the block does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(_SECONDS)
        process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": f"{_ROOT / 'cli'}:{_ROOT}"},
        )
        theirs.close()
        try:
            yield ForkServer(ours)
        finally:
            ours.close()
            process.wait(timeout=_SECONDS)


def _serve(line: socket.socket) -> bool:
    """Fork for each command line that comes. Return whether this is a command's process, which begins then."""
    while True:
        asked, streams, _, _ = socket.recv_fds(line, _MOST, 3)
        if not asked:
            return False
        child = os.fork()
        if child == 0:
            words, environment, folder = json.loads(asked)
            line.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["vaultctl", *words]
            return True
        for stream in streams:
            os.close(stream)
        line.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


if __name__ == "__main__":
    for name in _STANDARD:
        import_module(name)
    gc.freeze()
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        runpy.run_module("vaultctl", run_name="__main__", alter_sys=True)
