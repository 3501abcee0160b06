# SPDX-License-Identifier: EUPL-1.2
"""crypto inventory: the keys that a server has in use, and what a profile says of them."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, EXIT_REMOTE
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, object]

_PATH = "sys/crypto/inventory"
_PAGE = "1000"
_DAY = 24 * 60 * 60
_WARNING = "warning"


def inventory(invocation: Invocation) -> int:
    """List the keys; exit code 2 where a profile warns of one."""
    profile = invocation.text("profile")
    rows = _read(invocation, profile)
    warned = [row for row in rows if as_map(row.get("check")).get("status") == _WARNING]
    if invocation.tabular:
        _show(invocation, rows, checked=bool(profile))
    else:
        invocation.print_value({"profile": profile, "inventory": rows})
    return EXIT_REMOTE if warned else EXIT_OK


def _read(invocation: Invocation, profile: str) -> Sequence[Row]:
    """Every page of the inventory, put together."""
    client = invocation.client_with(invocation.token, wrap=False)
    query: dict[str, str | list[str]] = {"limit": _PAGE}
    if profile:
        query["profile"] = profile
    rows: list[Row] = []
    while True:
        with ErrorPrefix("Error reading the crypto inventory"):
            data = as_map(client.send("GET", _PATH, query=query).json().get("data"))
        rows += [as_map(row) for row in as_list(data.get("inventory"))]
        after = str(data.get("next") or "")
        if not after or query.get("after") == after:
            return rows
        query["after"] = after


def _show(invocation: Invocation, rows: Sequence[Row], *, checked: bool) -> None:
    from vaultctl.text.output import columns

    head = ["Key", "Algorithm", "Bits", "State", "Origin", "Days", "PQ", *(["Check"] if checked else [])]
    invocation.say(columns([head, *(_cells(row, checked=checked) for row in rows)]))
    for row in rows:
        for finding in map(as_map, as_list(as_map(row.get("check")).get("findings"))):
            if finding.get("level") == _WARNING:
                source = finding.get("source")
                why = f"{finding.get('reason')}{f' ({source})' if source else ''}"
                invocation.warn(f"WARNING! {_name(row)}: {why}")


def _cells(row: Row, *, checked: bool) -> list[str]:
    age = row.get("age")
    days = str(age // _DAY) if isinstance(age, int) else ""
    bits = "" if row.get("bits") is None else str(row.get("bits"))
    facts = [str(row.get(name) or "") for name in ("algorithm", "state", "origin", "pq")]
    algorithm, state, origin, strength = facts
    status = [str(as_map(row.get("check")).get("status") or "")] if checked else []
    return [_name(row), algorithm, bits, state, origin, days, strength, *status]


def _name(row: Row) -> str:
    count = row.get("count")
    many = f" ({count})" if isinstance(count, int) and count > 1 else ""
    return f"{row.get('id')}{many}"
