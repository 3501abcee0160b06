# SPDX-License-Identifier: EUPL-1.2
"""Small things that an operator has done on a token, each in a process of its own that may crash or hang.

The process (`python -m hsm.agent.oneshot`) gets its order on standard input, so that neither PIN nor key is on a command
line, and writes its answer on standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pkcs11

from hsm.agent.hardening import fall_silent, harden, limit_memory
from hsm.agent.keys.key_import import import_kek, token_check_value
from hsm.agent.keys.objects import versions
from hsm.agent.session.login import LoginGate
from hsm.agent.session.module import load
from hsm.agent.session.pool import Sessions
from hsm.agent.session.token import Wanted
from hsm.client.launch import without_secrets
from hsm.errors import (
    BadConfig,
    HsmError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)
from hsm.pin import Pin
from hsm.runtime import boot_id
from hsm.versions import KeyVersion, from_printable, next_version

PROGRAM: Final = (sys.executable, "-P", "-m", "hsm.agent.oneshot")

_KINDS: Final = {
    kind.__name__: kind for kind in (BadConfig, KeyAmbiguous, KeyMissing, PinBlocked, SlotUnavailable)
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which token, and how to log in. It holds the PIN: it goes through a pipe, and is neither shown nor kept."""

    lib: str
    parameters: str = ""
    wanted: Wanted
    pin: bytes
    runtime: str
    """Where wrong PINs are remembered, as `hsm.agent.session.login` does."""
    force: bool = False

    def __repr__(self) -> str:
        return f"Place({self.lib!r}, {str(self.wanted)!r})"


class CheckValue(msgspec.Struct, frozen=True, tag="check_value"):
    """Answered by the token's own check value of an AES key, or by nothing where it gives none."""

    label: str
    version: str


class ImportKek(msgspec.Struct, frozen=True, tag="import_kek"):
    """Store an AES key as the next version of a label; answered by that `KeyVersion`. A rehearsal stores none."""

    label: str
    key: bytes
    rehearse: bool = False

    def __repr__(self) -> str:
        return f"ImportKek({self.label!r})"


class _Order(msgspec.Struct, frozen=True):
    place: Place
    task: CheckValue | ImportKek


class Told(msgspec.Struct, frozen=True):
    """An error of ours on its way from a child process."""

    kind: str
    message: str

    def error(self) -> HsmError:
        """Return the error again."""
        return _KINDS.get(self.kind, SlotUnavailable)(self.message)


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""
    key: KeyVersion | None = None
    error: Told | None = None


def check_value(place: Place, task: CheckValue, *, seconds: float, program: Sequence[str] = PROGRAM) -> str:
    """Return the token's check value, in hexadecimal, or nothing. Raises `HsmError`."""
    return _done(_Order(place, task), seconds, program).text


def import_key(
    place: Place, task: ImportKek, *, seconds: float, program: Sequence[str] = PROGRAM
) -> KeyVersion:
    """Store the key. Raises `HsmError`."""
    made = _done(_Order(place, task), seconds, program).key
    assert made is not None
    return made


def opened(place: Place) -> Sessions:
    """Load the module in this process and log in. Raises `HsmError`."""
    try:
        module = load(place.lib, place.parameters)
    except pkcs11.PKCS11Error as error:
        raise SlotUnavailable(f"lib {place.lib}: {str(error) or type(error).__name__}") from error
    gate = LoginGate(Path(place.runtime), boot_id(), force=place.force)
    sessions = Sessions(module, place.wanted, Pin(place.pin), gate)
    sessions.start()
    return sessions


def main() -> int:
    """Be the process with the module."""
    harden()
    limit_memory(1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    output = os.fdopen(os.dup(1), "wb")
    fall_silent()
    try:
        answer = _performed(opened(order.place), order.task)
    except HsmError as error:
        answer = _Answer(error=Told(type(error).__name__, str(error)))
    with output:
        output.write(msgspec.json.encode(answer))
    return 0


def _performed(sessions: Sessions, task: CheckValue | ImportKek) -> _Answer:
    label = task.label
    if isinstance(task, CheckValue):
        key_id = from_printable(task.version)
        return _Answer(text=sessions.run(lambda held: token_check_value(held, label, key_id), "check value"))
    key, rehearse = task.key, task.rehearse
    made = sessions.run(
        lambda held: import_kek(held, label, next_version(versions(held, label)), key, rehearse=rehearse),
        "import",
        write=True,
    )
    return _Answer(key=made)


def _done(order: _Order, seconds: float, program: Sequence[str]) -> _Answer:
    with subprocess.Popen(
        list(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=without_secrets(os.environ),
    ) as child:
        try:
            said, _ = child.communicate(msgspec.json.encode(order), seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise SlotUnavailable(
                f"{order.place.wanted}: the module did not answer within {seconds:g} s"
            ) from None
    try:
        answer = msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError:
        raise SlotUnavailable(f"{order.place.wanted}: the module ended the process") from None
    if answer.error is not None:
        raise answer.error.error()
    return answer


if __name__ == "__main__":
    raise SystemExit(main())
