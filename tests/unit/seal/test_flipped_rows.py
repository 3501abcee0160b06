# SPDX-License-Identifier: EUPL-1.2
"""One bit of a stored row is another one: whatever is wrapped for slots is refused, and never read as something else."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable

import pytest

from hsm.errors import IntegrityError
from tests.unit.barrier.stream import flips
from tests.unit.framework.keys.test_key_versions import SAFE, SIGNING, Here, Kind
from tests.unit.seal.auto import named
from tests.unit.seal.records.test_sealwrap import CORE, Wraps
from vault.audit.salts import Salts, SaltUnreadable
from vault.barrier.stored import raw
from vault.framework.errors import Failed, Unavailable
from vault.framework.keys.safe import Safe
from vault.seal.failure import SealFailure
from vault.seal.records.record import recovery_path
from vault.seal.records.sealwrap import PREFIX
from vault.seal.records.slots import NoSlotAnswers
from vault.values.ids import ROOT_ID

STEPS = pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.soak)], ids=["some", "all"])
"""Of how many bits one is tried."""
DEVICE = "file"
REFUSALS = ("fails its integrity check", "damaged or cut short", "none of the stored slots is configured")
"""What is said where the row was decrypted: by the server, or by whoever has the keyring."""


async def salt(here: Here) -> None:
    """Read the key of the audit hashes."""
    await Salts(here.wraps).get(here.machine.barrier.reader(ROOT_ID, CORE), DEVICE)


async def safe_key(here: Here) -> None:
    """Read the key of the safe."""
    await refused_key(here, SAFE)


async def signing_key(here: Here) -> None:
    """Read the key that signs wrapping tokens."""
    await refused_key(here, SIGNING)


async def refused_key(here: Here, kind: Kind) -> None:
    keys = kind.make(here.wraps, here.machine.barrier)
    await keys.look()
    for failure in keys.unopened.values():
        raise failure


Read = Callable[[Here], Awaitable[None]]
ROWS = pytest.mark.parametrize(
    ("path", "read"),
    [(f"audit/salt/{DEVICE}", salt), ("safe/1", safe_key), ("wrapping/key", signing_key)],
    ids=["salt", "safe", "wrapping"],
)


async def filled() -> Here:
    """Return a vault with a value of each kind."""
    here = Here(SAFE, *named("a"))
    await here.open()
    for kind in (SAFE, SIGNING):
        await kind.make(here.wraps, here.machine.barrier).prepare()
    await here.put(f"audit/salt/{DEVICE}", b"salt")
    return here


@STEPS
@ROWS
def test_every_flipped_bit_of_a_row_in_storage_is_refused(path: str, read: Read, step: int) -> None:
    async def scenario() -> None:
        here = await filled()
        row = CORE + PREFIX + path
        stored = await here.machine.storage.reader().get(row)
        assert stored is not None
        await read(here)
        for damaged in itertools.islice(flips(stored), 0, None, step):
            async with here.machine.storage.write() as tx:
                await tx.put(row, damaged)
            here.wraps.drop()
            with pytest.raises((SealFailure, SaltUnreadable), match="fails its integrity check"):
                await read(here)
            assert await here.wraps.carry(("a",)) == {}

    asyncio.run(scenario())


@STEPS
@ROWS
def test_every_flipped_bit_of_a_wrapped_value_is_refused(path: str, read: Read, step: int) -> None:
    async def scenario() -> None:
        here = await filled()
        stored = await here.machine.barrier.reader(ROOT_ID, CORE).get(PREFIX + path)
        assert stored is not None
        for damaged in itertools.islice(flips(stored), 0, None, step):
            async with here.machine.barrier.write(ROOT_ID, CORE) as core:
                await core.put(PREFIX + path, raw(damaged))
            here.wraps.drop()
            with pytest.raises((SealFailure, SaltUnreadable)) as caught:
                await read(here)
            assert any(said in str(caught.value) for said in REFUSALS)
            failure = caught.value.__cause__ or caught.value
            if isinstance(failure, NoSlotAnswers):
                assert all(isinstance(reason, IntegrityError) for reason in failure.reasons.values())

    asyncio.run(scenario())


@STEPS
def test_every_flipped_bit_of_the_recovery_key_is_refused(step: int) -> None:
    async def scenario() -> None:
        here = await Wraps(*named("a")).open()
        row = recovery_path(1)
        stored = await here.machine.storage.reader().get(row)
        assert stored is not None
        for damaged in itertools.islice(flips(stored), 0, None, step):
            async with here.machine.storage.write() as tx:
                await tx.put(row, damaged)
            with pytest.raises(SealFailure, match="fails its integrity check"):
                await here.machine.life.accepts_key(bytes(32))

    asyncio.run(scenario())


@STEPS
def test_every_flipped_bit_of_a_key_in_the_safe_is_refused(step: int) -> None:
    async def scenario() -> None:
        here = await filled()
        safe = Safe(here.wraps, here.machine.barrier, os.urandom)
        await safe.keys.prepare()
        closed = safe.close(("nhi", "0", "abcd"), b"a private key of some length")
        for damaged in itertools.islice(flips(closed), 0, None, step):
            another = damaged[:4] != closed[:4]
            with pytest.raises(Unavailable if another else Failed):
                await safe.open(("nhi", "0", "abcd"), damaged)

    asyncio.run(scenario())
