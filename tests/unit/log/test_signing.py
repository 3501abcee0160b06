# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints of a log that is written: what signs them, what is stored, and in which order."""

import asyncio
import errno
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.clocks import SECOND, MovedClock
from tests.unit.log.folders import draft, opened, wrote
from tests.unit.log.hsm_keys import FakeHsmKey
from vault.framework.clock import Clock
from vault.framework.errors import Unavailable
from vault.framework.telemetry.log import Log
from vault.log.format.checkpoint import open_checkpoint
from vault.log.format.note import Signer
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.format.segment import StoredCheckpoint, list_segments
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vault.log.hsm_line import HsmLine
from vault.log.signing import Checkpoints
from vault.log.writer import LogLimits

SEED = b"s" * 32
ORIGIN = "vault.example.eu/log"


class Site:
    """A log of a server that is unsealed, with a key in an HSM."""

    def __init__(self, folder: Path, *, limits: LogLimits | None = None) -> None:
        self.folder = folder
        self.log = opened(folder) if limits is None else opened(folder, limits=limits)
        self.clock = MovedClock(SECOND)
        self.told = io.StringIO()
        log = Log(stream=self.told, clock=Clock())
        self.checkpoints = Checkpoints(self.log.writer, ORIGIN, Clock(), log)
        self.key = FakeHsmKey()
        self.line = HsmLine(self.key, log, self.clock.monotonic, deadline=0.05)
        self.checkpoints.sign_beside(self.line)
        self.checkpoints.use(SEED)

    def write(self, count: int = 1) -> None:
        wrote(self.log, *[draft() for _ in range(count)])

    async def settle(self) -> None:
        while (attempt := self.line._attempt) is not None:
            await asyncio.wait({attempt})
            await asyncio.sleep(0)

    async def ready(self) -> None:
        """Write a record, and have both keys sign it."""
        self.write()
        await self.checkpoints.sign()
        await self.settle()
        await self.checkpoints.sign()

    async def begin_signing(self) -> asyncio.Task[None]:
        """Return what signs a second record, and waits for the HSM, which does not answer."""
        await self.ready()
        self.key.answers.clear()
        self.write()
        signing = asyncio.create_task(self.checkpoints.sign())
        await asyncio.sleep(0)
        return signing

    @property
    def kinds(self) -> list[tuple[int, list[str]]]:
        """Of each checkpoint that is stored the size, and which kinds of key signed it; all is verified."""
        found = []
        state = self.checkpoints.hsm_state(self.log.id)
        assert state is not None
        keys = [Verifier.parse(vkey) for vkey in (self.checkpoints.key, state.key) if vkey]
        for stored in self.stored():
            note = open_checkpoint(stored.note.encode(), keys)
            found.append((note.checkpoint.size, [one.verifier.kind.name for one in note.signatures]))
        return found

    def stored(self) -> list[StoredCheckpoint]:
        segments = list_segments(self.folder / self.log.id)
        return [stored for segment in segments for stored in segment.checkpoints()]


def play(
    folder: Path, scenario: Callable[[Site], Awaitable[None]], *, limits: LogLimits | None = None
) -> Site:
    """Run a scenario; what is stored verifies."""
    site = Site(folder, limits=limits)

    async def whole() -> None:
        await scenario(site)
        site.key.answers.set()
        vkeys = [site.checkpoints.key]
        site.checkpoints.use(None)
        await asyncio.sleep(0)
        site.log.writer.close()
        report = verify_folder(folder, Trust(keys=tuple(Verifier.parse(vkey) for vkey in vkeys if vkey)))
        assert [str(fault) for fault in report.faults] == []

    asyncio.run(whole())
    return site


BOTH = ["ED25519", "ECDSA"]


def test_both_keys_sign_each_checkpoint(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.write(3)
        await site.checkpoints.sign()
        assert site.kinds == [(1, ["ED25519"]), (1, BOTH), (4, BOTH)]
        assert (site.checkpoints.signed, site.told.getvalue()) == (4, "")

    play(tmp_path, scenario)


def test_a_log_that_rests_is_signed_once(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        for _ in range(3):
            await site.checkpoints.sign()
        assert (len(site.stored()), site.key.asked) == (2, 1)

    play(tmp_path, scenario)


def test_an_hsm_that_hangs_costs_one_checkpoint_a_moment_and_none_its_signature(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.answers.clear()
        for _ in range(5):
            site.write()
            await site.checkpoints.sign()
        assert site.kinds[2:] == [(size, ["ED25519"]) for size in range(2, 7)]
        state = site.checkpoints.hsm_state(site.log.id)
        assert state is not None
        assert (state.trouble, site.told.getvalue().count("\n")) == ("it did not answer within 0.05 s", 1)

    play(tmp_path, scenario)


def test_the_newest_checkpoint_gets_its_second_signature_when_the_hsm_is_back(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.refusal = Unavailable("away")
        site.write()
        await site.checkpoints.sign()
        site.key.refusal = None
        site.clock.sleep(60)
        await site.checkpoints.sign()
        await site.settle()
        await site.checkpoints.sign()
        await site.checkpoints.sign()
        assert site.kinds[2:] == [(2, ["ED25519"]), (2, BOTH)]

    play(tmp_path, scenario)


def test_the_last_checkpoint_before_the_seal_has_both_signatures(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.write(2)
        await site.checkpoints.sign_last()
        site.checkpoints.sign_now()
        assert site.kinds[2:] == [(3, BOTH)]

    play(tmp_path, scenario)


def test_where_the_hsm_is_away_the_seal_has_a_checkpoint_all_the_same(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.key.refusal = Unavailable("away")
        site.write(2)
        await site.checkpoints.sign_last()
        assert site.kinds == []
        site.checkpoints.sign_now()
        assert site.kinds == [(2, ["ED25519"])]

    play(tmp_path, scenario)


def test_what_was_overtaken_while_the_hsm_was_asked_is_not_stored_behind(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        signing = await site.begin_signing()
        site.write()
        site.checkpoints.sign_now()
        site.key.answers.set()
        await signing
        assert [size for size, _ in site.kinds] == [1, 1, 3]
        assert site.checkpoints.signed == 3

    play(tmp_path, scenario)


def test_what_is_on_its_way_to_the_disk_is_not_stored_behind_what_overtook_it(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.write()
        made = site.checkpoints._made(signer(site), None, site.checkpoints._checkpoint(), 0)
        site.write()
        site.checkpoints.sign_now()
        site.checkpoints._store(made)
        assert [size for size, _ in site.kinds] == [2]

    def signer(site: Site) -> Signer:
        assert site.checkpoints._signer is not None
        return site.checkpoints._signer

    play(tmp_path, scenario)


def test_what_was_signed_while_the_log_was_sealed_is_not_stored(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        signing = await site.begin_signing()
        site.checkpoints.use(None)
        await signing
        assert len(site.stored()) == 2
        site.checkpoints.use(SEED)

    play(tmp_path, scenario)


def test_a_checkpoint_is_beside_the_segment_that_was_open_when_it_was_made(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        site.key.answers.clear()
        signing = asyncio.create_task(_signed_later(site))
        await asyncio.sleep(0)
        site.write(2)
        site.key.answers.set()
        await signing
        newest = site.checkpoints.newest
        assert newest is not None
        assert (newest.segment, newest.checkpoint.size) == (0, 2)
        assert site.log.writer.segment > 0

    async def _signed_later(site: Site) -> None:
        site.write()
        await site.checkpoints.sign()

    play(tmp_path, scenario, limits=LogLimits(segment_bytes=600))


def test_other_logs_of_the_vault_are_signed_by_the_same_keys_under_their_names(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ready()
        ours = Verifier.parse(site.checkpoints.key)
        other = Verifier.parse(site.checkpoints.key_of("0123abcd-9-1"))
        assert (ours.name, other.name) == (f"{ORIGIN}/{site.log.id}", f"{ORIGIN}/0123abcd-9-1")
        state = site.checkpoints.hsm_state("0123abcd-9-1")
        assert state is not None
        hsm = Verifier.parse(state.key)
        assert (hsm.name, hsm.kind, hsm.public) == (other.name, KeyKind.ECDSA, site.key.public)
        assert ours.public == other.public
        site.checkpoints.use(None)
        assert (site.checkpoints.key, site.checkpoints.key_of("x")) == ("", "")
        site.checkpoints.use(SEED)

    play(tmp_path, scenario)


def test_without_an_hsm_the_log_s_own_key_signs_alone(tmp_path: Path) -> None:
    log = opened(tmp_path)
    checkpoints = Checkpoints(log.writer, ORIGIN, Clock(), Log())
    checkpoints.use(SEED)
    wrote(log, draft())

    async def scenario() -> None:
        await checkpoints.sign()
        await checkpoints.sign()
        await checkpoints.sign_last()

    asyncio.run(scenario())
    assert checkpoints.hsm_state(log.id) is None
    assert checkpoints.newest is not None
    assert checkpoints.newest.note.count("— ".encode()) == 1
    stored = [one for segment in list_segments(tmp_path / log.id) for one in segment.checkpoints()]
    assert [msgspec.structs.asdict(one)["note"].encode() for one in stored] == [checkpoints.newest.note]
    log.writer.close()


def test_a_full_disk_leaves_no_half_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path)
    checkpoints = Checkpoints(log.writer, ORIGIN, Clock(), Log(stream=io.StringIO()))
    checkpoints.use(SEED)
    wrote(log, draft())
    real, calls = os.write, []

    def full(fd: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return real(fd, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            asyncio.run(checkpoints.sign())
    asyncio.run(checkpoints.sign())
    (segment,) = list_segments(tmp_path / log.id)
    assert len(list(segment.checkpoints())) == 1
    log.writer.close()
