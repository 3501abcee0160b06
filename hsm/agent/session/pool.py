# SPDX-License-Identifier: EUPL-1.2
"""Sessions with one token: one login for the process, a pool of sessions, and one retry.

An error between `C_…Init` and the operation leaves a session unusable for good, so a session that has seen any
error is closed and never used again. The login belongs to process and token, not to a session; an anchor
session stays open all the time, because the token logs out when its last session closes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

import pkcs11

from hsm.agent.session.exceptions import SessionLost, classify
from hsm.agent.session.login import LoginGate
from hsm.agent.session.module import Module
from hsm.agent.session.token import find, flags_now, serial_of
from hsm.errors import HsmError, KeyMissing, SlotUnavailable
from hsm.pin import Pin
from hsm.token_info import WantedToken

Found = TypeVar("Found")


class TokenSession:
    """A session in the hands of one thread, with the keys that were looked up through it."""

    def __init__(self, session: pkcs11.Session, generation: int) -> None:
        self.pkcs11 = session
        self.generation: Final = generation
        self.keys: dict[object, pkcs11.Key] = {}


class SessionPool:
    """All sessions with one token. Its methods may be called from any thread."""

    def __init__(self, module: Module, wanted: WantedToken, pin: Pin, gate: LoginGate) -> None:
        self._module = module
        self._wanted = wanted
        self._pin = pin
        self._gate = gate
        self._lock = threading.Lock()
        self._idle: list[TokenSession] = []
        self._anchor: pkcs11.Session | None = None
        self._token: pkcs11.Token | None = None
        self._generation = 0
        self.logins = 0
        """How often this process logged in; more than once means that somebody logged it out."""
        self.open = 0
        """How many sessions are open, without the anchor."""

    @property
    def token(self) -> pkcs11.Token:
        """The token as it was found last. Raises `SlotUnavailable` before the first login."""
        if self._token is None:
            raise SlotUnavailable(f"{self._wanted}: not logged in")
        return self._token

    @property
    def generation(self) -> int:
        """Counts the times that everything was opened anew; what was looked up before then is void."""
        return self._generation

    def start(self) -> None:
        """Find the token and log in. Raises `HsmError`."""
        with self._lock:
            self._renew()

    def run(
        self,
        work: Callable[[TokenSession], Found],
        doing: str,
        *,
        decrypting: bool = False,
        write: bool = False,
        seen: Callable[[], bool] = lambda: False,
    ) -> Found:
        """Do `work` with a session that no other thread has, and once more when the session was lost.

        `doing` says what for, in messages. `decrypting` is as in `classify`. `write` takes a session that may
        change the token. `seen` tells whether a missing key was there before, so that it counts as a loss.
        Raises `HsmError`; `SlotUnavailable` when the second try fails for the same kind of reason.
        """
        generation = self._generation
        try:
            return self._once(work, doing, decrypting=decrypting, write=write)
        except SessionLost:
            pass
        except KeyMissing:
            if not seen():
                raise
        with self._lock:
            if self._generation == generation:
                self._renew()
        try:
            return self._once(work, doing, decrypting=decrypting, write=write)
        except SessionLost as error:
            raise SlotUnavailable(str(error), ckr=error.ckr) from error
        except KeyMissing as error:
            if not seen():
                raise
            raise SlotUnavailable(f"{error}, but it was there before", ckr=error.ckr) from error

    def _once(
        self, work: Callable[[TokenSession], Found], doing: str, *, decrypting: bool, write: bool
    ) -> Found:
        session = self._take(doing, write=write)
        try:
            found = work(session)
        except pkcs11.PKCS11Error as error:
            self._drop(session)
            raise classify(error, doing, decrypting=decrypting) from error
        except BaseException:
            self._drop(session)
            raise
        self._give_back(session, write=write)
        return found

    def _take(self, doing: str, *, write: bool) -> TokenSession:
        with self._lock:
            if self._idle and not write:
                return self._idle.pop()
            generation = self._generation
            self.open += 1
        try:
            try:
                return TokenSession(self.token.open(rw=write), generation)
            except pkcs11.SessionCount:
                self._close_idle()
                return TokenSession(self.token.open(rw=write), generation)
        except BaseException as error:
            with self._lock:
                self.open -= 1
            if isinstance(error, pkcs11.PKCS11Error):
                raise classify(error, f"{doing}: opening a session") from error
            raise

    def _give_back(self, session: TokenSession, *, write: bool) -> None:
        with self._lock:
            if not write and session.generation == self._generation:
                self._idle.append(session)
                return
        self._drop(session)

    def _drop(self, session: TokenSession) -> None:
        """Close a session, whatever state it is in; the module may refuse, and then it is gone anyway."""
        session.keys.clear()
        with self._lock:
            self.open -= 1
        _close(session.pkcs11)

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            self._drop(session)

    def _renew(self) -> None:
        """Find the token again, log in unless this process is, and forget every session. Holds the lock."""
        try:
            self._open_anew()
        except SessionLost as error:
            raise SlotUnavailable(str(error), ckr=error.ckr) from error

    def _open_anew(self) -> None:
        self._generation += 1
        self.open -= len(self._idle)
        while self._idle:
            _close(self._idle.pop().pkcs11)
        token = find(self._module, self._wanted)
        doing = f"{self._wanted}: login"
        try:
            anchor = token.open()
        except pkcs11.PKCS11Error as error:
            raise classify(error, f"{doing}: opening a session") from error
        try:
            with self._gate.attempt(serial_of(token), self._pin, lambda: flags_now(token)):
                self._log_in(anchor)
        except pkcs11.PKCS11Error as error:
            _close(anchor)
            kind = classify(error, doing)
            raise SlotUnavailable(str(kind), ckr=kind.ckr) from error
        except HsmError:
            _close(anchor)
            raise
        previous, self._anchor, self._token = self._anchor, anchor, token
        if previous is not None:
            _close(previous)

    def _log_in(self, anchor: pkcs11.Session) -> None:
        try:
            self._module.login(anchor, self._pin)
        except pkcs11.UserAlreadyLoggedIn:
            return
        self.logins += 1


def _close(session: pkcs11.Session) -> None:
    with contextlib.suppress(pkcs11.PKCS11Error):
        session.close()
