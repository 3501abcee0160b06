# SPDX-License-Identifier: EUPL-1.2
"""What a record says, in words: how it ended, by which rule or why not, and what became of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vault.framework.fields import Json
from vault.ui.session.visit import objects, text, texts

Record = Mapping[str, Json]
ENDS: Final = {
    "success": "it was done",
    "denied": "it was refused",
    "failed": "it failed",
    "attempt": "the outcome is a record of its own, of the same request",
    "notice": "the server says it of itself",
}
"""What an outcome, or a phase without one, means."""
_NO_ENTITIES: Final = frozenset({"root", "token", "anonymous", "server", ""})
_KINDS: Final = {
    "root": "a root token",
    "token": "a token without an entity",
    "server": "the server itself",
    "anonymous": "nobody: no valid token was sent",
}
_DEEPEST: Final = 8
"""Objects within objects whose members are shown one by one."""


def within(record: Record, name: str) -> Record:
    """Return an object within a record; an empty one where there is none."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def outcome_of(record: Record) -> str:
    """Return how it ended; the phase where that is another record's."""
    return text(record, "outcome") or text(record, "phase")


def entity_of(record: Record) -> str:
    """Return the id of the entity that acted; empty where it was none."""
    actor = within(record, "actor")
    return "" if text(actor, "type") in _NO_ENTITIES else text(actor, "id")


def actor_of(record: Record, names: Mapping[str, str]) -> str:
    """Return who acted, by the name where that is known; without one an entity by its id, anything else by its kind."""
    actor = within(record, "actor")
    name, kind = text(actor, "id"), text(actor, "type")
    if name in names:
        return names[name]
    if entity_of(record):
        return name
    return "a Biscuit" if blocks_of(record) else _KINDS.get(kind, kind)


def actor_id(record: Record) -> str:
    """Return the id of who acted, as accessors are without what they begin with."""
    return text(within(record, "actor"), "id").removeprefix("accessor:")


def why_of(record: Record) -> str:
    """Return by which policies and rule it was allowed, or why it was refused and by which rule, or what went wrong."""
    policy = within(record, "policy")
    allowed = rules(policy, "grant")
    if allowed:
        return allowed
    reason, by = text(policy, "reason"), rules(policy, "by")
    if reason:
        return f"{reason} ({by})" if by else reason
    return text(record, "error_type").rpartition(":")[2].replace("-", " ")


def rules(policy: Record, name: str) -> str:
    """Return policies, each with its rule; a rule that several have is said once."""
    known: dict[str, list[str]] = {}
    more = ""
    for one in objects(policy, name):
        omitted = text(one, "$omitted")
        if omitted:
            more = f", and {omitted} policies more"
        else:
            known.setdefault(text(one, "rule"), []).append(text(one, "policy"))
    said = [f"{', '.join(names)}: {rule}" if rule else ", ".join(names) for rule, names in known.items()]
    return "; ".join(said) + more


def resource_of(record: Record) -> str:
    """Return what it was about, with the version where there is one."""
    found = within(record, "resource")
    name, version = text(found, "id"), text(found, "version")
    return f"{name}, version {version}" if version else name


def blocks_of(record: Record) -> list[str]:
    """Return the revocation ids of the credential's blocks, as it was issued first; none where it was no Biscuit."""
    return texts(within(record, "credential"), "blocks")


def sentence_of(record: Record, names: Mapping[str, str]) -> str:
    """Return what happened in one sentence."""
    resource, outcome, why = resource_of(record), outcome_of(record), why_of(record)
    did = f"{actor_of(record, names)} asked for {text(record, 'event_name')}"
    about = f" of {resource}" if resource else ""
    said = f"{did}{about}: {ENDS.get(outcome, outcome)}"
    if not why:
        return f"{said}."
    allowed = within(record, "policy").get("grant")
    return f"{said}, by the policy and rule {why}." if allowed else f"{said}: {why}."


def members(record: Record, above: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield all members with their values, those within others by both names; a list's by their place."""
    for name, value in record.items():
        path = f"{above}{name}"
        if isinstance(value, list):
            value = {str(number): one for number, one in enumerate(value)}
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from members(value, f"{path} → ", depth + 1)
        else:
            yield path, "true" if value is True else "false" if value is False else _plain(value)


def _plain(value: Json) -> str:
    return "—" if value in (None, "", {}) else str(value)
