# SPDX-License-Identifier: EUPL-1.2
"""Follows one log by number, and makes sure of what comes: that none is missing, and that each names the one before it."""

from __future__ import annotations

import time
from base64 import b64encode
from hashlib import sha256

from vaultctl.commands.audit.marks import leaf
from vaultctl.commands.audit.pages import LARGEST_PAGE, place_of, read_line, read_page, record_of
from vaultctl.errors import EXIT_REMOTE, ApiError, CommandError
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vaultctl.commands.audit.pages import Page
    from vaultctl.http.client import Client

    Positions = dict[str, int]
    """By log the last number."""

_NOTHING = b64encode(sha256(b"").digest()).decode()
"""What the first record names as the one before it."""
_INDEXING = 10
"""Times that a record of a moment ago is asked for, a fifth of a second apart."""


class FollowedLog:
    """One log. A reader in a namespace follows the part of it that is the namespace's, by the numbers that this has."""

    def __init__(self, client: Client, log: str, after: int, *, tenant: bool, last: str = "") -> None:
        """Begin behind record `after`, -1 for all; `tenant` says that the numbers are a namespace's own.

        `last` is the hash of that record, where it is known.
        """
        self.log, self.after = log, after
        self.receipt = ""
        """Which record the last question has left."""
        self._client = client
        self._number, self._before = ("tenant_seq", "tenant_prev_hash") if tenant else ("seq", "prev_hash")
        self._last = _NOTHING if after < 0 else last
        """The hash of the last record; empty where it was not seen."""

    def page(self, wait: int = 0, most: int = LARGEST_PAGE) -> tuple[list[bytes], list[str]]:
        """The next records, and what is wrong with them; none where none came within `wait` seconds."""
        query: dict[str, str | list[str]] = {"log": self.log, "after": str(self.after), "limit": str(most)}
        if wait:
            query["wait"] = str(wait)
        try:
            page = read_page(self._client, query)
        except ApiError as refusal:
            return self._skip(_oldest(refusal), refusal, wait, most)
        self.receipt = page.receipt
        wrong: list[str] = []
        for line in page.lines:
            self._check(line, wrong)
        if page.next != self.after:
            wrong.append(
                f"{self.log}: the server goes on behind record {page.next}, and {self.after} was the last"
            )
        return page.lines, wrong

    def _skip(self, oldest: int, refusal: ApiError, wait: int, most: int) -> tuple[list[bytes], list[str]]:
        """Go on with the oldest record that there is: those before it were purged, which matters if some were read."""
        if oldest <= self.after + 1:
            raise refusal
        told = f"{self.log}: {_span(self.after + 1, oldest, 'was', 'were')} purged unread"
        begun, self.after, self._last = self.after >= 0, oldest - 1, ""
        lines, wrong = self.page(wait, most)
        return lines, [told, *wrong] if begun else wrong

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check(self, line: bytes, wrong: list[str]) -> None:
        record = record_of(line)
        number = record.get(self._number)
        if not isinstance(number, int) or record.get("log") != self.log:
            raise CommandError(f"{self.log}: the server's answer has a record of another log", EXIT_REMOTE)
        if number != self.after + 1:
            wrong.append(_missing(self.log, self.after + 1, number))
        elif self._last and record.get(self._before) != self._last:
            wrong.append(f"{self.log}: record {number - 1} is not the one that record {number} names")
        self.after = number
        self._last = leaf(line)


def line_at(client: Client, log: str, number: int) -> bytes | None:
    """One record by the number by which its log is followed: nothing where it is not there, None where it was purged."""
    try:
        page = read_page(client, {"log": log, "after": str(number - 1), "limit": "1"})
    except ApiError as refusal:
        if _oldest(refusal) > number:
            return None
        raise
    return next(iter(page.lines), b"")


def _missing(log: str, first: int, number: int) -> str:
    if number < first:
        return f"{log}: record {number} came after record {first - 1}"
    return f"{log}: {_span(first, number, 'is', 'are')} missing"


def _span(first: int, end: int, one: str, several: str) -> str:
    """How records are named, with the verb that fits."""
    return f"record {first} {one}" if end == first + 1 else f"records {first} to {end - 1} {several}"


def _oldest(refusal: ApiError) -> int:
    """The oldest record that a server still has, where it says so; -1 for another refusal."""
    before, _, number = " ".join(refusal.errors).rpartition(" is ")
    return int(number) if "oldest record" in before and number.isascii() and number.isdigit() else -1


def ends_of(client: Client, page: Page) -> tuple[Positions, bool]:
    """By log the last record that a search can find, and whether the numbers are those of the reader's namespace."""
    if not page.through:
        return {}, bool(client.namespace)
    if not as_map(next(iter(page.through.values()))):
        return {log: _number(number) for log, number in page.through.items()}, False
    tenant = _own_namespace(client, page)
    return {log: _number(as_map(numbers).get(tenant)) for log, numbers in page.through.items()}, True


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _own_namespace(client: Client, page: Page) -> str:
    """The id of the namespace that is asked: that of the record that the search itself has left."""
    place = place_of(page.receipt)
    for _ in range(_INDEXING):
        try:
            return str(record_of(read_line(client, place)).get("tenant"))
        except ApiError as refusal:
            if refusal.status != 404:
                raise
        time.sleep(0.2)
    raise CommandError("the server does not say which records are this namespace's: try again", EXIT_REMOTE)


def newest(logs: Iterable[str]) -> list[str]:
    """Those of the logs that may still grow: the last one of each process that writes."""
    found: dict[str, str] = {}
    for log in logs:
        writer = log.rpartition("-")[0]
        if writer not in found or epoch(log) > epoch(found[writer]):
            found[writer] = log
    return sorted(found.values())


def epoch(log: str) -> int:
    """Which of its writer's logs it is."""
    number = log.rpartition("-")[2]
    return int(number) if number.isdigit() else -1
