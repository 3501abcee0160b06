# SPDX-License-Identifier: EUPL-1.2
"""Listening sockets, bound before anything else can fail late; a problem names the address and the fix."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from pathlib import Path
from typing import Final

from vault.server.config.settings import Listener
from vault.server.config.stanzas import host_and_port
from vault.server.failure import StartFailure

BACKLOG: Final = 2048
"""Connections that the kernel keeps until they are accepted."""

_TRIES: Final = 21
"""How often an address is tried that another process has."""
_PAUSE: Final = 0.05
"""Seconds between two tries."""

_MEANING: Final = {
    errno.EADDRINUSE: "another process listens there; stop it or choose another port",
    errno.EACCES: "this user may not listen there; choose a port above 1023 or grant CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine does not have the address; choose one of its own",
    errno.EAFNOSUPPORT: "this machine has no such kind of address; choose an IPv4 address",
}


class _FileSocket(socket.socket):
    """One that has a file. As long as it is open, no other file is this one."""

    file = (0, 0)
    """Device and number of the file."""


def bind(listener: Listener) -> socket.socket:
    """Bind the socket of `listener`, without listening yet. Raises `StartFailure`."""
    return _unix(listener) if listener.kind == "unix" else _tcp(listener)


def occupy(listener: Listener, bound: socket.socket) -> None:
    """Listen on a socket of `bind`; clients wait until they are accepted. Raises `StartFailure`.

    Another process may have bound the address too: one of both listens. The file of a `unix` socket may be another's
    by now, so that nobody can reach this one.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise failure(listener, error) from error
    if isinstance(bound, _FileSocket) and not _has_its_file(listener, bound):
        raise failure(listener, OSError(errno.EADDRINUSE, ""))


def forget(listener: Listener, bound: socket.socket) -> None:
    """Remove the file of a `unix` listener, which is open yet, unless another took its place; nothing to do for the others."""
    if isinstance(bound, _FileSocket) and _has_its_file(listener, bound):
        Path(listener.address).unlink(missing_ok=True)


def _has_its_file(listener: Listener, bound: _FileSocket) -> bool:
    try:
        return bound.file == _file(listener.address)
    except OSError:
        return False


def _file(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _tcp(listener: Listener) -> socket.socket:
    split = host_and_port(listener.address)
    assert split is not None, "checked when the configuration was read"
    host, port = split
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else socket.AF_INET
    try:
        found = socket.getaddrinfo(host or None, port, family if ":" in host or not host else 0,
                                   socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]  # fmt: skip
    except OSError as error:
        raise StartFailure(
            f"listener address {listener.address}: the host name is unknown; use an IP address"
        ) from error
    bound = socket.socket(found[0], socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0] == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if not host else 1)
        _take(bound, found[4])
    except OSError as error:
        bound.close()
        raise failure(listener, error) from error
    return bound


def _take(bound: socket.socket, address: tuple[str | int | bytes, ...]) -> None:
    """Bind a socket. Where a server was killed as it started a program, that has its sockets for a moment yet: so that is waited for."""
    for tries in reversed(range(_TRIES)):
        try:
            bound.bind(address)
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries:
                raise
        time.sleep(_PAUSE)


def _unix(listener: Listener) -> socket.socket:
    path = Path(listener.address)
    _remove_stale(listener, path)
    bound = _FileSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        bound.file = _file(listener.address)
        os.chmod(path, listener.socket_mode)
        if listener.socket_user or listener.socket_group:
            _give_away(listener, path)
    except OSError as error:
        bound.close()
        raise failure(listener, error) from error
    except StartFailure:
        bound.close()
        raise
    return bound


def _remove_stale(listener: Listener, path: Path) -> None:
    """Remove the socket that a killed process left; one that still answers, or another file, stays."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartFailure(f"listener address {path}: is a file, not a socket; choose another path")
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise failure(listener, error) from error
    raise StartFailure(f"listener address {path}: {_MEANING[errno.EADDRINUSE]}")


def _give_away(listener: Listener, path: Path) -> None:
    import grp
    import pwd

    user, group = listener.socket_user, listener.socket_group
    try:
        owner = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid if user else -1
        owning = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid if group else -1
        os.chown(path, owner, owning)
    except (KeyError, OSError) as error:
        raise StartFailure(
            f"socket_user or socket_group of listener {path}: unknown, or this user may not give the socket to it"
        ) from error


def failure(listener: Listener, error: OSError) -> StartFailure:
    """Say what `error` means for the address of `listener`."""
    meaning = _MEANING.get(error.errno or 0, f"cannot listen: {error.strerror}")
    return StartFailure(f"listener address {listener.address}: {meaning}")
