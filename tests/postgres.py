# SPDX-License-Identifier: EUPL-1.2
"""A PostgreSQL of this run's own, which listens on a Unix socket in a temporary directory, and empty databases in it."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from vault.storage.postgres.administration import install
from vault.storage.postgres.connection import Address, Connection
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.protocol import StorageFailure
from vault.values.times import Millis

T = TypeVar("T")

OWNER = "owner"
_USER = "postgres"
"""Whom the server runs as, for it refuses to as root."""
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "jit": "off",
}
_RESET = """
    TRUNCATE coffre.entry, coffre.timer, coffre.change, coffre.done, coffre.node;
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backup%' LOOP
            EXECUTE 'DROP SCHEMA ' || name || ' CASCADE';
        END LOOP;
    END $$;
    UPDATE coffre.meta SET vault = gen_random_uuid();
"""
_TABLES = ("entry", "timer", "change")
PATIENCE = 60


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest release that is installed.

    `POSTGRES_BIN` names folders with those of another release, as `PATH` does.
    """
    named = os.environ.get("POSTGRES_BIN")
    if named:
        given = shutil.which(name, path=named)
        assert given is not None, f"there is no {name} in POSTGRES_BIN={named}"
        return given
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert found, f"PostgreSQL is not installed: there is no {name}; run `make system`"
    return str(found[-1])


def as_user(*command: str) -> list[str]:
    """Run something as nobody who matters, and end it with this process."""
    who = ["--reuid", _USER, "--regid", _USER, "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *who, "--pdeathsig", "SIGQUIT", *command]


def give_to_user(*paths: Path) -> None:
    """Let whom a server runs as have files of ours."""
    if os.geteuid() == 0:
        for path in paths:
            shutil.chown(path, _USER, _USER)


def _succeed(*command: str) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(
        as_user(*command), capture_output=True, text=True, check=False, cwd="/", env=environment
    )
    assert done.returncode == 0, done.stderr


class Untimed(PostgresStorage):
    """A storage that tells no time: it is for servers whose clock a test moves."""

    async def now(self) -> Millis | None:
        return None


class Lent(Untimed):
    """A storage that gives its database back when it is closed, to be emptied and used again."""

    def __init__(self, cluster: "Cluster", database: str) -> None:
        super().__init__(cluster.address(database))
        self._cluster, self.lent = cluster, database

    async def close(self) -> None:
        await super().close()
        if self.lent:
            lent, self.lent = self.lent, ""
            await asyncio.to_thread(self._cluster.give_back, lent)


class Cluster:
    """A server, and its databases: those that nobody uses any more are emptied and used again."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, *, disk: int = 0) -> None:
        self.folder = folder
        self._disk = disk
        self._settings = _SETTINGS | (settings or {})
        self._free: list[str] = []
        self._made = 0
        self._modelled = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connections: dict[str, Connection] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.pooler = ""
        """The directory of the socket by which storages reach it, if not its own."""

    def address(self, database: str, user: str = OWNER) -> Address:
        """Return how storages reach a database."""
        address = self.direct(database, user)
        return msgspec.structs.replace(address, host=self.pooler) if self.pooler else address

    def direct(self, database: str, user: str = OWNER) -> Address:
        """Return how a database is reached, whatever stands before it."""
        port = int(self._settings.get("port", "5432"))
        return Address(host=str(self.folder), port=port, user=user, database=database)

    def make(self) -> None:
        """Make the files of a server."""
        give_to_user(self.folder)
        _succeed(
            binary("initdb"), "--pgdata", str(self.folder / "data"), "--username", OWNER, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [binary("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *given]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._on_disk(as_user(*command)), stdout=log, stderr=log, cwd="/")
        until = time.monotonic() + PATIENCE
        while not self._answers():
            log_text = (self.folder / "log").read_text(errors="replace")
            assert self.process.poll() is None and time.monotonic() < until, log_text
            time.sleep(0.02)

    def _on_disk(self, command: list[str]) -> list[str]:
        """Run something where a small disk is mounted that nobody else sees."""
        if not self._disk:
            return command
        (self.folder / "small").mkdir()
        mount = f"mount -t tmpfs -o size={self._disk}m,mode=777 tmpfs {self.folder}/small"
        if os.geteuid() == 0:
            return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
        back = f"exec unshare --user --map-user={os.getuid()} --map-group={os.getgid()}"
        return [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            f'{mount} && {back} "$@"',
            "sh",
            *command,
        ]

    @property
    def small(self) -> Path:
        """The small disk, as the server sees it."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self.folder}/small")

    def _answers(self) -> bool:
        try:
            self.run("postgres", "SELECT")
        except StorageFailure:
            return False
        return True

    @contextmanager
    def standby(self) -> "Generator[Cluster]":
        """Start another server that follows this one."""
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        other = Cluster(folder, self._settings)
        try:
            give_to_user(folder)
            _succeed(
                binary("pg_basebackup"), "--pgdata", str(folder / "data"), "--host", str(self.folder),
                "--username", OWNER, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
            )  # fmt: skip
            other.start()
            yield other
        finally:
            other.close()
            shutil.rmtree(folder)

    def wait_for(self, standby: "Cluster") -> None:
        """Wait until a standby has all that this one has."""
        here = self._await(self._value("SELECT pg_current_wal_lsn()::text"))
        until = time.monotonic() + PATIENCE
        while not standby._await(standby._value(f"SELECT pg_last_wal_replay_lsn() >= '{here}'::pg_lsn")):
            assert time.monotonic() < until
            time.sleep(0.02)

    def synchronise(self) -> None:
        """Let commits wait for a standby from now on. It returns once the server has read that, as others of its processes do."""
        for statement in ("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"):
            self.run("postgres", statement)
        until = time.monotonic() + PATIENCE
        while self._await(self._value("SELECT current_setting('synchronous_standby_names')")) != "*":
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.2)  # each of its processes reads it when it comes to it, and tells nobody

    def promote(self) -> None:
        """Make a standby the primary. That can take a few seconds: it may be waiting for the one it followed."""
        assert self._await(self._value(f"SELECT pg_promote(wait_seconds => {PATIENCE})"))

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: at once, or as the signal says."""
        for connection in self._connections.values():
            self._loop.call_soon_threadsafe(connection.abort)
        self._connections.clear()
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it and all its processes as `kill -9` does."""
        assert self.process is not None
        children = self.children()
        self.stop(signal.SIGKILL)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}/stat").exists() for pid in children):
            assert time.monotonic() < until
            time.sleep(0.02)

    def children(self) -> list[int]:
        """The processes of a server that runs, beside its first."""
        assert self.process is not None
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(child) for child in text.split()]

    def backends(self) -> list[int]:
        """Those of them that serve a role of nodes."""
        found = []
        for pid in self.children():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split()
                if words[:2] == [b"postgres:", b"node"]:
                    found.append(pid)
        return found

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, database: str, script: str) -> None:
        """Run statements as the owner of everything."""
        self._await(self._run(database, script))

    def empty(self) -> str:
        """Return the name of a database that holds an empty vault."""
        if self._free:
            return self._free.pop()
        if not self._modelled:
            self.run("postgres", "CREATE DATABASE model")
            self._await(install(self.direct("model")))
            self._connections.pop("model", None)
            self._modelled = True
        self._made += 1
        self.run("postgres", f"CREATE DATABASE vault{self._made} TEMPLATE model")
        return f"vault{self._made}"

    def bare(self) -> str:
        """Return the name of a database with nothing in it."""
        self._made += 1
        self.run("postgres", f"CREATE DATABASE bare{self._made}")
        return f"bare{self._made}"

    def back_up(self, database: str) -> str:
        """Copy what a vault has committed; return what that is known by."""
        self._made += 1
        name = f"backup{self._made}"
        copies = "".join(f"CREATE TABLE {name}.{table} AS TABLE coffre.{table};" for table in _TABLES)
        self.run(database, f"CREATE SCHEMA {name}; {copies}")
        return name

    def restore(self, database: str, backup: str) -> None:
        """Put a copy in place under all who are connected, in one transaction, as `pg_restore --single-transaction` does."""
        exchanged = "".join(
            f"DELETE FROM coffre.{table}; INSERT INTO coffre.{table} TABLE {backup}.{table};"  # noqa: S608 - our own names
            for table in _TABLES
        )
        self.run(database, f"BEGIN; {exchanged} COMMIT")

    def give_back(self, database: str) -> None:
        """Empty a database that nobody is connected to any more."""
        self.run(database, _RESET)
        self._free.append(database)

    async def _value(self, query: str) -> object:
        await self._run("postgres", "SELECT")
        return (await self._connections["postgres"].row(query))[0]

    async def _run(self, database: str, script: str) -> None:
        if database not in self._connections or not self._connections[database].usable:
            self._connections[database] = await Connection.make(self.direct(database), PATIENCE)
        await self._connections[database].run(script)

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(PATIENCE)


def asked(patch: pytest.MonkeyPatch) -> list[str]:
    """Return what fills with the statements that connections make from now on, those of several rows apart."""
    statements: list[str] = []
    row = Connection.row

    def noted(
        connection: Connection, query: str, *values: object, patience: float | None = None
    ) -> Coroutine[Any, Any, Any]:
        statements.append(query)
        return row(connection, query, *values, patience=patience)

    patch.setattr(Connection, "row", noted)
    return statements


@contextmanager
def started(
    settings: dict[str, str] | None = None, *, rules: str = "", files: Sequence[Path] = (), disk: int = 0
) -> Generator[Cluster]:
    """Start a server of its own, and end it with everything that it stored.

    `rules` say who may connect how; of `files` it has copies, of which its settings give the names alone.
    Where there is a `disk`, it has so many megabytes, and is the tablespace `small`.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    cluster = Cluster(folder, settings, disk=disk)
    try:
        cluster.make()
        if rules:
            (folder / "data" / "pg_hba.conf").write_text(rules)
        for file in files:
            copied = Path(shutil.copy(file, folder / "data"))
            os.chmod(copied, 0o600)
            give_to_user(copied)
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder)
