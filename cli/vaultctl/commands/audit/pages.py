# SPDX-License-Identifier: EUPL-1.2
"""How the server gives out records: pages of lines, each as it is in the log, the last of which says that the page is whole."""

from __future__ import annotations

from vaultctl.errors import EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import as_map, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client, Response
    from vaultctl.invocation import Invocation

RECORDS = "sys/log/records"
LARGEST_PAGE = 1000
"""Records that a server puts on one page, at most."""
_LINES = "application/x-ndjson"
_RECEIPT = 'log="'


class Page:
    """Records, and what is said of them. A search is over with a page that has no `next`."""

    __slots__ = ("complete", "damaged", "lines", "next", "receipt", "through")

    def __init__(self, response: Response) -> None:
        """CommandError for an answer that does not end as a whole page does."""
        lines = response.body.removesuffix(b"\n").split(b"\n")
        about = as_map(record_of(lines.pop()).get("$page")) if response.body.endswith(b"\n") else {}
        if not about:
            raise CommandError(
                "the server's answer was cut: its last line does not say that it is whole", EXIT_REMOTE
            )
        self.lines = lines
        self.complete = about.get("complete") is not False
        self.next = about.get("next")
        self.through = as_map(about.get("indexed_through"))
        """By log the last record that a search can find; in a namespace, by log and namespace."""
        self.damaged = as_map(about.get("damaged"))
        """By log that is damaged the first record that a search cannot find, nor any behind it."""
        self.receipt = response.header("Log-Receipt")


def damage_of(log: str, first: object) -> str:
    """What is said of a damaged log, of which `first` is the first record that is not found."""
    return f"{log}: nothing is read from record {first} on: that record, or the one before it, is not as it should be"


def client_of(invocation: Invocation) -> Client:
    """The client for a command that needs several answers, so that it asks for none of them to be wrapped."""
    return invocation.client_with(invocation.token, wrap=False)


def client_of_thread(invocation: Invocation) -> Client:
    """The same for a thread, which closes it: the invocation's own are closed while it may still wait."""
    from vaultctl.http.client import Client
    from vaultctl.http.settings import Settings

    settings = Settings(invocation.flags, invocation.environ, invocation.token)
    settings.wrap_ttl = ""
    return Client(settings)


def read_page(client: Client, query: Mapping[str, str | list[str]]) -> Page:
    """One page of records."""
    with ErrorPrefix(f"Error reading {RECORDS}"):
        return Page(client.send("GET", RECORDS, query=query, accept=_LINES))


def read_line(client: Client, place: tuple[str, int]) -> bytes:
    """One record, as it is in the log. ApiError with status 404 where there is none, or not yet."""
    path = f"{RECORDS}/{place[0]}/{place[1]}"
    with ErrorPrefix(f"Error reading {path}"):
        (line,) = Page(client.send("GET", path, accept=_LINES)).lines
    return line


def record_of(line: bytes) -> dict[str, object]:
    """What a line says. CommandError where it is no JSON."""
    try:
        return as_map(parse(line))
    except ValueError:
        raise CommandError("the server's answer has a line that is no record", EXIT_REMOTE) from None


def place_of(text: str) -> tuple[str, int]:
    """The log and the number that LOG:SEQ names, or a `Log-Receipt` as it was sent. UsageError for anything else."""
    if text.startswith(_RECEIPT):
        text = text.removeprefix(_RECEIPT).replace('", seq=', ":")
    log, _, number = text.strip().rpartition(":")
    if not (is_log(log) and number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError("a record is named LOG:SEQ, as `vaultctl audit query` shows it: 5f3a9c1e-0-0:48211")
    return log, int(number)


def is_log(text: str) -> bool:
    """Whether a log may be called so."""
    return len(text.split("-")) == 3 and text.replace("-", "").isalnum() and text.isascii()


def place_text(record: Mapping[str, object]) -> str:
    """Where a record is, as `place_of` reads it."""
    return f"{record.get('log')}:{record.get('seq')}"
