# SPDX-License-Identifier: EUPL-1.2
"""Which records are meant: what the flags say, as a search takes it, and as a tail compares it."""

from __future__ import annotations

from vaultctl.errors import UsageError
from vaultctl.flags import SECOND, parse_duration, parse_moment
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vaultctl.invocation import Invocation

FILTERS = (
    "event", "resource", "resource-type", "outcome", "phase", "actor", "credential", "policy", "rule",
    "client-address", "request-id", "trace-id",
)  # fmt: skip
_BY_PREFIX = ("event", "resource")
"""Filters whose values may end in a star."""
_ANY_PHASE = "any"
_PHASES = ["outcome", "notice"]
"""Without what calls left before they acted: their outcomes say all of it again."""
_MOST_SECONDS = 9_999_999
"""The longest time that a server takes as a length."""


def filters(invocation: Invocation) -> dict[str, list[str]]:
    """The values of each filter that was given; of phases those that say how it ended, unless others were."""
    found = {name: invocation.texts(name) for name in FILTERS if invocation.texts(name)}
    for name, values in found.items():
        if "" in values:
            raise UsageError(f"invalid value for flag -{name}: it is empty")
    phases = found.pop("phase", _PHASES)
    return found if _ANY_PHASE in phases else {**found, "phase": phases}


def as_query(asked: Mapping[str, list[str]]) -> dict[str, str | list[str]]:
    """Filters as parameters of a search."""
    return {
        name.removeprefix("client-").replace("-", "_"): ",".join(values) for name, values in asked.items()
    }


def times(invocation: Invocation) -> dict[str, str | list[str]]:
    """From when to when, as a search takes it. How long ago it began is left to the server's clock where that is all."""
    since, until = invocation.text("since"), invocation.text("until")
    found: dict[str, str | list[str]] = {}
    if since:
        found["from"] = _length(since) if not until and since[4:5] != "-" else parse_moment(since, "since")
    if until:
        found["to"] = parse_moment(until, "until")
    return found


def _length(text: str) -> str:
    """A length of time as servers take it; the time that it leads to where it is too long for them."""
    moment = parse_moment(text, "since")
    seconds = -(-abs(parse_duration(text, "since")) // SECOND)
    return f"{seconds}s" if seconds <= _MOST_SECONDS else moment


def matches(record: Mapping[str, object], asked: Mapping[str, list[str]]) -> bool:
    """Whether a record has one of the values of each filter."""
    return all(
        any(
            _fits(value, wanted, by_prefix=name in _BY_PREFIX)
            for value in _values(record, name)
            for wanted in values
        )
        for name, values in asked.items()
    )


def _fits(value: object, wanted: str, *, by_prefix: bool) -> bool:
    if by_prefix and wanted.endswith("*"):
        return isinstance(value, str) and value.startswith(wanted[:-1])
    return value == wanted


def _values(record: Mapping[str, object], name: str) -> Iterator[object]:
    """What a record has of a filter."""
    if name in _PATHS:
        member, _, inner = _PATHS[name].partition("/")
        yield as_map(record.get(member)).get(inner) if inner else record.get(member)
    elif name == "credential":
        credential = as_map(record.get("credential"))
        yield from (credential.get("accessor"), *as_list(credential.get("blocks")))
    else:
        policy = as_map(record.get("policy"))
        yield from (as_map(one).get(name) for part in ("grant", "by") for one in as_list(policy.get(part)))


_PATHS = {
    "event": "event_name",
    "resource": "resource/id",
    "resource-type": "resource/type",
    "outcome": "outcome",
    "phase": "phase",
    "actor": "actor/id",
    "client-address": "client.address",
    "request-id": "request.id",
    "trace-id": "trace_id",
}
"""Where a record has the one value of a filter: a member, or one of a member's own."""
