# SPDX-License-Identifier: EUPL-1.2
"""Key slots on a test's own tokens, and what the kernel tells of a process."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import Pkcs11Settings
from hsm.pin import pin_source
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

DEK = bytes(range(32))
PIN_VARIABLE = "PIN_OF_THIS_TEST"


def slot_on(
    softhsm: SoftHsm,
    *,
    pin: str = PIN,
    lib: str = SOFTHSM,
    now: Callable[[], float] = time.monotonic,
    **changed: object,
) -> Pkcs11Slot:
    values: dict[str, object] = {"token_label": "a", "key_label": "kek", "timeout": 10.0}
    environment = {**softhsm.environment, PIN_VARIABLE: pin}
    source = pin_source(f"env://{PIN_VARIABLE}", literal=False, environment=environment)
    settings = Pkcs11Settings(lib=lib, pin=source, **{**values, **changed})  # type: ignore[arg-type]  # as given
    return Pkcs11Slot(
        settings, chance=lambda: 0.0, directory=softhsm.runtime, environment=environment, now=now
    )


def with_program(
    softhsm: SoftHsm,
    program: tuple[str, ...],
    *,
    now: Callable[[], float] = time.monotonic,
    **changed: object,
) -> Pkcs11Slot:
    plain = slot_on(softhsm, **changed)  # type: ignore[arg-type]  # as given
    return Pkcs11Slot(
        plain.settings,
        chance=lambda: 0.0,
        directory=softhsm.runtime,
        environment=softhsm.environment,
        program=program,
        now=now,
    )


@contextlib.contextmanager
def hurried(slot: Pkcs11Slot, seconds: float) -> Iterator[None]:
    """Let each operation of a slot take so long at most, for as long as something of it hangs.

    Whatever is to succeed needs the time that a busy machine takes.
    """
    patient = slot.settings
    vars(slot)["settings"] = msgspec.structs.replace(patient, timeout=seconds)
    try:
        yield
    finally:
        vars(slot)["settings"] = patient


@contextlib.asynccontextmanager
async def opened(softhsm: SoftHsm, **changed: object) -> AsyncIterator[Pkcs11Slot]:
    """A slot with a key, closed at the end."""
    slot = slot_on(softhsm, **changed)  # type: ignore[arg-type]  # as given
    try:
        if not await slot.keys():
            await slot.generate_kek("aes", modifiable=True)
        yield slot
    finally:
        await slot.close()


def run(softhsm: SoftHsm, story: Callable[[Pkcs11Slot], Awaitable[None]], **changed: object) -> None:
    """Tell a story of an opened slot."""

    async def whole() -> None:
        async with opened(softhsm, **changed) as slot:
            await story(slot)

    asyncio.run(whole())


def gone(pid: int | None, *, name: str = "exe") -> bool:
    """Whether a process ends, within a minute; with `stat` as the name, whether its parent knows of it too."""
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}/{name}").exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def proc(pid: int | None, name: str) -> str:
    """A file that the kernel keeps on a process."""
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")


def open_files(pid: int | None) -> list[str]:
    """What the descriptors of a process refer to."""
    return [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def stop(pid: int | None) -> None:
    """Stop a process, and return when the kernel has done it: a signal takes a moment to arrive."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    while proc(pid, "stat").rsplit(")", 1)[1].split()[0] != "T":
        time.sleep(0.001)
