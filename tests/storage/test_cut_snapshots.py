# SPDX-License-Identifier: EUPL-1.2
"""Backups and restores that are killed, encrypted and of either storage; and what they hold while others write: one commit."""

import asyncio
import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pyrage
import pytest

from tests.postgres import Cluster
from tests.storage.copies import make, silent
from tests.storage.copying import ROOT, backed_up, sealed
from tests.storage.cut_snapshots import Cuts
from tests.storage.stores import everything
from tests.storage.test_workplace import with_room
from vault.server.config.settings import StorageSettings
from vault.server.offline import archived
from vault.server.offline.backups import bring_back, save, verify
from vault.storage.copies import archive
from vault.storage.copies.encryption import recipients_of
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import LONG, Storage, StorageFailure
from vault.storage.sqlite.storage import SqliteStorage

_CUTS = 15
"""Moments that are tried in a run of all tests; `make soak` tries all."""
_PLACES = 150
"""Bits that are flipped in one; there all bytes are."""


class Bench:
    """A folder with a key, and storages of both kinds."""

    def __init__(self, folder: Path, postgres: Callable[[], Cluster]) -> None:
        self.folder, self._cluster, self._names = folder, postgres, list[str]()
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.identity = str(folder / "key.txt")
        Path(self.identity).write_text(f"{identity}\n")
        (folder / "made").mkdir()
        self.backup = str(folder / "made" / "b.age")

    def settings(self, kind: str, name: str = "vault.db") -> StorageSettings:
        """Return an empty storage."""
        if kind == "sqlite":
            return StorageSettings(kind=kind, path=str(self.folder / name))
        cluster = self._cluster()
        self._names.append(cluster.empty())
        address = cluster.address(self._names[-1])
        url = f"postgresql://{address.user}@/{address.database}?host={address.host}"
        return StorageSettings(kind=kind, connection_url=url)

    def open(self, settings: StorageSettings) -> Storage:
        if settings.is_file:
            return SqliteStorage.open(Path(settings.path))
        return PostgresStorage(self._cluster().address(settings.connection_url.split("/")[3].split("?")[0]))

    def held(self, settings: StorageSettings) -> Mapping[str, bytes | None]:
        async def read() -> Mapping[str, bytes | None]:
            storage = self.open(settings)
            try:
                return await everything(storage)
            finally:
                await storage.close()

        return asyncio.run(read())

    def cut(self, errand: str, storage: StorageSettings, count: int) -> list[int]:
        """Run an errand of `cut_snapshots`; return what it says."""
        cuts = Cuts(storage, self.backup, self.recipient, self.identity, count)
        done = subprocess.run(
            [sys.executable, "-m", "tests.storage.cut_snapshots", errand],
            cwd=ROOT,
            input=msgspec.json.encode(cuts),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return [int(number) for number in done.stdout.split()]

    def save(self, storage: StorageSettings) -> None:
        save(
            storage,
            self.backup,
            recipients=[self.recipient],
            recipients_file="",
            force=False,
            progress=silent,
        )

    def restore(self, storage: StorageSettings) -> None:
        bring_back(self.backup, storage, identity=self.identity, keep=False, dry_run=False, progress=silent)

    def tidy(self) -> None:
        for name in self._names:
            self._cluster().give_back(name)


@pytest.fixture
def bench(tmp_path: Path, postgres: Callable[[], Cluster]) -> Bench:
    return Bench(tmp_path, postgres)


def _fill(bench: Bench, settings: StorageSettings) -> None:
    async def write() -> None:
        storage = bench.open(settings)
        async with storage.write() as tx:
            for number in range(60):
                await tx.put(f"new/{number}", b"new" * 3000)
            await tx.put("new/long", b"x" * (2 * LONG))
        await storage.close()

    asyncio.run(write())


def _check_saves(bench: Bench, kind: str, count: int) -> None:
    storage = bench.settings(kind)
    _fill(bench, storage)
    tried, whole = bench.cut("saves", storage, count)
    assert count in (0, tried)
    assert whole < tried
    bench.tidy()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_encrypted_backup_that_is_killed_is_whole_or_not_there(bench: Bench, kind: str) -> None:
    _check_saves(bench, kind, _CUTS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_encrypted_backup_that_is_killed_at_any_moment_is_whole_or_not_there(
    bench: Bench, kind: str
) -> None:
    _check_saves(bench, kind, 0)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_that_has_no_room_is_not_begun(
    bench: Bench, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = bench.settings(kind)
    _fill(bench, storage)
    with_room(monkeypatch, 17 << 20)
    with pytest.raises(StorageFailure, match=r"17 MiB are free, and 1[89] MiB are needed: [23] MiB for"):
        bench.save(storage)
    assert list(Path(bench.backup).parent.iterdir()) == []
    with_room(monkeypatch, 64 << 20)
    bench.save(storage)
    bench.tidy()


def _check_restores(bench: Bench, count: int) -> None:
    make(bench.folder / "other.db", "new")
    backed_up(bench.folder / "other.db", bench.folder / "plain.db")
    sealed(bench.folder / "plain.db", Path(bench.backup), recipients_of([bench.recipient], ""))
    storage = bench.settings("sqlite")
    make(Path(storage.path), "old")
    tried, new = bench.cut("restores", storage, count)
    assert 0 <= new < tried


def test_the_restore_of_an_encrypted_one_that_is_killed_is_done_or_not_begun(bench: Bench) -> None:
    _check_restores(bench, _CUTS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_restore_of_an_encrypted_one_that_is_killed_at_any_moment_is_done_or_not_begun(
    bench: Bench,
) -> None:
    _check_restores(bench, 0)


def test_a_restore_into_postgresql_that_is_killed_leaves_it_empty_or_whole(bench: Bench) -> None:
    source = bench.settings("sqlite")
    _fill(bench, source)
    bench.save(source)
    wanted = bench.held(source)
    (moments,) = bench.cut("once", bench.settings("postgresql"), 0)
    assert moments > 50
    target, emptied = bench.settings("postgresql"), 0
    for moment in sorted(random.Random(21).sample(range(1, moments), 5)):
        bench.cut("once", target, moment)
        found = bench.held(target)
        if found:
            assert found == wanted
            target = bench.settings("postgresql")
        else:
            emptied += 1
    assert emptied > 0
    bench.restore(bench.settings("postgresql") if bench.held(target) else target)
    bench.tidy()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_archive_of_either_storage_comes_back(bench: Bench, kind: str) -> None:
    storage, there = bench.settings(kind), bench.settings("sqlite", "there.db")
    _fill(bench, storage)
    with open(bench.backup, "wb") as target:
        result = archived.make(storage, target)
        assert result.failure == ""
        target.write(archive.last_part(result.sums.encode()))
    bring_back(bench.backup, there, identity="", keep=False, dry_run=False, progress=silent)
    assert bench.held(there) == bench.held(storage)
    assert not list(bench.folder.glob("*.archive*"))
    bench.tidy()


def _digest(held: Mapping[str, bytes | None]) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(sorted(held.items()))).digest()


@pytest.mark.parametrize(("kind", "elsewhere"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_what_is_saved_under_writes_is_one_commit_entry_by_entry(
    bench: Bench, kind: str, elsewhere: str
) -> None:
    """Whoever writes keeps a digest of everything after each commit; what is restored has one of them."""
    storage = bench.settings(kind)
    commits: dict[bytes, int] = {}
    begun, stop = threading.Event(), threading.Event()

    async def write() -> None:
        chance, held = random.Random(21), dict[str, bytes | None]()
        opened = bench.open(storage)
        try:
            while not stop.is_set():
                changes = {f"a/{chance.randrange(150)}": chance.randbytes(200) for _ in range(6)}
                gone = [path for path in sorted(held) if chance.random() < 0.02 and path not in changes]
                async with opened.write() as tx:
                    for path, value in changes.items():
                        await tx.put(path, value)
                    for path in gone:
                        await tx.delete(path)
                held |= changes
                for path in gone:
                    del held[path]
                commits[_digest(held)] = len(commits)
                if len(commits) == 40:
                    begun.set()
        finally:
            await opened.close()

    writing = threading.Thread(target=asyncio.run, args=(write(),))
    writing.start()
    try:
        assert begun.wait(60)
        before = len(commits)
        bench.save(storage)
        after = len(commits)
    finally:
        stop.set()
        writing.join()
    assert after > before, "nobody waits for a backup"
    there = bench.settings(elsewhere, "there.db")
    bench.restore(there)
    number = commits[_digest(bench.held(there))]
    assert before - 1 <= number <= after
    bench.tidy()


def _check_flips(bench: Bench, places: Callable[[int], list[int]]) -> None:
    """Flip a bit at places of a small backup, as it lies and encrypted: each is refused."""
    storage = bench.settings("sqlite")

    async def write() -> None:
        opened = bench.open(storage)
        async with opened.write() as tx:
            await tx.put("a", b"a")
        await opened.close()

    asyncio.run(write())
    plain, bad = bench.folder / "plain.db", bench.folder / "made" / "bad"
    backed_up(Path(storage.path), plain)
    bench.save(storage)
    for whole, identity in ((plain.read_bytes(), ""), (Path(bench.backup).read_bytes(), bench.identity)):
        for place in places(len(whole)):
            bad.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
            given = identity if not identity or bad.read_bytes()[:22] == whole[:22] else ""
            with pytest.raises(StorageFailure):
                verify(str(bad), identity=given, progress=silent)
        bad.write_bytes(whole)
        verify(str(bad), identity=identity, progress=silent)


def test_a_flipped_bit_is_refused_wherever_it_is(bench: Bench) -> None:
    chance = random.Random(21)
    _check_flips(bench, lambda size: chance.sample(range(size), _PLACES))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_flipped_bit_in_any_byte_is_refused(bench: Bench) -> None:
    _check_flips(bench, lambda size: list(range(size)))
