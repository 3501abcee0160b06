# SPDX-License-Identifier: EUPL-1.2
"""One connection to a receiver, over TCP, TLS or a Unix socket. It blocks: each device has a thread of its own.

All that is done has one deadline. A receiver that takes nothing, or a byte a second, costs its own thread and no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
from collections.abc import Callable
from typing import Final

import msgspec

from vault.log.forward.transport.address import Address
from vault.log.forward.transport.failure import ConnectionLost, SendFailure
from vault.log.forward.transport.lookup import NameLookup

_CHUNK: Final = 1 << 16
_GLANCES: Final = 64
"""Reads of what a receiver sends though nobody asked, at one time."""
_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.05
_OTHER_NAME: Final = frozenset({62, 64})
"""What OpenSSL calls a certificate for another name or address."""
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Deadline:
    """When all must be done."""

    def __init__(self, now: Callable[[], float], seconds: float) -> None:
        """It is in `seconds`, by a monotonic clock."""
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        """Return the seconds that are left. Raises `SendFailure` where there are none."""
        left = self._end - self._now()
        if left <= 0:
            raise SendFailure("the receiver does not take records in time")
        return left


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files that TLS needs, read anew for each connection. Without an authority the system's are trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def context(self) -> ssl.SSLContext:
        """Return how receivers are verified: certificate, name and age. Raises `SendFailure`."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file or None)
            made.minimum_version = ssl.TLSVersion.TLSv1_2
        except (OSError, ValueError):
            raise SendFailure("the file with the authorities cannot be read", lasting=True) from None
        if self.cert_file:
            try:
                made.load_cert_chain(self.cert_file, self.key_file or None, password="")
            except (OSError, ValueError):
                raise SendFailure("the client certificate or its key cannot be read", lasting=True) from None
        return made


class Stream:
    """One connection."""

    def __init__(self, address: Address, files: TlsFiles, names: NameLookup) -> None:
        """Call `connect` before all else. `names` looks up the host of the address, for one connection after the other."""
        self._address, self._files, self._names = address, files, names
        self._socket: socket.socket | None = None
        self._ended = False

    def connect(self, deadline: Deadline) -> None:
        """Connect, and verify who is there. Raises `SendFailure`."""
        context = self._files.context() if self._address.tls else None
        connected = self._socket = self._connected(deadline)
        if context is None:
            return
        try:
            connected.settimeout(deadline.left())
            secured = context.wrap_socket(
                connected, server_hostname=self._address.host, do_handshake_on_connect=False
            )
            self._socket = secured
            secured.do_handshake()
        except ssl.SSLCertVerificationError as error:
            other = error.verify_code in _OTHER_NAME
            raise SendFailure(
                "the receiver's certificate is for another name"
                if other
                else "the receiver's certificate is not from an authority that is trusted, or not valid now",
                lasting=True,
            ) from None
        except ssl.SSLError:
            raise SendFailure("the receiver does not speak TLS, or refuses ours") from None
        except TimeoutError:
            raise SendFailure("the receiver does not answer") from None
        except OSError:
            raise SendFailure("the connection ended before it stood") from None

    def _connected(self, deadline: Deadline) -> socket.socket:
        """Return a connected socket: to the first address of the name that answers."""
        place = self._address
        if place.path:
            return self._reached(socket.AF_UNIX, place.path, deadline)
        last = SendFailure("the receiver's name has no address")
        for family, target in self._names.find(deadline.left()):
            try:
                return self._reached(family, target, deadline)
            except SendFailure as failure:
                last = failure
        raise last

    def _reached(self, family: socket.AddressFamily, target: object, deadline: Deadline) -> socket.socket:
        made = self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(deadline.left())
            made.connect(target)  # type: ignore[arg-type]  # as it was resolved
            if family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (ConnectionRefusedError, FileNotFoundError):
            made.close()
            raise SendFailure("nobody listens at the receiver's address") from None
        except TimeoutError:
            made.close()
            raise SendFailure("the receiver does not answer") from None
        except OSError:
            made.close()
            raise SendFailure("the receiver's address cannot be reached") from None
        return made

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Hand everything to the system. Raises `SendFailure`, `ConnectionLost`."""
        connected, view = self._open(), memoryview(data)
        try:
            while view:
                connected.settimeout(deadline.left())
                view = view[connected.send(view[:_CHUNK]) :]
        except TimeoutError:
            raise SendFailure("the receiver does not take records in time") from None
        except (OSError, ValueError):
            raise ConnectionLost("the receiver ended the connection") from None

    def receive(self, deadline: Deadline) -> bytes:
        """Return what comes next; nothing where the receiver has ended. Raises `SendFailure`, `ConnectionLost`."""
        connected = self._open()
        try:
            connected.settimeout(deadline.left())
            return connected.recv(_CHUNK)
        except TimeoutError:
            raise SendFailure("the receiver does not answer in time") from None
        except (OSError, ValueError):
            raise ConnectionLost("the receiver ended the connection") from None

    def drain(self, deadline: Deadline) -> None:
        """Wait until the other side has confirmed every byte: its system over TCP, its program over a Unix socket.

        Raises `SendFailure`, `ConnectionLost`.
        """
        wait = _WAIT
        while self._unconfirmed():
            watched = select.poll()
            watched.register(self._open(), select.POLLIN)
            if watched.poll(min(wait, deadline.left()) * 1000):
                self.check()
            wait = min(2 * wait, _LONGEST_WAIT)

    def _unconfirmed(self) -> int:
        try:
            found = fcntl.ioctl(self._open(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            raise ConnectionLost("the receiver ended the connection") from None
        return int(struct.unpack("i", found)[0])

    def check(self) -> None:
        """Make sure that the connection stands; what the receiver sends is dropped. Raises `ConnectionLost`."""
        connected = self._open()
        try:
            connected.settimeout(0)
            for _ in range(_GLANCES):
                if not connected.recv(_CHUNK):
                    raise ConnectionLost("the receiver ended the connection")
        except _NOT_NOW:
            return
        except (OSError, ValueError):
            raise ConnectionLost("the receiver ended the connection") from None

    def finish(self, deadline: Deadline) -> bool:
        """End the connection, and return whether the receiver has read all of it: then it ends it properly too."""
        try:
            connected = self._open()
            connected.settimeout(deadline.left())
            if isinstance(connected, ssl.SSLSocket):
                connected = self._socket = connected.unwrap()
            connected.shutdown(socket.SHUT_WR)
            while self.receive(deadline):
                pass
        except (OSError, ValueError, SendFailure):
            return False
        return True

    def abort(self) -> None:
        """Wake whoever waits for the receiver; called from another thread."""
        self._ended = True
        self._names.abort()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the connection."""
        if self._socket is not None:
            self._socket.close()

    def _open(self) -> socket.socket:
        if self._socket is None or self._ended:
            raise ConnectionLost("the connection is closed")
        return self._socket
