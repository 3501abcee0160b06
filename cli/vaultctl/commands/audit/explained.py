# SPDX-License-Identifier: EUPL-1.2
"""One record, explained: who did what, by which rule or why not, from where, and what was hashed."""

from __future__ import annotations

from vaultctl.commands.audit.words import entity_of, is_biscuit, outcome_of, superseded_of, text_of, why_of
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vaultctl.commands.audit.words import Names, Record

_ENDS = {
    "success": "it was done",
    "denied": "it was refused",
    "failed": "it failed",
    "attempt": "not said here: the outcome is a record of its own, with the same request id",
    "notice": "the server says it of itself",
}
_BOUND = {"dpop": "bound to a key (DPoP)", "mtls": "bound to a client certificate"}
_HASH = "$h"


def explained(record: Record, names: Names) -> list[tuple[str, str]]:
    """Rows of what a record says; what it does not say has no row."""
    rows = [
        ("When", _when(record)),
        ("Who", _who(record, names)),
        ("With", _credential(record)),
        ("Did", _did(record)),
        ("Of", _resource(record)),
        ("Namespace", text_of(record, "tenant")),
        ("Outcome", _outcome(record)),
        ("Instead of", _instead(record)),
        *_reasons(record),
        ("From", _from(record)),
        ("Request", text_of(as_map(record.get("request")), "id") or text_of(record, "request.id")),
        ("Trace", text_of(record, "trace_id")),
        *_data(record),
        ("Record", f"{text_of(record, 'log')}:{text_of(record, 'seq')}"),
        (
            "After",
            f"the record with the hash {text_of(record, 'prev_hash')}" if record.get("seq") else "nothing",
        ),
    ]
    return [(name, text) for name, text in rows if text]


def _when(record: Record) -> str:
    time, appended = text_of(record, "timestamp"), text_of(record, "observed_timestamp")
    return f"{time}, recorded {appended}" if appended != time else time


def _who(record: Record, names: Names) -> str:
    actor = as_map(record.get("actor"))
    name, entity = text_of(actor, "id").removeprefix("accessor:"), entity_of(record)
    told = {
        "root": f"the holder of a root token, accessor {name}",
        "token": f"a {'Biscuit' if is_biscuit(record) else 'token'} without an entity, accessor {name}",
        "server": "the server itself",
        "anonymous": "nobody: no token was sent, or none that is valid",
    }.get(text_of(actor, "type"), "")
    if entity:
        told = ", ".join(filter(None, (f"entity {entity}", names(entity))))
    chain = ", ".join(str(one) for one in as_list(actor.get("chain")))
    return told + (f", for {chain}" if chain else "")


def _credential(record: Record) -> str:
    credential = as_map(record.get("credential"))
    kind, accessor = text_of(credential, "kind"), text_of(credential, "accessor")
    blocks = [str(one) for one in as_list(credential.get("blocks"))]
    parts = [
        f"{'a Biscuit' if is_biscuit(record) else f'a {kind} token'}, accessor {accessor}" if kind else "",
        _BOUND.get(text_of(credential, "bound"), ""),
    ]
    if blocks:
        parts.append(f"block{'s' if len(blocks) > 1 else ''} {', '.join(blocks)}")
    return ", ".join(part for part in parts if part)


def _did(record: Record) -> str:
    request = " ".join(filter(None, (text_of(record, "http.request.method"), text_of(record, "url.path"))))
    return f"{text_of(record, 'event_name')}" + (f": {request}" if request else "")


def _resource(record: Record) -> str:
    resource = as_map(record.get("resource"))
    version = text_of(resource, "version")
    name = " ".join(filter(None, (text_of(resource, "type"), text_of(resource, "id"))))
    return name + (f", version {version}" if version else "")


def _outcome(record: Record) -> str:
    outcome, status = outcome_of(record), text_of(record, "status_code")
    told = _ENDS.get(outcome, "")
    return outcome + (f": {told}" if told else "") + (f", status {status}" if status else "")


def _instead(record: Record) -> str:
    earlier = superseded_of(record)
    return f"{earlier}, which did not come about: its commit failed" if earlier else ""


def _reasons(record: Record) -> Iterator[tuple[str, str]]:
    """Why: the policies and rules that allowed it, or the reason of the refusal and the rule that decided."""
    policy = as_map(record.get("policy"))
    if policy.get("grant"):
        yield "Allowed by", why_of({"policy": {"grant": policy["grant"]}})
    if policy.get("reason"):
        yield "Why not", text_of(policy, "reason")
    if policy.get("by"):
        yield "Decided by", why_of({"policy": {"grant": policy["by"]}})
    yield "Error", text_of(record, "error_type")


def _from(record: Record) -> str:
    address, source = text_of(record, "client.address"), text_of(record, "client.address_source")
    return address + (", as a proxy said that is trusted" if source == "proxy" else "")


def _data(record: Record) -> Iterator[tuple[str, str]]:
    """What is said of the data of request and answer: hashes for values, and in clear what may be known."""
    fields = as_map(record.get("fields"))
    for name, title in (("request", "Request data"), ("response", "Answer data")):
        if name in fields:
            yield title, _told(fields[name])
    others = {name: value for name, value in fields.items() if name not in ("request", "response")}
    yield "Details", _told(others) if others else ""


def _told(value: object) -> str:
    """A value in words: hashed ones by how many there are, those in clear by name."""
    from vaultctl.text.json import compact

    hashed, clear = _count(value), _clear(value)
    parts = [compact(clear)] if clear not in ({}, [], None) else []
    if hashed:
        parts.append(f"{hashed} value{'s' if hashed > 1 else ''} hashed")
    omitted = text_of(as_map(value), "$omitted")
    return ", ".join(parts) if not omitted else f"{omitted} values, too many to be recorded one by one"


def _count(value: object) -> int:
    if isinstance(value, dict):
        return 1 if _HASH in value else sum(map(_count, value.values()))
    return sum(map(_count, value)) if isinstance(value, list) else 0


def _clear(value: object) -> object:
    """What is left without hashes, and without the names of members that are hashed."""
    if isinstance(value, dict):
        if _HASH in value:
            return None
        kept = {name: _clear(each) for name, each in value.items() if not name.startswith("$")}
        return {name: each for name, each in kept.items() if each not in (None, {}, [])}
    if isinstance(value, list):
        return [each for each in map(_clear, value) if each not in (None, {}, [])]
    return value
