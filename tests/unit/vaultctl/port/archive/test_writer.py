# SPDX-License-Identifier: EUPL-1.2
"""An archive is read as it was written, in parts that nobody reads without the key; whatever is changed is refused."""

import subprocess
from pathlib import Path

import pyrage
import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import NAME, read_manifest
from vaultctl.port.archive.reader import ArchiveReader
from vaultctl.port.archive.signature import check, sign
from vaultctl.port.archive.writer import ArchiveWriter
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.journal import Journal

_SOURCE = {"version": "2.7.2", "identity": "one"}
_IDENTITY = pyrage.x25519.Identity.generate()
_ENTRIES = [
    Entry(Name("kv1", "", f"old/{n}"), {"mount": "old/", "value": f'{{"v":"s3cr3t-{n}"}}'}) for n in range(9)
]


def _item(entry: Entry) -> Item:
    return Item(entry.name, "mark", lambda: entry)


def _write(folder: Path, *, plain: bool = False, size: int = 300) -> None:
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, [] if plain else [_IDENTITY.to_public()], size=size)
    for entry in _ENTRIES:
        writer.put(_item(entry), entry)
    writer.finish(_SOURCE, base="", sign_key="")
    journal.close()


def _read(folder: Path) -> list[Entry | None]:
    reader = ArchiveReader(folder, [_IDENTITY])
    reader.check()
    return [item.load() for item in reader.items()]


def test_what_is_written_is_read_in_its_order_from_several_parts(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    assert _read(tmp_path / "a") == _ENTRIES
    manifest = read_manifest(tmp_path / "a")
    assert len(manifest.parts) > 2
    assert manifest.counts == {"kv1": 9}
    assert all(b"s3cr3t" not in file.read_bytes() for file in (tmp_path / "a").iterdir())


def test_one_that_was_ended_goes_on_behind_its_last_part(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for begin in (0, 4):
        journal = Journal(folder / "journal", {"source": "one"})
        writer = ArchiveWriter(folder, journal, [_IDENTITY.to_public()], size=1)
        for entry in _ENTRIES[begin : begin + 5]:
            if not journal.is_done(entry.name, "mark"):
                writer.put(_item(entry), entry)
        if begin:
            writer.finish(_SOURCE, base="", sign_key="")
        journal.close()
    assert _read(folder) == _ENTRIES


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
        list(ArchiveReader(tmp_path / "a", [pyrage.x25519.Identity.generate()]).items())
    with pytest.raises(CommandError, match="give the private key"):
        list(ArchiveReader(tmp_path / "a", []).items())
    with pytest.raises(CommandError, match="not encrypted"):
        ArchiveReader(tmp_path / "plain", [_IDENTITY])
    assert [item.load() for item in ArchiveReader(tmp_path / "plain", []).items()] == _ENTRIES


def test_only_an_allowed_signer_of_this_manifest_is_one(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    manifest = tmp_path / "a" / NAME
    for name in ("key", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        (tmp_path / f"{name}.signers").write_text(f"{name} {(tmp_path / f'{name}.pub').read_text()}")
    signers = str(tmp_path / "key.signers")
    with pytest.raises(CommandError, match="not signed"):
        check(manifest, signers)
    sign(manifest, str(tmp_path / "key"))
    assert check(manifest, signers).startswith("key (ED25519 key SHA256:")
    with pytest.raises(CommandError, match="no good signature"):
        check(manifest, str(tmp_path / "other.signers"))
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(CommandError, match="no good signature"):
        check(manifest, signers)


@pytest.mark.parametrize("path", ["../sys/mounts/x", "old/../../sys/x", "./old/x"])
def test_an_entry_that_leads_out_of_its_place_is_none(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    journal = Journal(folder / "journal", {"source": "one"})
    writer = ArchiveWriter(folder, journal, [])
    entry = Entry(Name("kv1", "", path), {"mount": "old/", "value": "{}"})
    writer.put(_item(entry), entry)
    writer.finish(_SOURCE, base="", sign_key="")
    journal.close()
    reader = ArchiveReader(folder, [])
    with pytest.raises(CommandError, match="no entry"):
        list(reader.items())
