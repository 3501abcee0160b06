# SPDX-License-Identifier: EUPL-1.2
"""Backups that are encrypted: they open to what was backed up with the right key, and to nothing with another one."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from msgspec.structs import replace

from tests.postgres import Cluster
from tests.storage.copies import ENTRIES, make, owned_by, words
from tests.storage.stores import everything
from vault.server.config.settings import StorageSettings
from vault.server.offline.backups import bring_back, inspect, save, verify
from vault.storage.copies import atomic_file, encryption
from vault.storage.copies.snapshot import Progress
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import LONG, Storage, StorageFailure, Timer
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.times import Millis


def quiet(_what: str, _hundredths: int) -> None:
    """Tell nobody how far it is."""


class Estate:
    """A database, and a key of age."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make(folder / "vault.db", "old")
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        (folder / "key.txt").write_text(f"# created: today\n# public key: {self.recipient}\n{identity}\n")
        self.identity = str(folder / "key.txt")
        self.backup = str(folder / "b.age")

    @property
    def storage(self) -> StorageSettings:
        return StorageSettings(kind="sqlite", path=str(self.folder / "vault.db"))

    def save(
        self, *recipients: str, file: str = "", force: bool = False, to: str = "", progress: Progress = quiet
    ) -> dict[str, object]:
        return save(
            self.storage,
            to or self.backup,
            recipients=recipients,
            recipients_file=file,
            force=force,
            progress=progress,
        )

    def restored(self, identity: str = "") -> set[str]:
        to = StorageSettings(kind="sqlite", path=str(self.folder / "new.db"))
        bring_back(
            self.backup, to, identity=identity or self.identity, keep=True, dry_run=False, progress=quiet
        )
        return words(self.folder / "new.db")

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def test_an_encrypted_backup_shows_nothing_and_comes_back(estate: Estate) -> None:
    before = estate.names()
    made = estate.save(estate.recipient)
    assert (made["encrypted"], made["entries"]) == (True, ENTRIES)
    assert estate.names() - before <= {"b.age", "vault.db-wal", "vault.db-shm"}
    whole = Path(estate.backup).read_bytes()
    assert whole.startswith(b"age-encryption.org/v1\n")
    assert b"old/1" not in whole
    assert b"SQLite" not in whole
    assert Path(estate.backup).stat().st_mode & 0o777 == 0o600
    for look in (inspect, verify):
        found = look(estate.backup, identity=estate.identity, progress=quiet)
        assert (found["encrypted"], found["entries"], found["epoch"]) == (True, ENTRIES, made["epoch"])
    assert estate.restored() == {"old"}


def test_any_of_several_recipients_opens_it(estate: Estate) -> None:
    other = pyrage.x25519.Identity.generate()
    (estate.folder / "other.txt").write_text(f"{other}\n")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(estate.folder / "ssh")], check=True
    )
    public = (estate.folder / "ssh.pub").read_text().strip()
    (estate.folder / "recipients").write_text(f"# ours\n{estate.recipient}\n\n{public}\n")
    estate.save(str(other.to_public()), file=str(estate.folder / "recipients"))
    for name in ("key.txt", "other.txt", "ssh"):
        found = verify(estate.backup, identity=str(estate.folder / name), progress=quiet)
        assert found["entries"] == ENTRIES


def test_another_program_of_the_format_opens_it(estate: Estate) -> None:
    estate.save(estate.recipient)
    text = (estate.folder / "key.txt").read_text().splitlines()[-1]
    plain = pyrage.decrypt(Path(estate.backup).read_bytes(), [pyrage.x25519.Identity.from_str(text)])
    (estate.folder / "plain.db").write_bytes(plain)
    assert verify(str(estate.folder / "plain.db"), identity="", progress=quiet)["entries"] == ENTRIES


def test_with_another_key_or_none_it_does_not_open(estate: Estate) -> None:
    estate.save(estate.recipient)
    (estate.folder / "other.txt").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(StorageFailure, match="encrypted to another key"):
        estate.restored(str(estate.folder / "other.txt"))
    with pytest.raises(StorageFailure, match="it is encrypted; give the private key's file with -identity"):
        inspect(estate.backup, identity="", progress=quiet)
    assert "new.db" not in estate.names()


def test_a_flipped_bit_anywhere_and_a_lacking_end_are_told(estate: Estate) -> None:
    estate.save(estate.recipient)
    whole = Path(estate.backup).read_bytes()
    places = [0, 30, 100, 170, 250, len(whole) // 2, len(whole) - 1]
    for bad in [
        *(_flipped(whole, place) for place in places),
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"x",
    ]:
        Path(estate.backup).write_bytes(bad)
        identity = estate.identity if bad[:22] == whole[:22] else ""
        with pytest.raises(StorageFailure, match=r"take another one|it does not open"):
            verify(estate.backup, identity=identity, progress=quiet)


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("recipients", "content", "told"),
    [
        (("age1none",), "", "-recipient number 1: this is no recipient; give age1"),
        (("",), "", "-recipient number 1: this is no recipient"),
        ((), "# none\n", "-recipients-file: no recipient is in it"),
        ((), "age1\n", "-recipients-file, line 1: this is no recipient"),
        ((), "x" * (65 << 10), "has more than 65536 bytes"),
        ((), "\udcff", "is no text"),
        (("age1none",) * 101, "", "there are 101 recipients; give 100 at most"),
    ],
)
def test_what_is_no_recipient_is_told_and_nothing_is_made(
    estate: Estate, recipients: tuple[str, ...], content: str, told: str
) -> None:
    before = estate.names()
    file = estate.folder.parent / "recipients"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(StorageFailure) as caught:
        estate.save(*recipients, file=str(file) if content else "")
    assert told in str(caught.value)
    assert "age1none" not in str(caught.value)
    assert estate.names() == before


@pytest.mark.parametrize(
    "content", ["", "AGE-SECRET-KEY-1NONE", "secret", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"]
)
def test_what_is_no_identity_is_told_without_what_it_is(estate: Estate, content: str) -> None:
    estate.save(estate.recipient)
    (estate.folder / "none").write_text(content)
    with pytest.raises(StorageFailure) as caught:
        estate.restored(str(estate.folder / "none"))
    assert str(caught.value).startswith("-identity: no private key is in it that can be used")
    assert "NONE" not in str(caught.value)


def test_an_identity_for_what_is_not_encrypted_is_refused(estate: Estate) -> None:
    estate.save()
    with pytest.raises(StorageFailure, match="it is not encrypted; leave -identity out"):
        verify(estate.backup, identity=estate.identity, progress=quiet)


def test_one_that_is_there_is_replaced_by_force_alone(estate: Estate) -> None:
    estate.save(estate.recipient)
    old = Path(estate.backup).read_bytes()
    with pytest.raises(StorageFailure, match="replace it with -force"):
        estate.save(estate.recipient)
    assert Path(estate.backup).read_bytes() == old
    estate.save(estate.recipient, force=True)
    assert Path(estate.backup).read_bytes() != old
    assert estate.restored() == {"old"}


def test_an_interruption_ends_it_and_leaves_nothing(estate: Estate) -> None:
    before = estate.names()

    def interrupt(what: str, _hundredths: int) -> None:
        if what == "encrypting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estate.save(estate.recipient, progress=interrupt)
    assert estate.names() - before <= {"vault.db-wal", "vault.db-shm"}


def test_no_other_backup_is_in_the_way_of_what_is_not_encrypted_yet(estate: Estate) -> None:
    """Nor is one taken for what a killed process left, and removed."""
    other = Path(f"{estate.backup}.plain")
    estate.save(to=str(other))
    before = other.read_bytes()
    estate.save(estate.recipient)
    assert other.read_bytes() == before


def test_root_acts_for_the_owner_of_the_directory_until_nothing_plain_is_left(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whose directory a link may lead anywhere (ADR 0026)."""
    now = {"user": 0, "group": 0}
    was: set[tuple[str, int, int]] = set()

    def noted(what: str) -> None:
        was.add((what, now["user"], now["group"]))

    def unlinked(file: Path, missing_ok: bool = False) -> None:
        if file.name.endswith(".plain.partial"):
            noted("removing")
        unlink(file, missing_ok)

    unlink = Path.unlink
    monkeypatch.setattr(os, "geteuid", lambda: now["user"])
    monkeypatch.setattr(os, "getegid", lambda: now["group"])
    monkeypatch.setattr(os, "seteuid", lambda user: now.update(user=user))
    monkeypatch.setattr(os, "setegid", lambda group: now.update(group=group))
    monkeypatch.setattr(os, "setgroups", lambda _: None)
    monkeypatch.setattr(os, "fstat", lambda handle: owned_by(now["user"], os.stat(handle)))
    monkeypatch.setattr(atomic_file, "owner_of", lambda _file: (27, 28))
    monkeypatch.setattr(Path, "unlink", unlinked)
    save(
        estate.storage,
        estate.backup,
        recipients=[estate.recipient],
        recipients_file="",
        force=False,
        progress=lambda what, _hundredths: noted(what),
    )
    assert {user for _, user, _ in was} == {27}, was
    assert {what for what, _, _ in was} == {"copying", "verifying", "encrypting", "removing"}
    assert now == {"user": 0, "group": 0}


def test_a_disk_that_holds_something_else_is_told(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    def flip(file: Path) -> None:
        if file.name.startswith("b.age"):
            file.write_bytes(_flipped(file.read_bytes(), 300))

    monkeypatch.setattr(encryption, "flush", flip)
    with pytest.raises(StorageFailure, match="the disk does not hold what was written"):
        estate.save(estate.recipient)
    assert "b.age" not in estate.names()


def test_a_dry_run_changes_nothing_and_tells_what_would_come(estate: Estate) -> None:
    estate.save(estate.recipient)
    make(estate.folder / "vault.db", "later")
    before = {path.name: path.read_bytes() for path in estate.folder.iterdir()}
    done = bring_back(
        estate.backup, estate.storage, identity=estate.identity, keep=True, dry_run=True, progress=quiet
    )
    assert (done["entries"], done["kept"]) == (ENTRIES, "")
    assert {path.name: path.read_bytes() for path in estate.folder.iterdir()} == before
    new = replace(estate.storage, path=str(estate.folder / "new.db"))
    bring_back(estate.backup, new, identity=estate.identity, keep=True, dry_run=True, progress=quiet)
    assert "new.db" not in estate.names()


def test_a_dry_run_is_refused_where_a_restore_would_be(estate: Estate) -> None:
    estate.save()
    close = _opened(estate.folder / "vault.db")
    try:
        with pytest.raises(StorageFailure, match="has it open"):
            bring_back(estate.backup, estate.storage, identity="", keep=True, dry_run=True, progress=quiet)
    finally:
        close()


def _opened(file: Path) -> Callable[[], None]:
    """Open a database as a server does; call what is returned to close it."""
    storage = SqliteStorage.open(file)
    return lambda: asyncio.run(storage.close())


def _settings(address: Address) -> StorageSettings:
    url = f"postgresql://{address.user}@/{address.database}?host={address.host}"
    return StorageSettings(kind="postgresql", connection_url=url)


async def _everything(address: Address | Path) -> dict[str, bytes | None]:
    storage: Storage = SqliteStorage.open(address) if isinstance(address, Path) else PostgresStorage(address)
    try:
        return await everything(storage)
    finally:
        await storage.close()


def test_postgresql_is_backed_up_while_it_is_written_to_and_restored_into_both_kinds(
    postgres: Callable[[], Cluster], estate: Estate
) -> None:
    cluster = postgres()
    names = [cluster.empty(), cluster.empty()]
    first, second = (cluster.address(name) for name in names)
    timer = Timer("k", "a", Millis(5))

    async def story() -> dict[str, object]:
        storage = PostgresStorage(first)
        try:
            async with storage.write() as tx:
                for number in range(200):
                    await tx.put(f"pair/{number}", b"0")
                await tx.put("long", b"x" * (2 * LONG))
                await tx.at(timer)
            stop = asyncio.Event()

            async def write() -> None:
                count = 0
                while not stop.is_set():
                    count += 1
                    async with storage.write() as tx:
                        await tx.put("pair/0", str(count).encode())
                        await tx.put("pair/199", str(count).encode())

            writer = asyncio.create_task(write())
            try:
                await asyncio.sleep(0.2)
                return await asyncio.to_thread(
                    save, _settings(first), estate.backup, recipients=[estate.recipient], recipients_file="", force=False,
                    progress=quiet,
                )  # fmt: skip
            finally:
                stop.set()
                await writer
        finally:
            await storage.close()

    made = asyncio.run(story())
    assert made["entries"] == 201
    to = StorageSettings(kind="sqlite", path=str(estate.folder / "new.db"))
    bring_back(estate.backup, to, identity=estate.identity, keep=True, dry_run=False, progress=quiet)
    found = asyncio.run(_everything(estate.folder / "new.db"))
    assert found["pair/0"] == found["pair/199"]
    assert found["pair/0"] != b"0"
    assert found["long"] == b"x" * (2 * LONG)
    there = _settings(second)
    for dry_run in (True, False):
        bring_back(estate.backup, there, identity=estate.identity, keep=True, dry_run=dry_run, progress=quiet)
    assert asyncio.run(_everything(second)) == found
    with pytest.raises(StorageFailure, match="there is something in it; name an empty database"):
        bring_back(estate.backup, there, identity=estate.identity, keep=True, dry_run=True, progress=quiet)
    for name in names:
        cluster.give_back(name)
