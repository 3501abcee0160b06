# SPDX-License-Identifier: EUPL-1.2
"""Our witness as a process: what it says, what it survives, and what a log with two faces comes to."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.log.attacks import edit_record
from tests.log.genuine import TRUST, Genuine
from tests.log.witness.running import NAME, SECONDS, ask, asking, command, our_witness
from tests.log.written import LOG, ORIGIN
from tests.unit.log.format.signing import ed25519
from tests.unit.log.witness.answering import Reader
from tests.unit.log.witness.grown import GrownLog
from vault.log.format.checkpoint import open_checkpoint
from vault.log.format.finding import Kind
from vault.log.format.note_key import Verifier
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vault.log.witness.newest import SignedNow
from vault.log.witness.server.memory import name_of
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.places import Places

pytestmark = pytest.mark.loopback
GROWN = GrownLog(origin=f"{ORIGIN}/{LOG}")


def refused(folder: Path, *flags: str) -> str:
    """Why the witness does not start."""
    done = subprocess.run(
        command(folder, *flags), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 1
    return done.stderr.strip()


def shown(url: str) -> bytes:
    """The checkpoint of the log that the witness cosigned last, as anybody can read it."""
    request = OutboundRequest(f"{url}/{name_of(GROWN.origin)}/checkpoint", seconds=SECONDS)
    return asyncio.run(Fetcher(Places(["127.0.0.0/8"])).body(request))


@pytest.mark.executed
def test_it_is_the_same_witness_after_each_start(tmp_path: Path) -> None:
    with our_witness(tmp_path) as running:
        first = running.settings.key
        assert first.name == NAME
        assert ask(asking(running.settings), GROWN, 9) is not None
    assert running.process.returncode == 0
    with our_witness(tmp_path) as running:
        assert running.settings.key.vkey == first.vkey
        one = asking(running.settings)
        assert ask(one, GROWN, 20) is not None
        opened = open_checkpoint(shown(running.settings.url), [GROWN.signers[0].verifier, first])
        assert (opened.checkpoint, len(opened.signatures)) == (GROWN.checkpoint(20), 2)


def test_without_its_state_it_does_not_start_nor_twice_at_a_time(tmp_path: Path) -> None:
    with our_witness(tmp_path):
        assert "another process is the witness" in refused(tmp_path)
    shutil.rmtree(tmp_path / "state")
    assert "has not what this witness has seen" in refused(tmp_path)
    (tmp_path / "key").unlink()
    with our_witness(tmp_path) as running:
        assert ask(asking(running.settings), GROWN, 9) is not None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-log=x"], "-log: a verifier key is"),
        (["-listen=x"], "-listen: must be HOST:PORT"),
        (["-name=a b"], "-name: the name of a key"),
        (["-key="], "-key: name the file of the witness's key"),
        (["-state="], "-state: name the folder"),
        (["-name="], "a new key needs a name"),
        (["-tls-cert-file=x"], "-tls-cert-file and -tls-key-file go together"),
        (["-tls-cert-file=x", "-tls-key-file=x"], "No such file"),
    ],
)
def test_what_keeps_it_from_starting_is_told(tmp_path: Path, flags: Sequence[str], words: str) -> None:
    assert words in refused(tmp_path, *flags)
    assert not (tmp_path / "key").exists()


def test_killed_at_any_moment_it_signs_no_second_view(tmp_path: Path) -> None:
    """Each time it is killed while two logs of one key want to be believed; what one was given, the other never is."""
    leaves = [[*GROWN.leaves[:8], *(bytes([side, number]) * 16 for number in range(200))] for side in (1, 2)]
    logs = [GrownLog(each, origin=GROWN.origin) for each in leaves]
    given: list[tuple[int, int]] = []

    async def press(settings: object, size: int) -> None:
        async def one_side(side: int) -> None:
            one = asking(settings, Reader(leaves=leaves[side]))  # type: ignore[arg-type]  # settings of a witness
            now = SignedNow(checkpoint=logs[side].checkpoint(size), note=logs[side].note(size), segment=0)
            await one.ask(now)
            if one.line(size) is not None:
                given.append((side, size))

        first = size % 2
        await asyncio.gather(one_side(first), one_side(1 - first))

    size = 8
    for pause in (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.02, 0.05):
        with our_witness(tmp_path) as running:
            size += 1

            async def pressed(
                settings: object = running.settings, size: int = size, pause: float = pause
            ) -> None:
                pressing = asyncio.create_task(press(settings, size))
                await asyncio.sleep(pause)
                running.process.kill()
                await pressing

            asyncio.run(pressed())
    with our_witness(tmp_path) as running:
        asyncio.run(press(running.settings, 100))
        kept = open_checkpoint(shown(running.settings.url), [running.settings.key]).checkpoint
    assert len({side for side, _ in given}) == 1
    side, last = given[-1]
    assert (last, kept) == (100, logs[side].checkpoint(100))


def test_a_witness_is_quick_to_end(tmp_path: Path) -> None:
    with our_witness(tmp_path) as running:
        began = time.monotonic()
        running.process.terminate()
        assert running.process.wait(SECONDS) == 0
        assert time.monotonic() - began < SECONDS


def test_a_log_with_two_faces_is_convicted_by_what_its_witness_shows(tmp_path: Path) -> None:
    """One face is shown to the witness. Whoever is shown the other one asks it, and has proof of fraud."""
    genuine = Genuine(tmp_path / "log", count=12, signed=(4, 9, 12))
    other = genuine.attacked(tmp_path / "other")
    edit_record(6, chained_anew=True, signed=True)(other)
    (tmp_path / "w").mkdir()
    with our_witness(tmp_path / "w") as running:
        answers = []
        for notes in (genuine.notes, other.notes):
            one = asking(running.settings)
            checkpoint = open_checkpoint(notes[12], TRUST.verifiers(LOG)).checkpoint
            asyncio.run(one.ask(SignedNow(checkpoint=checkpoint, note=notes[12], segment=0)))
            answers.append((one.line(12) is not None, one.conflict))
        assert answers == [(True, False), (False, True)]
        held = shown(running.settings.url)
        fraud = (tmp_path / "w" / "state" / f"{name_of(GROWN.origin)}.fraud").read_bytes()
    assert other.notes[12] in fraud
    trust = Trust(keys=TRUST.keys, witnesses=(Verifier.parse(running.settings.key.vkey),), quorum=1)
    report = verify_folder(tmp_path / "other", trust, [held])
    convicted = [finding for finding in report.faults if finding.kind is Kind.FRAUD]
    assert [len(finding.notes) for finding in convicted] == [2]
    assert {note.encode() for note in convicted[0].notes} == {held, other.notes[12]}
    assert verify_folder(tmp_path / "log", trust, [held]).faults == ()
    assert ed25519(ORIGIN).verifier.vkey == TRUST.keys[0].vkey
