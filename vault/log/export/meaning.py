# SPDX-License-Identifier: EUPL-1.2
"""What other forms ask of a record that it does not say itself: what was done, how serious it is, and its id."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Any, Final


class Action(Enum):
    """What is done to a resource."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    OTHER = "other"


class Severity(IntEnum):
    """How serious a record is."""

    INFO = 1
    WARN = 2
    """Denied, or failed by what the client asked."""
    ERROR = 3
    """Failed by the server."""


_VERBS: Final = {
    Action.CREATE: "create enable generate import init issue restore",
    Action.READ: (
        "backup capabilities checkpoint count decrypt encrypt explain export hash help hmac introspect list lookup preview prove query read scan"
        " schema sign status userinfo verify"
    ),
    Action.UPDATE: "approve demote lock merge move patch promote renew rewrap rotate tune undelete unlock write",
    Action.DELETE: "cancel delete destroy disable remove revoke tidy",
}
_BY_VERB: Final = {verb: action for action, verbs in _VERBS.items() for verb in verbs.split()}
_LONGEST_NAME: Final = 128
"""Characters of the longest name of an event that is looked into."""


def action(event_name: str) -> tuple[Action, str]:
    """Return what an event does, and the word of its name that says so: the last one known, else the last one.

    A write is an update, as the name of an event does not tell whether something was there before.
    """
    return _action(event_name) if len(event_name) <= _LONGEST_NAME else (Action.OTHER, "")


@lru_cache(maxsize=1024)
def _action(event_name: str) -> tuple[Action, str]:
    words = event_name.split(".")
    for word in reversed(words):
        found = _BY_VERB.get(word)
        if found is not None:
            return found, word
    return Action.OTHER, words[-1]


def severity(record: Mapping[str, Any]) -> Severity:
    """Return how serious a record is, by its outcome and status."""
    outcome = record.get("outcome")
    if outcome == "failed":
        status = record.get("status_code")
        return Severity.ERROR if isinstance(status, int) and status >= 500 else Severity.WARN
    return Severity.WARN if outcome == "denied" else Severity.INFO


def record_id(log: object, seq: object) -> str:
    """Return what a record is called everywhere: its log and its number."""
    return f"{log}:{seq}"


def said(record: Mapping[str, Any], *names: str) -> str:
    """Return the text in a member of a record, or in one within it; "" where there is none."""
    value: object = record
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
