# SPDX-License-Identifier: EUPL-1.2
"""The two servers of a move: the usual one, and the one that the `-from` flags name."""

from __future__ import annotations

import sys
import time

from vaultctl.body import read_file
from vaultctl.errors import EXIT_LOCAL, EXIT_OK, CommandError
from vaultctl.flags import environment_value
from vaultctl.http.client import Client
from vaultctl.http.settings import Settings
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from vaultctl.invocation import Invocation

_MOST_THREADS = 32


class Ends:
    """`with Ends(invocation) as ends:` has the servers, and closes their connections."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._open: list[Server] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._open:
            server.close()

    def usual(self) -> Server:
        """The server that -address and the environment name."""
        invocation = self._invocation
        if invocation.only_prints:
            raise CommandError("this command sends many requests: there is no one to print instead")
        settings = Settings(invocation.flags, invocation.environ, invocation.token)
        settings.wrap_ttl = ""
        invocation.sent_token = bool(invocation.token)
        return self._server(settings)

    def source(self) -> Server:
        """The server that -from names, with its own token. CommandError where there is none."""
        invocation = self._invocation
        address = invocation.text("from")
        if not address:
            raise CommandError("-from is needed: the address of the server that is moved from")
        flags = {
            name: invocation.text(f"from-{name}")
            for name in ("namespace", "ca-cert")
            if invocation.text(f"from-{name}")
        }
        settings = Settings({**flags, "address": address}, dict(self._environ()), self._token())
        settings.wrap_ttl = ""
        return self._server(settings)

    def _environ(self) -> Iterator[tuple[str, str]]:
        """The environment without what is said of the usual server."""
        for name, value in self._invocation.environ.items():
            if not name.startswith(("BAO_", "VAULT_")) or name.endswith(("CLIENT_TIMEOUT", "MAX_RETRIES")):
                yield name, value

    def _token(self) -> str:
        file = self._invocation.text("from-token-file")
        token = read_file(file).strip() if file else environment_value(self._invocation.environ, "FROM_TOKEN")
        if not token:
            raise CommandError("the source needs a token: give -from-token-file, or BAO_FROM_TOKEN")
        return token

    def _server(self, settings: Settings) -> Server:
        server = Server(lambda: Client(settings))
        self._open.append(server)
        return server


def threads(invocation: Invocation) -> int:
    """How many requests are made at once. CommandError for what is none or too many."""
    number = invocation.number("parallel")
    if number is not None and not 1 <= number <= _MOST_THREADS:
        raise CommandError(f"-parallel is a number from 1 to {_MOST_THREADS}")
    return number or 4


class Progress:
    """Says on stderr, now and then, how many entries were looked at."""

    def __init__(self, invocation: Invocation, what: str) -> None:
        self._invocation, self._what = invocation, what
        self._wanted = invocation.truth("progress") or invocation.stderr.isatty()
        self._last = time.monotonic()

    def __call__(self, number: int) -> None:
        """Say it, at most once in two seconds."""
        now = time.monotonic()
        if self._wanted and now - self._last >= 2:
            self._last = now
            self._invocation.warn(f"{self._what}: {number} entries")


def tell(invocation: Invocation, report: Report, *, good: bool) -> int:
    """Print the report; exit code 1 where something was refused, left or different."""
    document: Mapping[str, object] = report.document()
    if invocation.tabular:
        invocation.say(report.text())
    else:
        invocation.print_value(document)
    sys.stdout.flush()
    return EXIT_OK if good else EXIT_LOCAL
