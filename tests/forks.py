# SPDX-License-Identifier: EUPL-1.2
"""Starts our programs many times and loads them once: a process that has loaded them forks for each command.

Each is a process of its own all the same, a child of whoever started it, with its arguments, environment, folder and
descriptors. What it shares with others is what it would load first, and the seed of Python's hashes: where two processes
must not share that, one has a `PYTHONHASHSEED` of its own. Tests of how a program starts, of its command line or of its
memory are marked `executed`.
`python -m tests.forks WHAT SOCKET` is the process that forks.
"""

import atexit
import ctypes
import fcntl
import gc
import io
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

_ROOT: Final = Path(__file__).parents[1]
_PATHS: Final = (str(_ROOT / "cli"), str(_ROOT))
_LOADED: Final = {
    "server": ("vault", "nhi", "vaultctl", "asyncpg"),
    "client": ("vaultctl",),
    "agent": ("hsm",),
}
"""The packages that each of the processes that fork has loaded: one that has loaded less forks in less time."""
_PROGRAMS: Final = {
    "vault.server": "server",
    "vaultctl": "client",
    "tests.integration.stub_server": "server",
    "hsm.agent": "agent",
    "hsm.agent.report": "agent",
    "tests.hsm.faulty_program": "agent",
}
"""Which of them forks for a module that is run."""
_OF_SERVER: Final = frozenset({"audit", "crypto", "hsm", "nhi", "operator", "port", "server", "transit"})
"""Commands of `vaultctl` that import parts of the server: what has loaded those forks for them."""
_KNOWN: Final = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
_STEERING: Final = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_")
"""What variables begin with that a process looks at before it runs anything of ours."""
_PR_SET_CHILD_SUBREAPER: Final = 36
_MOST: Final = 1 << 18
_MOST_STREAMS: Final = 16
_SECONDS: Final = 120


class _ForkServer:
    """A process that forks, seen from who wants processes."""

    def __init__(self, what: str) -> None:
        """Start it: it has loaded what is named `what`, and ends with this process."""
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.settimeout(_SECONDS)
        self._process = _original(
            [sys.executable, "-m", __name__, what, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=_ROOT,
            env={**_without_steering(os.environ), "PYTHONPATH": os.pathsep.join(_PATHS)},
        )
        theirs.close()

    def end(self) -> None:
        """Let it end."""
        self._line.close()
        self._process.wait(_SECONDS)

    def fork(self, asked: Mapping[str, object], descriptors: Sequence[int]) -> int:
        """Return the number of a new child of this process, which has the descriptors under the numbers asked for."""
        prctl = ctypes.CDLL(None).prctl
        # Its parent ends at once, so that it becomes a child of ours.
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.send_fds(self._line, [json.dumps(asked).encode()], descriptors)
            return int(self._line.recv(_MOST))
        finally:
            prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


_original = subprocess.Popen
_servers: dict[str, _ForkServer] = {}
_turn = threading.Lock()
_executed = False


def execute(*, always: bool) -> None:
    """Say whether programs are executed from now on, as everywhere else, and nothing forks for them."""
    global _executed
    _executed = always


def _fork_of(what: str, asked: Mapping[str, object], descriptors: Sequence[int]) -> int:
    """Fork in the process that has loaded `what`. One that was interrupted is not asked again: its answer is still to come."""
    with _turn:
        server = _servers.pop(what, None) or _ForkServer(what)
        try:
            pid = server.fork(asked, descriptors)
        except BaseException:
            server.end()
            raise
        _servers[what] = server
        return pid


def end() -> None:
    """Let all processes that fork end."""
    while _servers:
        _servers.popitem()[1].end()


class ForkedPopen(subprocess.Popen[Any]):
    """What takes the place of `subprocess.Popen` in the tests."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Any, cwd: Any,
                       env: Any, startupinfo: Any, creationflags: Any, shell: bool, *rest: Any) -> None:  # fmt: skip
        """Fork instead of executing where the command is one of ours, and nothing is asked for that this cannot do."""
        *pipes, _, gid, gids, uid, umask, start_new_session, group = rest
        program = _program(args)
        plain = (executable, preexec_fn, gid, gids, uid, umask, group) == (
            None,
            None,
            None,
            None,
            None,
            -1,
            -1,
        )
        if _executed or program is None or not plain or shell or not close_fds or not _ordinary(env):
            super()._execute_child(  # type: ignore[misc] # what is private has no types
                args,
                executable,
                preexec_fn,
                close_fds,
                pass_fds,
                cwd,
                env,
                startupinfo,
                creationflags,
                shell,
                *rest,
            )
            return
        module, words = program
        p2cread, _, _, c2pwrite, _, errwrite = pipes
        streams = [
            number if stream == -1 else stream for number, stream in enumerate((p2cread, c2pwrite, errwrite))
        ]
        asked = {
            "module": module,
            "words": words,
            "environment": dict(os.environ if env is None else env),
            "folder": os.fspath(cwd or os.getcwd()),
            "session": bool(start_new_session),
            "numbers": [0, 1, 2, *pass_fds],
        }
        what = (
            "server" if module == "vaultctl" and words[:1] and words[0] in _OF_SERVER else _PROGRAMS[module]
        )
        self.pid = _fork_of(what, asked, [*streams, *pass_fds])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined] # what is private has no types


def _program(args: Any) -> tuple[str, list[str]] | None:
    """Return the module that a command runs and its words, where it is one of ours that something has loaded."""
    if not isinstance(args, list | tuple) or not all(isinstance(word, str) for word in args):
        return None
    interpreter, *words = args
    if words[:1] == ["-P"]:
        words = words[1:]
    if interpreter != sys.executable or words[:1] != ["-m"] or words[1:2] == [] or words[1] not in _PROGRAMS:
        return None
    return words[1], words[2:]


def _ordinary(environment: Mapping[str, str] | None) -> bool:
    """Whether an interpreter and its libraries would begin with it as they did in the process that forks."""
    found = os.environ if environment is None else environment
    steering = found.keys() - _without_steering(found).keys() - set(_KNOWN)
    return not steering and set(found.get("PYTHONPATH", _PATHS[0]).split(os.pathsep)) <= set(_PATHS)


def _without_steering(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_STEERING)}


def _load(packages: Sequence[str]) -> None:
    """Import all modules of packages, but those that run as programs."""
    for name in packages:
        package = import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


def _serve(line: socket.socket) -> tuple[str, list[str]] | None:
    """Fork for what is asked, until nobody asks any more. In a process that was asked for, return what it is to run."""
    while True:
        asked, received, _, _ = socket.recv_fds(line, _MOST, _MOST_STREAMS)
        if not asked:
            return None
        pid = _fork()
        if pid == 0:
            line.close()
            return _become(json.loads(asked), received)
        for descriptor in received:
            os.close(descriptor)
        line.send(str(pid).encode())


def _fork() -> int:
    """Return the number of a process whose parent has ended, or 0 in it, once that is so."""
    told, tells = os.pipe()
    waiting, going = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid:
            os.write(tells, str(pid).encode())
            os._exit(0)
        os.close(going)
        os.read(waiting, 1)
    else:
        os.waitpid(between, 0)
        pid = int(os.read(told, 20))
    for descriptor in {told, tells, waiting, going} - (set() if pid else {going}):
        os.close(descriptor)
    return pid


def _become(asked: Any, received: Sequence[int]) -> tuple[str, list[str]]:
    """Take on what was asked for: descriptors under their numbers, the folder, the environment."""
    numbers = asked["numbers"]
    if asked["session"]:
        os.setsid()
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(numbers) + 1) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(kept, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    if os.environ.get("PYTHONUNBUFFERED") and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(write_through=True)
    return asked["module"], asked["words"]


def _main(what: str, line: socket.socket) -> None:
    _load(_LOADED[what])
    gc.collect()
    gc.freeze()
    run = _serve(line)
    if run is not None:
        module, words = run
        sys.argv = [module, *words]
        _leave(_run(module))


def _run(module: str) -> int:
    """Run a module as a program. Return what it exits with."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except Exception:  # noqa: BLE001 # as the interpreter does
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _leave(code: int) -> NoReturn:
    """End as the interpreter does, but take nothing apart first: that takes longer than most commands."""
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    _main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
