# SPDX-License-Identifier: EUPL-1.2
"""A million entries: saved, encrypted, looked through and restored in memory that does not grow with them."""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pyrage
import pytest

from tests.storage.copies import make
from tests.storage.copying import ROOT
from vault.server.config.settings import StorageSettings

_MILLION = 1_000_000
_VALUE = 300
"""Bytes of a value: a small secret, sealed."""
_MOST_GROWTH = 1.5
"""How much more memory a million entries may take than a tenth of them."""
_PROGRAM = """
import json, sys
from vault.server.config.settings import StorageSettings
from vault.server.offline import backups
name, given, named = json.loads(sys.argv[1])
given = [StorageSettings(**one) if isinstance(one, dict) else one for one in given]
getattr(backups, name)(*given, **named, progress=lambda *_: None)
"""


def _fill(file: Path, entries: int) -> None:
    make(file, "old")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM entry")
        rows = ((f"ns/root/mnt/{number % 97}/{number:08}", os.urandom(_VALUE)) for number in range(entries))
        connection.executemany("INSERT INTO entry (path, value) VALUES (?, ?)", rows)


def _run(name: str, *given: object, **named: object) -> tuple[float, int]:
    """Run a function of the offline commands in a process of its own; return its seconds and its MiB."""
    line = json.dumps([name, given, named])
    began = time.monotonic()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-c", _PROGRAM, line], {**os.environ, "PYTHONPATH": str(ROOT)}
    )
    _, status, used = os.wait4(child, 0)
    assert status == 0
    return time.monotonic() - began, used.ru_maxrss // 1024


def _figures(folder: Path, entries: int) -> dict[str, tuple[float, int]]:
    folder.mkdir()
    _fill(folder / "vault.db", entries)
    identity = pyrage.x25519.Identity.generate()
    (folder / "key.txt").write_text(f"{identity}\n")
    database = msgspec.structs.asdict(StorageSettings(kind="sqlite", path=str(folder / "vault.db")))
    new = {**database, "path": str(folder / "new.db")}
    keys: Sequence[str] = [str(identity.to_public())]
    plain, encrypted = str(folder / "b.db"), str(folder / "b.age")
    how = {"recipients_file": "", "force": False}
    restore = {"identity": str(folder / "key.txt"), "keep": False, "dry_run": False}
    return {
        "save": _run("save", database, plain, recipients=[], **how),
        "save encrypted": _run("save", database, encrypted, recipients=keys, **how),
        "verify": _run("verify", plain, identity=""),
        "restore encrypted": _run("bring_back", encrypted, new, **restore),
    }


@pytest.mark.soak
def test_a_million_entries_take_no_more_memory_than_a_tenth_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = _figures(tmp_path / "small", _MILLION // 10), _figures(tmp_path / "large", _MILLION)
    with capsys.disabled():
        for name, (seconds, memory) in large.items():
            sys.stdout.write(
                f"\n{name}: {seconds:.1f} s, {memory} MiB; a tenth: {small[name][0]:.1f} s, {small[name][1]} MiB"
            )
    for name, (_, memory) in large.items():
        assert memory <= small[name][1] * _MOST_GROWTH, name
