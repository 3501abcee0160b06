# SPDX-License-Identifier: EUPL-1.2
"""One wrong PIN, and no process on this machine tries it again before the next boot.

Tokens lock after three wrong tries, and a server that restarts in a loop makes three tries in seconds. So
before a login a process takes a lock for the token and looks for a marker; after a wrong PIN it leaves one.
The marker's name is a slow hash of boot id, serial number and PIN: another PIN is tried, the same is not.

A process may die within the login, and its answer is lost. So it notes beforehand what it is about to try;
the process that finds that later asks the token whether it has seen a wrong PIN.

Some modules answer a wrong PIN with a code of their own, or with a general failure, which also says that a device is
not well. Then the token is asked what it has seen. One that saw nothing may be one that never tells, so a second
unclear answer to the same PIN counts as a wrong PIN; a PIN of ours that the token took since this boot is rather tried
again, after growing pauses. Answers that say that the device is away cost nothing.

A PIN that came from a client is a guest's. Guests never cost a token that a seal is on a try, and guess seldom.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pkcs11

from hsm.agent.session.exceptions import classify
from hsm.errors import BadConfig, HsmError, PinBlocked, SlotUnavailable
from hsm.pin import Pin
from hsm.token_info import FINAL_TRY, LOCKED, WRONG_TRIED

GUESSES: Final = 3
"""So many wrong PINs of guests for one token, and no guest's PIN is looked at for a while."""
GUESSING_SECONDS: Final = 600.0
"""How long a wrong PIN of a guest counts."""

UNCLEAR: Final = 2
"""So many answers in a row that say nothing of the PIN, and it counts as wrong: tokens lock at the third wrong one."""
UNCLEAR_SECONDS: Final = 30.0
"""After so many, the pause before a PIN that was right before is tried again; doubled each time."""
_DOUBLINGS: Final = 6

SCRYPT_COST: Final = 1 << 14
"""How slow the hash of a PIN is that names its marks: whoever reads the directory is not to find the PIN by trying."""
_WRONG: Final = frozenset({"PinIncorrect", "PinInvalid", "PinLenRange"})
"""Answers that may have cost a try, as `HsmError.ckr`; a locked or expired PIN costs none."""
_AWAY: Final = frozenset(
    {
        "DeviceError",
        "DeviceMemory",
        "DeviceRemoved",
        "HostMemory",
        "SessionClosed",
        "SessionHandleInvalid",
        "TokenNotPresent",
        "TokenNotRecognised",
        "0x190",  # CKR_CRYPTOKI_NOT_INITIALIZED
    }
)
"""Answers of which the standard says that no PIN was compared: the device, the token or the session was not there."""


class LoginGate:
    """Lets one process at a time log in to a token, and none with a PIN that was wrong.

    `directory` is private to the server's user and made if need be; `boot` tells this boot from the last; `guest`
    is as above. `force` logs in although one more wrong PIN would lock the token. `cost` is how slow the hash of a PIN
    is. `now` gives seconds since the machine was started, whatever its wall clock is set to: what other processes of
    this boot left is compared with it.
    """

    def __init__(
        self,
        directory: Path,
        boot: str,
        *,
        guest: bool = False,
        force: bool = False,
        cost: int = SCRYPT_COST,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._boot = boot
        self._guest = guest
        self._force = force
        self._cost = cost
        self._now = now
        self._known: tuple[str, Pin, str] | None = None

    @contextlib.contextmanager
    def attempt(self, serial: str, pin: Pin, flags: Callable[[], int]) -> Iterator[None]:
        """Hold the token's lock while the caller logs in, and remember it when the PIN was wrong.

        1. Refuse without a try: this PIN was wrong before, or the token is near to locking.
        2. Note on disk that this PIN is about to be tried.
        3. The caller logs in.
        4. Find out what a refusal says of the PIN. A wrong PIN leaves a mark, and is not tried again before the next boot.
        5. Remove the note, unless the answer left it open whether the PIN is wrong.

        `flags` asks the token for its `CKF_…` as they are now, or raises python-pkcs11's exceptions. The caller lets
        those of the login through. Raises `PinBlocked` without a try when this PIN was wrong before or the token is
        near to locking, and in place of an exception that speaks of the PIN, or may do so.
        """
        _prepare(self._directory)
        name = hashlib.sha256(serial.encode()).hexdigest()[:16]
        digest = self._digest(serial, pin)
        marker, tried = (self._directory / f"pin-{what}-{digest}" for what in ("refused", "tried"))
        own = self._directory / f"pin-own-{name}"
        of_boot = hashlib.sha256(f"{self._boot}\0{serial}".encode()).hexdigest()[:16]
        guesses = self._directory / f"guesses-{of_boot}"
        with _locked(self._directory / f"login-{name}.lock"):
            # 1.
            self._admit(serial, marker, tried, flags())
            taken = not self._guest and _own_digest(own) == digest
            if self._guest:
                self._admit_guest(serial, digest, own, guesses)
            elif taken:
                self._admit_again(serial, tried)
            # 2. A process may die within the login; the next one then asks the token whether it saw a wrong PIN.
            _create(tried)
            pending = False
            # 3.
            try:
                yield
            # 4. Modules answer a wrong PIN with codes of their own, too; the token's flags then decide.
            except pkcs11.PKCS11Error as error:
                kind = classify(error, f"token serial {serial}: login")
                unclear = not isinstance(kind, PinBlocked) and kind.ckr not in _AWAY
                pending = unclear or (kind.ckr in _AWAY and tried.stat().st_size > 0)
                if unclear:
                    kind = self._explained(kind, tried, flags, taken=taken)
                if kind.ckr in _WRONG:
                    os.replace(tried, marker)
                if kind.ckr in _WRONG or (unclear and self._guest):
                    self._note_wrong(digest, own, guesses)
                if not isinstance(kind, PinBlocked):
                    raise
                raise kind from error
            else:
                if not self._guest:
                    with contextlib.suppress(OSError):  # a full disk must not undo a login
                        _replace(own, digest)
            finally:
                # 5.
                if not pending:
                    tried.unlink(missing_ok=True)

    def _explained(self, answer: HsmError, tried: Path, flags: Callable[[], int], *, taken: bool) -> HsmError:
        """Return a wrong PIN in place of an answer that does not speak of it, where that is what it may mean.

        A token that does not tell now is asked before the next login: `tried` stays. `taken` is whether the token took
        this PIN before.
        """
        try:
            seen = flags()
        except pkcs11.PKCS11Error:
            return answer
        if seen & (WRONG_TRIED | FINAL_TRY | LOCKED):
            return PinBlocked(
                f"{answer}, and the token has seen a wrong PIN, so this one is not tried again",
                ckr="PinIncorrect",
            )
        times = tried.stat().st_size + 1
        if times >= UNCLEAR and not taken:
            return PinBlocked(
                f"{answer}, {times} times in a row: the PIN may be wrong and is not tried again",
                ckr="PinIncorrect",
            )
        tried.write_bytes(b"." * times)
        os.utime(tried, (self._now(), self._now()))
        return answer

    def _admit_again(self, serial: str, tried: Path) -> None:
        """Raise `SlotUnavailable` where a PIN that was right before had unclear answers only just now."""
        if not tried.exists() or (times := tried.stat().st_size) < UNCLEAR:
            return
        pause = UNCLEAR_SECONDS * 2 ** min(times - UNCLEAR, _DOUBLINGS)
        age = self._now() - tried.stat().st_mtime
        if 0 <= age < pause:  # one that lies ahead is not by this clock
            raise SlotUnavailable(
                f"token serial {serial}: the login had {times} unclear answers in a row; it is tried again "
                f"in {pause - age:.0f} s"
            )

    def _admit(self, serial: str, marker: Path, tried: Path, flags: int) -> None:
        """Raise `PinBlocked` where a login is pointless, or could cost one of the last tries."""
        told = f"token serial {serial}"
        if flags & LOCKED:
            raise PinBlocked(
                f"{told}: its PIN is locked; the security officer must set it anew", ckr="PinLocked"
            )
        if flags & FINAL_TRY and not self._force:
            raise PinBlocked(
                f"{told}: one more wrong PIN locks it, so no login was tried; "
                "check the PIN by hand, or set force_pin_final_try"
            )
        if marker.exists():
            raise PinBlocked(
                f"{told}: this PIN was wrong before and is not tried again; give the right one"
                + self._or_remove(marker),
                ckr="PinIncorrect",
            )
        if tried.exists() and flags & WRONG_TRIED:
            raise PinBlocked(
                f"{told}: a process that tried this PIN had no clear answer, and the token has seen a wrong one since, "
                "so it is not tried again; give the right one" + self._or_remove(tried),
                ckr="PinIncorrect",
            )

    def _admit_guest(self, serial: str, digest: str, own: Path, guesses: Path) -> None:
        """Raise `PinBlocked` for a guest's PIN that the token is not to be asked about. Holds the lock."""
        recent = self._recent(guesses)
        if len(recent) >= GUESSES:
            raise PinBlocked(
                f"token serial {serial}: {GUESSES} wrong PINs were given for it; "
                f"none is looked at for {recent[0] + GUESSING_SECONDS - self._now():.0f} s"
            )
        if _own_digest(own) not in {None, digest}:
            self._note_wrong(digest, own, guesses)
            raise PinBlocked(
                f"token serial {serial}: the server itself logs in to it with another PIN, so this one was not tried",
                ckr="PinIncorrect",
            )

    def _note_wrong(self, digest: str, own: Path, guesses: Path) -> None:
        if self._guest:
            times = [*self._recent(guesses), self._now()]
            _replace(guesses, " ".join(f"{moment:.3f}" for moment in times))
        elif _own_digest(own) == digest:
            own.unlink()

    def _recent(self, guesses: Path) -> list[float]:
        """Return when guests gave wrong PINs of late, oldest first."""
        if not guesses.exists():
            return []
        times = map(float, guesses.read_text(encoding="ascii").split())
        return [moment for moment in times if moment > self._now() - GUESSING_SECONDS]

    def _or_remove(self, path: Path) -> str:
        """What an operator can do besides. A guest learns nothing of this machine."""
        return "" if self._guest else f", or remove {path} once the token takes it"

    def _digest(self, serial: str, pin: Pin) -> str:
        """Return the slow hash; the last one is remembered, because a login that was lost is made again."""
        if self._known is not None and self._known[0] == serial and self._known[1] is pin:
            return self._known[2]
        salt = hashlib.sha256(f"{self._boot}\0{serial}".encode()).digest()
        digest = hashlib.scrypt(pin.reveal(), salt=salt, n=self._cost, r=8, p=1, dklen=16).hex()
        self._known = (serial, pin, digest)
        return digest


def _own_digest(own: Path) -> str | None:
    """Return the digest of the PIN that the token last took of the server itself; None where there is none."""
    return own.read_text(encoding="ascii") if own.exists() else None


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


def _create(path: Path) -> None:
    """Make an empty file if there is none. When it was last written stays as it is, unlike by `Path.touch`."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _replace(path: Path, text: str) -> None:
    """Write a small file that no process ever sees half written."""
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    os.replace(new, path)
