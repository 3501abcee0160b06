# SPDX-License-Identifier: EUPL-1.2
"""A PgBouncer before a PostgreSQL of this run's own: each transaction gets one of few connections to it, which many share."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import OWNER, PATIENCE, as_user, give_to_user

SERVERS = 5
"""Connections to each database: two for each of two nodes that wait for the turn, and one by which whoever has it reads."""
_USERS = (OWNER, "node", "few", "hasty")


def _config(folder: Path, target: Path, more: str) -> str:
    """Write down a pooler in transaction mode as it comes, but for where it is, and `more`."""
    users = folder / "users"
    users.write_text("".join(f'"{user}" ""\n' for user in _USERS))
    return f"""
        [databases]
        * = host={target} port=5432
        [pgbouncer]
        unix_socket_dir = {folder}
        listen_addr =
        listen_port = 5432
        auth_type = trust
        auth_file = {users}
        pool_mode = transaction
        default_pool_size = {SERVERS}
        max_client_conn = 1000
        logfile = {folder}/log
        syslog = 0
        {more}
    """


@contextmanager
def pooler(target: Path, more: str = "") -> Generator[str]:
    """Start one before the socket in a directory; return the directory of its own. It ends with all connections that it has.

    `more` is a setting besides.
    """
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    assert program, "PgBouncer is not installed; run `make system`"
    folder = Path(tempfile.mkdtemp(prefix="pb-"))
    config = folder / "config"
    config.write_text("\n".join(line.strip() for line in _config(folder, target, more).splitlines()))
    give_to_user(folder, config, folder / "users")
    process = subprocess.Popen(
        as_user(program, "-q", str(config)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        until = time.monotonic() + PATIENCE
        while not (folder / ".s.PGSQL.5432").exists():
            said = (folder / "log").read_text() if (folder / "log").exists() else ""
            assert process.poll() is None and time.monotonic() < until, said
            time.sleep(0.02)
        yield str(folder)
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: others wait for clients
        process.wait(PATIENCE)
        shutil.rmtree(folder)
