# SPDX-License-Identifier: EUPL-1.2
"""One wrong PIN, and nobody on this machine tries it again before the next boot.

Tokens lock after three wrong tries, and a server that restarts in a loop makes three tries in seconds. So
before a login a process takes a lock for the token and looks for a marker; after a wrong PIN it leaves one.
The marker's name is a slow hash of boot id, serial number and PIN: another PIN is tried, the same is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pkcs11

from hsm.classify import classify
from hsm.errors import BadConfig, PinBlocked
from hsm.pin import Pin

_SCRYPT_COST: Final = 1 << 14
_WRONG: Final = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)
"""Answers that may have cost a try; a locked or expired PIN costs none."""


class LoginGate:
    """Lets one process at a time log in to a token, and nobody with a PIN that was wrong.

    `directory` is private to the server's user and made if need be; `boot` tells this boot from the last.
    """

    def __init__(self, directory: Path, boot: str) -> None:
        self._directory = directory
        self._boot = boot
        self._known: tuple[str, Pin, str] | None = None

    @contextlib.contextmanager
    def attempt(self, serial: str, pin: Pin) -> Iterator[None]:
        """Hold the token's lock while the caller logs in, and remember it when the PIN was wrong.

        The caller lets python-pkcs11's exceptions through. Raises `PinBlocked` without a try when this PIN
        was wrong before, and in place of an exception that speaks of the PIN.
        """
        _prepare(self._directory)
        name = hashlib.sha256(serial.encode()).hexdigest()[:16]
        marker = self._directory / f"pin-refused-{self._digest(serial, pin)}"
        with _locked(self._directory / f"login-{name}.lock"):
            if marker.exists():
                raise PinBlocked(
                    f"token serial {serial}: this PIN was wrong before and is not tried again; "
                    f"give the right one, or remove {marker} once the token takes it",
                    ckr="PinIncorrect",
                )
            try:
                yield
            except pkcs11.PKCS11Error as error:
                kind = classify(error, f"token serial {serial}: login")
                if not isinstance(kind, PinBlocked):
                    raise
                if isinstance(error, _WRONG):
                    marker.touch(0o600)
                raise kind from error

    def _digest(self, serial: str, pin: Pin) -> str:
        """Return the slow hash; the last one is remembered, because a login that was lost is made again."""
        if self._known is not None and self._known[0] == serial and self._known[1] is pin:
            return self._known[2]
        salt = hashlib.sha256(f"{self._boot}\0{serial}".encode()).digest()
        digest = hashlib.scrypt(pin.reveal(), salt=salt, n=_SCRYPT_COST, r=8, p=1, dklen=16).hex()
        self._known = (serial, pin, digest)
        return digest


def _prepare(directory: Path) -> None:
    """Make the directory, and refuse one that somebody else can write. Raises `BadConfig`."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise BadConfig(f"runtime directory {directory}: cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise BadConfig(
            f"runtime directory {directory}: must be a directory of uid {os.geteuid()} with mode 0700"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; the kernel frees it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
