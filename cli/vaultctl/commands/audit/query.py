# SPDX-License-Identifier: EUPL-1.2
"""audit query: search the log."""

from __future__ import annotations

from vaultctl.commands.audit.filters import as_query, filters, times
from vaultctl.commands.audit.following import newest
from vaultctl.commands.audit.names import EntityNames
from vaultctl.commands.audit.pages import LARGEST_PAGE, client_of, damage_of, read_page, record_of
from vaultctl.commands.audit.words import HEADS, entity_of, no_names, row_of
from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.text.json import as_map, compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vaultctl.commands.audit.pages import Page
    from vaultctl.http.client import Client
    from vaultctl.invocation import Invocation

_USUAL = 100
"""Records that are shown unless another number is asked for."""


def query(invocation: Invocation) -> int:
    """Search the log, and show what fits."""
    client = client_of(invocation)
    asked = {
        **as_query(filters(invocation)),
        **times(invocation),
        "order": "asc" if invocation.truth("reverse") else "desc",
    }
    pages = _pages(client, asked, invocation.text("cursor"), _most(invocation))
    if invocation.form == "ndjson":
        return _print_lines(invocation, pages)
    found = list(pages)
    records = [record_of(line) for page in found for line in page.lines]
    names = EntityNames(client) if invocation.truth("names") else None
    if invocation.tabular:
        return _print_table(invocation, records, names, found[-1])
    shown: dict[str, object] = {"records": records, **_about(found[-1])}
    if names is not None:
        shown["names"] = _names_in(records, names)
    return invocation.print_value(shown)


def _most(invocation: Invocation) -> int | None:
    """How many records are wanted; None for all."""
    limit = invocation.number("limit")
    if invocation.truth("all"):
        if limit is not None:
            raise UsageError("-limit and -all exclude each other")
        return None
    if limit is not None and limit < 1:
        raise UsageError("invalid value for flag -limit: must be 1 or more")
    return _USUAL if limit is None else limit


def _pages(
    client: Client, asked: Mapping[str, str | list[str]], cursor: str, most: int | None
) -> Iterator[Page]:
    """Pages until there are no more, or enough; one that took too long ends it, unless all are wanted."""
    left = most
    query = {**asked, **({"cursor": cursor} if cursor else {})}
    while True:
        limit = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
        page = read_page(client, {**query, "limit": str(limit)})
        yield page
        late = not page.complete and (not page.damaged or len(page.lines) < limit)
        if left is not None:
            left -= len(page.lines)
        if not page.next or (left is not None and (left <= 0 or late)):
            return
        query = {name: value for name, value in query.items() if name not in ("from", "to")}
        query["cursor"] = str(page.next)


def _print_lines(invocation: Invocation, pages: Iterator[Page]) -> int:
    """Print records as they are in the log, and what is said of the last page: without that line, something was cut."""
    for page in pages:
        for line in page.lines:
            invocation.emit(line.decode())
    invocation.emit(compact({"$page": _about(page)}))
    return EXIT_OK


def _about(page: Page) -> dict[str, object]:
    about = {"complete": page.complete, "indexed_through": page.through, "next": page.next}
    return {**about, "damaged": page.damaged} if page.damaged else about


def _print_table(
    invocation: Invocation, records: Sequence[Mapping[str, object]], names: EntityNames | None, last: Page
) -> int:
    from vaultctl.text.output import columns

    rows = [row_of(record, names or no_names) for record in records]
    invocation.say(columns([HEADS, *rows]) if rows else "No record fits.")
    for log, first in sorted(last.damaged.items()):
        invocation.say(f"This may not be all that fits: {damage_of(log, first)}.")
    if not last.complete and not last.damaged:
        invocation.say("This is not all that fits: the search took longer than it may for one page.")
    if last.next:
        invocation.say(f"There are more: -cursor={last.next}")
    invocation.say(f"The index reaches through {_reached(last.through) or 'no record yet'}.")
    return EXIT_OK


def _reached(through: Mapping[str, object]) -> str:
    """The last record that a search can find, of each log that may still grow."""
    return ", ".join(_place(log, through[log]) for log in newest(through))


def _place(log: str, through: object) -> str:
    tenants = as_map(through)
    if not tenants:
        return f"{log}:{through}"
    return f"{log} ({', '.join(f'{number} of namespace {tenant}' for tenant, number in sorted(tenants.items()))})"


def _names_in(records: Sequence[Mapping[str, object]], names: EntityNames) -> dict[str, str]:
    for entity in filter(None, map(entity_of, records)):
        names(entity)
    return names.known
