# SPDX-License-Identifier: EUPL-1.2
"""Runs `vaultctl audit` against a server that has a log, and says what it shows."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.cli.log_server import LogServer
from vaultctl.main import run


class Shown(NamedTuple):
    """What one run has shown."""

    code: int
    stdout: str
    stderr: str


def shown(
    server: LogServer | None,
    words: Sequence[str],
    home: Path,
    *,
    text: str = "",
    namespace: str = "",
    stdout: TextIO | None = None,
    timeout: str = "60s",
) -> Shown:
    """Run `vaultctl audit` with these words."""
    address = server.address if server is not None else "http://127.0.0.1:1"
    environ = {"HOME": str(home), "BAO_ADDR": address, "BAO_TOKEN": "s.held", "BAO_MAX_RETRIES": "0"}
    environ["BAO_CLIENT_TIMEOUT"] = timeout
    if namespace:
        environ["BAO_NAMESPACE"] = namespace
    out, err = stdout or io.StringIO(), io.StringIO()
    code = run(["audit", *words], environ=environ, stdin=io.StringIO(text), stdout=out, stderr=err)
    return Shown(code, out.getvalue() if isinstance(out, io.StringIO) else "", err.getvalue())
