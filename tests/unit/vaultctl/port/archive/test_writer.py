# SPDX-License-Identifier: EUPL-1.2
"""An archive is read as it was written, in parts that nobody reads without the key; whatever is changed is refused."""

import os
from pathlib import Path

import pyrage
import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import NAME, manifest_bytes, manifest_of
from vaultctl.port.archive.reader import ArchiveReader
from vaultctl.port.archive.sealing import Recipients, recipients
from vaultctl.port.archive.signature import signature_of
from vaultctl.port.archive.writer import ArchiveWriter
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.journal import Journal

_SOURCE = {"version": "2.7.2", "identity": "one"}
_IDENTITY = pyrage.x25519.Identity.generate()
_SEALING = recipients([str(_IDENTITY.to_public())], "")
_ENTRIES = [
    Entry(Name("kv1", "", f"old/{n}"), {"mount": "old/", "value": f'{{"v":"s3cr3t-{n}"}}'}) for n in range(9)
]


def _item(entry: Entry) -> Item:
    return Item(entry.name, "mark", lambda: entry)


def _write(folder: Path, *, plain: bool = False, size: int = 300) -> None:
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, Recipients() if plain else _SEALING, size=size)
    for entry in _ENTRIES:
        writer.put(_item(entry), entry)
    writer.finish(_SOURCE, base="", sign=None)
    journal.close()


def _reader(folder: Path, *identities: pyrage.x25519.Identity) -> ArchiveReader:
    return ArchiveReader(folder, manifest_bytes(folder), identities)


def _read(folder: Path) -> list[Entry | None]:
    reader = _reader(folder, _IDENTITY)
    reader.check()
    return [item.load() for item in reader.items()]


def test_what_is_written_is_read_in_its_order_from_several_parts(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    assert _read(tmp_path / "a") == _ENTRIES
    manifest = manifest_of(manifest_bytes(tmp_path / "a"), tmp_path)
    assert len(manifest.parts) > 2
    assert manifest.counts == {"kv1": 9}
    assert all(b"s3cr3t" not in file.read_bytes() for file in (tmp_path / "a").iterdir())


def test_one_that_was_ended_goes_on_behind_its_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for begin in (0, 4):
        journal = Journal(folder / "journal", {"source": "one"})
        writer = ArchiveWriter(folder, journal, _SEALING, size=1)
        for entry in _ENTRIES[begin : begin + 5]:
            if not journal.is_done(entry.name, "mark"):
                writer.put(_item(entry), entry)
        if begin:
            writer.finish(_SOURCE, base="", sign=None)
        journal.close()
    assert _read(folder) == _ENTRIES


def test_what_no_import_would_take_is_refused_and_large_entries_have_parts_of_their_own(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "journal", {"source": "one"})
    writer = ArchiveWriter(tmp_path, journal, Recipients(), size=300, longest=400)
    words = []
    for number, size in enumerate((10, 300, 340, 180, 180, 150)):
        entry = Entry(Name("kv1", "", f"old/{number}"), {"mount": "old/", "value": "x" * size})
        words.append(writer.put(_item(entry), entry).word)
    writer.finish(_SOURCE, base="", sign=None)
    assert words == ["written", "written", "refused", "written", "written", "written"]
    parts = _reader(tmp_path).manifest.parts
    assert [part.counts["kv1"] for part in parts] == [1, 1, 1, 1, 1]
    assert all(part.size <= 400 for part in parts)
    journal.close()


def test_a_part_that_changed_is_missing_or_is_another_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    part = tmp_path / "a" / "part-000002.age"
    content = part.read_bytes()
    for changed in (content[:-1], content + b"x", content[:40] + b"\0" + content[41:]):
        part.write_bytes(changed)
        with pytest.raises(CommandError, match="not what the manifest says"):
            _read(tmp_path / "a")
    part.unlink()
    with pytest.raises(CommandError, match="No such file"):
        _read(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kv1":9', b'"kv1":8'), (b'"base":""', b'"base": ""'), (b'"made"', b'"also"'), (b"archive/1", b"archive/2"),
        (b'"part-000001.age"', b'"../part-000001"'), (b'{"base"', b'{"also":1,"base"'),
    ],
)  # fmt: skip
def test_a_manifest_that_says_otherwise_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    _write(tmp_path / "a")
    manifest = tmp_path / "a" / NAME
    assert old in manifest.read_bytes()
    manifest.write_bytes(manifest.read_bytes().replace(old, new))
    with pytest.raises(CommandError):
        _read(tmp_path / "a")


def test_another_key_or_none_opens_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    _write(tmp_path / "plain", plain=True)
    with pytest.raises(CommandError, match="does not open"):
        list(_reader(tmp_path / "a", pyrage.x25519.Identity.generate()).items())
    with pytest.raises(CommandError, match="give the private key"):
        list(_reader(tmp_path / "a").items())
    with pytest.raises(CommandError, match="not encrypted"):
        _reader(tmp_path / "plain", _IDENTITY)
    assert [item.load() for item in _reader(tmp_path / "plain").items()] == _ENTRIES


def test_one_goes_on_only_where_what_was_written_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, _SEALING, size=1)
    writer.put(_item(_ENTRIES[0]), _ENTRIES[0])
    (folder / "part-000001.age").write_bytes(b"damaged")
    with pytest.raises(CommandError, match="damaged"):
        ArchiveWriter(folder, journal, _SEALING)
    journal.close()


def test_an_archive_that_cannot_be_signed_is_not_complete(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, _SEALING)
    writer.put(_item(_ENTRIES[0]), _ENTRIES[0])

    def refused(_manifest: bytes) -> bytes:
        raise CommandError("did not sign")

    with pytest.raises(CommandError, match="did not sign"):
        writer.finish(_SOURCE, base="", sign=refused)
    assert not (folder / NAME).exists()
    assert not signature_of(folder).exists()
    made = writer.finish(_SOURCE, base="", sign=lambda manifest: b"signed " + manifest)
    assert signature_of(folder).read_bytes() == b"signed " + manifest_bytes(folder)
    assert manifest_of(manifest_bytes(folder), folder) == made
    assert {"complete": made.digest} in journal.lines
    journal.close()


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_nothing_but_a_file_of_the_archive_is_read(tmp_path: Path, what: str) -> None:
    _write(tmp_path / "a")
    for name in ("part-000002.age", NAME):
        file = tmp_path / "a" / name
        content = file.read_bytes()
        file.unlink()
        if what == "link":
            (tmp_path / "elsewhere").write_bytes(content)
            file.symlink_to(tmp_path / "elsewhere")
        else:
            os.mkfifo(file)
        with pytest.raises(CommandError, match=r"it is a link|it is no file"):
            _read(tmp_path / "a")
        file.unlink()
        file.write_bytes(content)
    assert len(_read(tmp_path / "a")) == 9


@pytest.mark.parametrize("path", ["../sys/mounts/x", "old/../../sys/x", "./old/x"])
def test_an_entry_that_leads_out_of_its_place_is_none(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, Recipients())
    entry = Entry(Name("kv1", "", path), {"mount": "old/", "value": "{}"})
    writer.put(_item(entry), entry)
    writer.finish(_SOURCE, base="", sign=None)
    journal.close()
    reader = _reader(folder)
    with pytest.raises(CommandError, match="no entry"):
        list(reader.items())
