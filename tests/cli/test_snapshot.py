# SPDX-License-Identifier: EUPL-1.2
"""`operator snapshot` as it is typed, and as docs/operations.md prints them."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyrage import x25519

from tests.house.tree import ROOT
from tests.storage.copies import ENTRIES, make, words
from tests.storage.copying import DIGEST
from vault.server.config.files import load
from vault.server.offline.scheduled import make as make_backup
from vault.server.snapshots.messages import Task
from vault.values.times import Millis
from vaultctl.main import run

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Terminal(io.StringIO):
    """Takes what would be shown."""

    def isatty(self) -> bool:
        return True


def typed(
    *line: str | Path, environ: dict[str, str] | None = None, terminal: bool = False
) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it wrote."""
    stdout, stderr = io.StringIO(), Terminal() if terminal else io.StringIO()
    argv = ["operator", "snapshot", *map(str, line)]
    code = run(argv, environ=environ or {}, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database and its configuration."""
    make(tmp_path / "vault.db", "old")
    configuration = (
        f'storage "sqlite" {{ path = "{tmp_path}/vault.db" }}\nlistener "tcp" {{ tls_disable = true }}\n'
    )
    (tmp_path / "server.hcl").write_text(configuration)
    return tmp_path


def test_there_and_back(place: Path) -> None:
    code, out, err = typed("save", f"-config={place}/server.hcl", place / "b.db")
    assert (code, err) == (0, "")
    assert re.search(rf"^entries +{ENTRIES}$", out, re.MULTILINE)
    make(place / "vault.db", "later")
    code, out, err = typed("restore", f"-config={place}/server.hcl", place / "b.db")
    assert code == 0
    assert f"kept        {place}/vault.db.replaced-1\n" in out
    assert "is valid again until it expires" in err
    assert "shares, or the key slots, that were valid when the backup was made" in err
    assert words(place / "vault.db") == {"old"}


def test_for_programs(place: Path) -> None:
    code, out, err = typed("save", f"-database={place}/vault.db", "-format=json", place / "b.db")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["epoch"] > 0
    assert made == {
        "backup": f"{place}/b.db",
        "encrypted": False,
        "schema": made["schema"],
        "epoch": made["epoch"],
        "entries": ENTRIES,
        "timers": 0,
        "bytes": (place / "b.db").stat().st_size - DIGEST,
    }
    code, out, err = typed("restore", f"-database={place}/new.db", "-format=json", "-discard", place / "b.db")
    assert (code, err) == (0, "")
    done = json.loads(out)
    assert (done["kept"], done["entries"]) == ("", ENTRIES)
    assert "Revoke and delete it again" in done["warnings"][0]


def test_how_far_it_is(place: Path) -> None:
    where = f"-database={place}/vault.db"
    _, _, shown = typed("save", where, place / "1.db", terminal=True)
    assert shown.endswith("copying: 100 %\nverifying:   0 %\rverifying: 100 %\n")
    _, _, shown = typed("save", where, "-progress", place / "2.db")
    assert "\r" not in shown
    assert shown.splitlines()[-1] == "verifying: 100 %"
    _, _, shown = typed("restore", where, "-progress", place / "2.db")
    assert "keeping what was there: 100 %\n" in shown
    assert "restoring: 100 %\n" in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("verb", ["save", "restore"])
def test_a_signal_ends_it_and_nothing_half_written_is_left(
    place: Path, monkeypatch: pytest.MonkeyPatch, verb: str, number: signal.Signals
) -> None:
    where = f"-database={place}/vault.db"
    assert typed("save", where, place / "whole.db")[0] == 0
    before = {file.name for file in place.iterdir()}
    taken: list[Path] = []

    def interrupted(_fsync: int) -> None:
        taken.extend(place.glob("*.partial"))
        os.kill(os.getpid(), number)

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as caught:
        typed(verb, where, place / ("b.db" if verb == "save" else "whole.db"))
    if isinstance(caught.value, SystemExit):
        assert caught.value.code == 128 + number
    assert taken
    assert {file.name for file in place.iterdir()} - before <= {"vault.db-wal", "vault.db-shm"}
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("save b.db", "with -config, or its database file with -database"),
        ("save -config=HERE/server.hcl -database=HERE/vault.db b.db", "not both"),
        ("save -config=HERE/memory.hcl b.db", "ends with its server"),
        ("save -config=HERE/none.hcl b.db", "cannot be read"),
        ("save -database=HERE/none.db HERE/b.db", "no such database"),
        ("save -database=HERE/vault.db HERE/vault.db", "this is the database itself"),
        ("restore -database=HERE/vault.db HERE/none.db", "no such file"),
        ("restore -database=HERE/vault.db HERE/server.hcl", "no backup of a vault"),
        ("save -database=HERE/LONG HERE/b.db", "File name too long"),
        ("save -database=HERE/vault.db HERE/LONG", "File name too long"),
        ("restore -database=HERE/LONG HERE/vault.db", "File name too long"),
        ("restore -database=HERE/vault.db HERE/LONG", "File name too long"),
        ("save -database=HERE/vault.db -", "not written to standard output"),
        ("save -database=HERE/vault.db", "Not enough arguments"),
    ],
)
def test_what_is_refused(place: Path, line: str, told: str) -> None:
    (place / "memory.hcl").write_text('storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n')
    code, out, err = typed(*line.replace("HERE", str(place)).replace("LONG", "x" * 300).split())
    assert (code, out) == (1, "")
    assert told in err


def test_the_configuration_may_come_from_the_environment(place: Path) -> None:
    environ = {"VAULT_CONFIG_PATH": f"{place}/server.hcl"}
    code, _, err = typed("save", place / "b.db", environ=environ)
    assert (code, err) == (0, "")


def section(name: str, language: str) -> list[str]:
    """The blocks of one language in a section of the operators' guide."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {name}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return [block for kind, block in _BLOCK.findall(body) if kind == language]


def as_printed(place: Path, script: str) -> None:
    """Run a script of the guide, with the folder in the place of those of a real server."""
    for folder in ("/etc/coffre/config.hcl", "/backup"):
        script = script.replace(folder, f"{place}/{Path(folder).name}")
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        env={"PATH": programs, "HOME": str(place), "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_guide_does_what_it_says(place: Path) -> None:
    (place / "server.hcl").rename(place / "config.hcl")
    by_hand, *_ = section("Back up", "sh")
    as_printed(place, by_hand)
    (made,) = (place / "backup").iterdir()
    assert words(made) == {"old"}
    make(place / "vault.db", "later")
    restoring = [
        line
        for line in section("Restore", "sh")[0].splitlines()
        if line.startswith("vaultctl operator snapshot restore")
    ]
    as_printed(place, restoring[0].replace("coffre-20261128T023000Z.db", made.name))
    assert words(place / "vault.db") == {"old"}


def test_the_schedules_of_the_guide_do_what_it_says(place: Path) -> None:
    (stanzas,) = section("Back up", "hcl")
    key = x25519.Identity.generate()
    (place / "recipients").write_text(f"{key.to_public()}\n")
    (place / "backup").mkdir(mode=0o700)
    stanzas = stanzas.replace("/var/lib/coffre/backups", f"{place}/backup")
    stanzas = stanzas.replace("/etc/coffre/backup.recipients", f"{place}/recipients")
    (place / "snapshots.hcl").write_text(stanzas)
    config = load([str(place / "server.hcl"), str(place / "snapshots.hcl")], {})
    assert config.warnings == ()
    nightly, away = config.snapshots
    assert (nightly.keep, away.prefix) == (30, "prod/")
    outcome = make_backup(Task(storage=config.storage, snapshot=nightly, begun=Millis(1_796_005_800_000)))
    assert outcome.name == "nightly-20261130T023000Z.age"
    assert (place / "backup" / outcome.name).exists()
    (place / "nightly.hcl").write_text(stanzas.partition('snapshot "s3"')[0])
    line = ("list", f"-config={place}/server.hcl", f"-config={place}/nightly.hcl")
    code, out, err = typed(*line)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].split() == ["nightly", outcome.name, str(outcome.size)]
    code, out, _ = typed(*line, "-format=json")
    assert json.loads(out) == [{"schedule": "nightly", "backup": outcome.name, "size": outcome.size}]


def test_without_a_configuration_or_its_directory_nothing_is_listed(place: Path) -> None:
    assert typed("list")[0] == 1
    (place / "more.hcl").write_text(f'snapshot "directory" "n" {{ path = "{place}/none" }}\n')
    code, out, err = typed("list", f"-config={place}/server.hcl", f"-config={place}/more.hcl")
    assert (code, out) == (1, "")
    assert "No such file or directory" in err
