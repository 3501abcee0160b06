# SPDX-License-Identifier: EUPL-1.2
"""What a record says, in words: who, what, how it ended, and by which rule or why not."""

from __future__ import annotations

from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Record = Mapping[str, object]
    Names = Callable[[str], str]
    """Gives the name of an entity by its id; the empty string where that is not known."""

HEADS = ("Time", "Event", "Outcome", "Actor", "Resource", "By which rule, or why not", "Record")
_BISCUIT = "biscuit"
_NO_ENTITIES = ("root", "token", "anonymous", "server", "")
"""Types of actors that are no entities."""


def no_names(_: str) -> str:
    """Entities stay opaque."""
    return ""


def row_of(record: Record, names: Names) -> tuple[str, ...]:
    """The record as a row of a table."""
    return (
        time_of(record),
        text_of(record, "event_name"),
        outcome_of(record),
        actor_of(record, names),
        text_of(as_map(record.get("resource")), "id"),
        "; ".join(filter(None, (why_of(record), _instead_of(record)))),
        f"{text_of(record, 'log')}:{text_of(record, 'seq')}",
    )


def line_of(record: Record, names: Names) -> str:
    """The record on a line, as a tail shows it."""
    time, event, outcome, actor, resource, why, place = row_of(record, names)
    because = f" ({why})" if why else ""
    return " ".join(part for part in (time, place, event, outcome, actor, resource) if part) + because


def text_of(found: Mapping[str, object], name: str) -> str:
    """A text or a number; the empty string where there is none."""
    value = found.get(name)
    return "" if value is None or isinstance(value, (bool, list, dict)) else str(value)


def time_of(record: Record) -> str:
    """When it was, to the second."""
    return f"{text_of(record, 'timestamp')[:19]}Z"


def outcome_of(record: Record) -> str:
    """How it ended; `attempt` where that is another record's."""
    return text_of(record, "outcome") or text_of(record, "phase")


def entity_of(record: Record) -> str:
    """The id of the entity that acted; the empty string where it was none."""
    actor = as_map(record.get("actor"))
    return text_of(actor, "id") if text_of(actor, "type") not in _NO_ENTITIES else ""


def actor_of(record: Record, names: Names) -> str:
    """Who acted: by name where that is known, else by id; a credential without an entity by its kind and accessor."""
    actor = as_map(record.get("actor"))
    kind, name = text_of(actor, "type"), text_of(actor, "id")
    if entity_of(record):
        return names(name) or name
    return f"{'Biscuit' if is_biscuit(record) else kind} {name.removeprefix('accessor:')}".strip()


def is_biscuit(record: Record) -> bool:
    """Whether a Biscuit was presented. Where it has no entity, the actor's type is that of a token in a record."""
    return text_of(as_map(record.get("credential")), "kind") == _BISCUIT


def why_of(record: Record) -> str:
    """By which policies and rule it was allowed; else why it was refused, or what went wrong, and by which rule."""
    policy = as_map(record.get("policy"))
    rules = _rules(policy.get("grant")) or _rules(policy.get("by"))
    reason = text_of(policy, "reason") or text_of(record, "error_type").rpartition(":")[2].replace("-", " ")
    return f"{reason} ({rules})" if reason and rules else reason or rules


def superseded_of(record: Record) -> str:
    """The record whose place this one takes, as LOG:SEQ; the empty string where it is none."""
    earlier = record.get("supersedes")
    return f"{text_of(record, 'log')}:{earlier}" if isinstance(earlier, int) else ""


def _instead_of(record: Record) -> str:
    earlier = superseded_of(record)
    return f"instead of {earlier}" if earlier else ""


def _rules(value: object) -> str:
    """Policies, each with its rule; a rule that several have is said once."""
    policies: dict[str, list[str]] = {}
    more = ""
    for one in map(as_map, as_list(value)):
        if text_of(one, "$omitted"):
            more = f", and {text_of(one, '$omitted')} policies more"
        else:
            policies.setdefault(text_of(one, "rule"), []).append(text_of(one, "policy"))
    told = [f"{', '.join(names)}: {rule}" if rule else ", ".join(names) for rule, names in policies.items()]
    return "; ".join(told) + more
