# SPDX-License-Identifier: EUPL-1.2
"""Records of requests: who did what to which resource, by which rule, and how it ended.

A call that changes nothing before its answer is recorded leaves one record, its outcome. Any other leaves an attempt
before it acts, and its outcome, which says all that the attempt does. What callers and paths have in common from call to
call is encoded once.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from vault.cache.follow import BoundedCache
from vault.framework import schema
from vault.framework.call import Call, Decision, Identity, MountFacts
from vault.framework.clock import rfc3339_whole
from vault.framework.errors import Forbidden, Unauthenticated, VaultError, problem_type
from vault.framework.reply import Auth, Reply, WrapInfo
from vault.framework.request.record import CallRecord
from vault.log.draft import NO_FRAME, NO_TRACE, Draft, Frame
from vault.log.events import event_name, resource
from vault.log.format.tree import begin_leaf
from vault.log.schema import SCHEMA
from vault.log.values import LOG_VALUES, OmittedValues, ValueHasher, Values
from vault.values.times import Nanos

LARGEST: Final = 65_535
"""Bytes of the longest record (LOG-012, and the entries of C2SP tlog-tiles)."""
_CHAINED: Final = 2048
"""Bytes of what is in no place and no fields, at most: what the log adds, ids, times, names of events."""
_CACHED: Final = 4096
"""Entries of each cache."""
_LONGEST_KEPT: Final = 4096
"""Bytes of the longest encoded answer in the cache."""
_LONGEST_PATH: Final = 512
"""Characters of the longest path whose encoded part is cached."""
_TRACE: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
_LONGEST_TRACE: Final = 256
_SCHEMA: Final = b'},"schema":"%b","seq":' % SCHEMA.encode()
"""What ends a resource, and follows it."""
_LAST: Final = b'"prev_hash":"'
"""What ends a decision."""
_DENIAL: Final = b'"outcome":"denied","phase":"outcome",'
_FAILURE: Final = b'"outcome":"failed","phase":"outcome",'
_VERSIONED: Final = "kv.secret"
"""The type of resources that have versions."""
_MOST_POLICIES: Final = 32
"""Policies that one record names; of more, it tells how many."""
_MOST_RULES: Final = 16 << 10
"""Bytes of the policies that one record names, with their rules."""
_LONGEST_NAME: Final = 6 << 10
"""Bytes of the longest path in clear, as encoded. What is stored has a shorter one; a request may ask for any."""
_CREDENTIAL: Final = re.compile(
    r"(?<![^/])(?:s\.[0-9A-Za-z]{24}|b\.[0-9A-Za-z_-]{32}|biscuit:[0-9A-Za-z_-]{32})[^/]*"
)
"""What looks like a credential of a vault, as a whole part of a path: who calls by mistake may put one there."""
_OMITTED: Final = OmittedValues()
_DENIED: Final = (Forbidden, Unauthenticated)

_encode: Final = msgspec.json.Encoder(order="sorted").encode
"""Encodes in the form of RFC 8785 what has no floats and no names beyond ASCII."""


class _Place(msgspec.Struct, kw_only=True):
    """The encoded parts that a caller's records of one path have in common, with what they are valid for."""

    mark: object
    decision: Decision | None
    mount: MountFacts
    actor: bytes
    """With the brace that opens the record."""
    credential: bytes
    event: bytes
    policy: bytes
    success: bytes
    """The decision of an outcome that went well."""
    resource: bytes
    """Up to where the version would be."""
    versioned: bool
    tenant: bytes
    namespace: str
    """The tenant, as it is called."""
    path: bytes
    size: int
    """Bytes of all these."""
    alike: Hashable = None
    """What tells the answer that came last from others, where it may come again."""
    frame: Frame = NO_FRAME
    """What the records of that answer have in common."""


class Chain(Protocol):
    """Gives each record its place in the log; see `vault.log.chain.Chain`."""

    @property
    def seq(self) -> int:
        """The number of the next record."""
        ...

    def append(self, draft: Draft) -> bytes:
        """Return a record as its line, with its line break."""
        ...


class LogRenderer:
    """Turns calls and replies into the records of one log."""

    def __init__(self, log: str, chain: Chain, status: Mapping[type[VaultError], int]) -> None:
        """`log` is the id of the log, `chain` its end; `status` is the HTTP status of each kind of refusal."""
        self._receipt = b'log="%b", seq=' % log.encode()
        self._chain, self._status = chain, status
        self.use(None)

    def use(self, hasher: ValueHasher | None) -> None:
        """Hash values with this key from now on, None while sealed: then they are left out. Nothing of before is reused."""
        self.hasher = hasher
        self._places: BoundedCache[tuple[str, str, str], _Place] = BoundedCache(_CACHED)
        self._answers: BoundedCache[tuple[MountFacts, object], bytes] = BoundedCache(_CACHED)

    def exchange(
        self,
        call: Call,
        reply: Reply[object] | None,
        times: tuple[Nanos, Nanos],
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the one record of a call that changed nothing before."""
        del headers
        return self._outcome(call, reply, times[0], error)

    def request(self, call: Call, now: Nanos, headers: Mapping[str, bool], error: VaultError | None) -> bytes:
        """Return the attempt, before anything is done; nothing for a call that is refused, whose outcome says all."""
        del headers
        if error is not None:
            return b""
        place = self._place(call)
        frame = self._frame(
            call, place, b'"phase":"attempt",%b%b' % (place.policy, _LAST), self._fields(call, None)
        )
        return self._append(call, frame, now)

    def response(
        self,
        call: Call,
        reply: Reply[object] | None,
        now: Nanos,
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the outcome, before the answer leaves."""
        del headers
        return self._outcome(call, reply, now, error)

    def _outcome(
        self, call: Call, reply: Reply[object] | None, now: Nanos, error: VaultError | None
    ) -> bytes:
        place, record, seq = self._place(call), call.record, self._chain.seq
        earlier = record.before = record.outcome
        record.outcome = seq
        again = b'"supersedes":%d,' % earlier if earlier >= 0 and not record.standing else b""
        if call.identity is not None:  # strangers need not learn how much goes on here
            record.receipt = self._receipt + b"%d" % seq
        if error is None:
            return self._append(call, self._succeeded(call, reply, place, again), now)
        denied = isinstance(error, _DENIED)
        frame = self._frame(
            call,
            place,
            b"".join(
                (_DENIAL if denied else _FAILURE, _refused(call.decision, error) or place.policy, _LAST)
            ),
            self._fields(call, None),
            error=b'"error_type":"%b",' % problem_type(error).encode(),
            status=b'"status_code":%d,%b' % (self._status.get(type(error), 500), again),
        )
        return self._append(call, frame, now)

    def _succeeded(self, call: Call, reply: Reply[object] | None, place: _Place, again: bytes) -> Frame:
        """Return what the record of an answer says: at once for one that came here before."""
        alike: Hashable = None
        if reply is not None and reply.same is not None and not again and not _says_more(call, reply):
            alike = reply.same, reply.status, call.client_address, call.head.method
            if alike == place.alike:
                return place.frame
        status = 204 if reply is None else reply.status or 200
        fields = self._fields(call, reply)
        frame = self._frame(
            call,
            place,
            place.success,
            fields,
            status=b'"status_code":%d,%b' % (status, again),
            version=_version(reply) if reply is not None and place.versioned else b"",
        )
        if alike is not None and len(fields) <= _LONGEST_KEPT:
            frame = msgspec.structs.replace(frame, begun=begin_leaf(frame.opening))
            place.alike, place.frame = alike, frame
        return frame

    def _frame(
        self,
        call: Call,
        place: _Place,
        decision: bytes,
        fields: bytes,
        *,
        error: bytes = b"",
        status: bytes = b"",
        version: bytes = b"",
    ) -> Frame:
        """Return what is said of how a call went: decision and outcome, data, error, status, version."""
        if fields and place.size + len(fields) + len(decision) > LARGEST - _CHAINED:
            fields = self._digest(fields)
        method = b'"http.request.method":"%b",' % call.head.method.encode()
        address = b'"client.address":%b,' % _encode(call.client_address)
        return Frame(
            opening=b"".join((place.actor, address, place.credential, error, place.event, fields, method)),
            decision=decision,
            resource=b"".join((place.resource, version, _SCHEMA)),
            status=status + place.tenant,
            closing=place.path,
            tenant=place.namespace,
        )

    def _append(self, call: Call, frame: Frame, now: Nanos) -> bytes:
        """Return the line of a record that says what happened at a time."""
        came = call.head.trace
        span, trace = _trace(came) if came else (b"", NO_TRACE)
        request = b'","request.id":"%b",' % call.id.encode()
        return self._chain.append(Draft(frame, rfc3339_whole(now), request, span, trace))

    def _place(self, call: Call) -> _Place:
        """Return what this caller's records of this path have in common, cached for a caller who repeats a request."""
        identity, where = call.identity, call.destination
        if identity is None or not identity.key:
            return self._make_place(call, None)
        key = (identity.key, where.path, call.operation)
        known = self._places.get(key)
        if (
            known is None
            or known.mark is not identity.mark
            or known.decision is not call.decision
            or known.mount is not where.mount
        ):
            known = self._make_place(call, identity.mark)
            if len(where.path) <= _LONGEST_PATH and where.mount.path:
                self._places.put(key, known)
        return known

    def _make_place(self, call: Call, mark: object) -> _Place:
        where = call.destination
        bound = getattr(call, "bound", None)
        event = event_name(bound.route if bound is not None else None, where.mount.kind, call.operation)
        kind, name = resource(call)
        actor = b'{"actor":%b,' % _encode(_actor(call.identity))
        credential = (
            b"" if call.identity is None else b'"credential":%b,' % _encode(_credential(call.identity))
        )
        granted = _granted(call.decision)
        about = b'"resource":%b' % _encode({"id": _path(name), "type": kind})[:-1]
        path = b',"url.path":%b}' % _encode(_path(where.full))
        return _Place(
            mark=mark,
            decision=call.decision,
            mount=where.mount,
            actor=actor,
            credential=credential,
            event=b'"event_name":%b,' % _encode(event),
            policy=granted,
            success=b'"outcome":"success","phase":"outcome",%b%b' % (granted, _LAST),
            resource=about,
            versioned=kind == _VERSIONED,
            tenant=b'"tenant":%b,"tenant_prev_hash":"' % _encode(where.namespace.id),
            namespace=where.namespace.id,
            path=path,
            size=sum(map(len, (actor, credential, granted, about, path))),
        )

    def _fields(self, call: Call, reply: Reply[object] | None) -> bytes:
        """Return what is said of the data of request and answer, with its comma; nothing where there is none."""
        sent = self._sent(call) if call.data else b""
        answered = b"" if reply is None else self._answered(call, reply)
        record = call.record
        if record.changed or record.external_keys or record.noted:
            return b'"fields":%b,' % _with_notes(record, sent, answered)
        if not sent and not answered:
            return b""
        parts = [b'"request":' + sent] if sent else []
        if answered:
            parts.append(b'"response":' + answered)
        return b'"fields":{%b},' % b",".join(parts)

    def _sent(self, call: Call) -> bytes:
        values = self._values(call)
        if values is None:
            return b""
        known = call.record.sent
        if known is not None and known[0] == call.data_key and self in known[1]:
            return known[1][self]
        return _said_of_request(values, call)

    def _values(self, call: Call) -> Values | None:
        """Return what says something of values: hashes, or their number alone where the mount is set so."""
        if self.hasher is None or call.destination.mount.options.get(LOG_VALUES) != "omit":
            return self.hasher
        return _OMITTED

    def request_hasher(self, call: Call) -> Callable[[], bytes]:
        """Return the function that a thread runs to hash long data of a request."""
        values = self._values(call)
        return bytes if values is None else partial(_said_of_request, values.twin(), call)

    def _answered(self, call: Call, reply: Reply[object]) -> bytes:
        values = self._values(call)
        if values is None:
            return b""
        if reply.recorded is not None and self in reply.recorded:
            return reply.recorded[self]
        if reply.same is None or reply.auth is not None or reply.wrap_info is not None:
            return _said_of_answer(values, reply)
        key = (call.destination.mount, reply.same)
        known = self._answers.get(key)
        if known is None:
            known = _said_of_answer(values, reply)
            if len(known) <= _LONGEST_KEPT:
                self._answers.put(key, known)
        return known

    def reply_hasher(self, call: Call, reply: Reply[object]) -> Callable[[], bytes] | None:
        """Return the function that a thread runs to hash a long answer; None where that is done already."""
        values = self._values(call)
        if values is None:
            return None
        if reply.same is not None and self._answers.get((call.mount, reply.same)) is not None:
            return None
        return partial(_said_of_answer, values.twin(), reply)

    def _digest(self, fields: bytes) -> bytes:
        """Return what stands for fields that are too long for one record: their hash and their size (LOG-012)."""
        if self.hasher is None:
            return b""
        return b'"fields":%b,' % _encode({"$h": self.hasher.hash(fields.decode()), "$size": len(fields)})


def _says_more(call: Call, reply: Reply[object]) -> bool:
    """Whether a record says more of a call than who, what and which answer."""
    record = call.record
    return bool(
        call.data or reply.auth or reply.wrap_info or record.noted or record.changed or record.external_keys
    )


def _with_notes(record: CallRecord, sent: bytes, answered: bytes) -> bytes:
    """Return the data with what engines and credentials add to it: names and digests, no secrets."""
    fields = {**record.noted, "changed": record.changed, "external_keys": record.external_keys}
    plain = {name: schema.to_plain(value) for name, value in fields.items() if value}
    data = {name: msgspec.Raw(said) for name, said in (("request", sent), ("response", answered)) if said}
    return _encode({**plain, **data})


def _said_of_request(values: Values, call: Call) -> bytes:
    """Return what the log says of a request's data. Where anybody may ask it is a password, or a share of a key."""
    bound = getattr(call, "bound", None)
    if bound is not None and bound.route.access.public:
        values = _OMITTED
    return _encode(values.request(call.data, bound.route.parameters if bound is not None else {}))


def _said_of_answer(values: Values, reply: Reply[object]) -> bytes:
    """Return what the log says of an answer: its data hashed, and in clear which credential it brings."""
    said: dict[str, object] = {}
    if reply.auth is not None:
        said["auth"] = _issued(reply.auth)
    if reply.wrap_info is not None:
        said["wrap"] = _wrapped(reply.wrap_info)
    if reply.lease_id:
        said["lease_id"] = reply.lease_id
    if reply.raw is not None:
        said["data"] = values.raw(reply.raw)
    elif reply.data is not None and not reply.own_names and values.shows(reply.data):
        said["data"] = reply.data
    elif reply.data is not None:
        said["data"] = values.answer(reply.data, schema.to_plain(reply.data), own=reply.own_names)
    return _encode(said) if said else b""


def _issued(auth: Auth) -> Mapping[str, object]:
    return {
        "accessor": auth.accessor,
        "entity_id": auth.entity_id,
        "kind": auth.token_type,
        "policies": list(auth.policies or ()),
        "ttl": auth.lease_duration,
    }


def _wrapped(info: WrapInfo) -> Mapping[str, object]:
    return {"accessor": info.accessor, "creation_path": info.creation_path, "ttl": info.ttl}


def _actor(identity: Identity | None) -> Mapping[str, object]:
    """Return who acts. Ids are opaque: names are looked up on reading, so that erasing a person changes no line."""
    if identity is None:
        return {"type": "anonymous"}
    if identity.policies == ("root",):
        return {"id": f"accessor:{identity.accessor}", "type": "root"}
    if identity.entity_id:
        return {"id": identity.entity_id, "type": "entity"}
    return {"id": f"accessor:{identity.accessor}", "type": "token"}


def _credential(identity: Identity) -> Mapping[str, object]:
    found: dict[str, object] = {"accessor": identity.accessor, "kind": identity.kind}
    if identity.revocation_ids:
        found["blocks"] = list(identity.revocation_ids)
    return found


def _granted(decision: Decision | None) -> bytes:
    """Return which policies allowed it, and by which rule; root's have none."""
    if decision is None or not decision.granting:
        return b""
    return b'"policy":%b,' % _encode({"grant": _rules(decision.granting, decision.rule)})


def _refused(decision: Decision | None, error: VaultError) -> bytes:
    """Return why it was refused, and the rule that decided where one did."""
    if error.reason is None:
        return b""
    said: dict[str, object] = {"reason": error.reason}
    if decision is not None and decision.rule and not decision.allowed:
        said["by"] = _rules(decision.policies, decision.rule)
    return b'"policy":%b,' % _encode(said)


def _rules(policies: Sequence[str], rule: str) -> list[object]:
    """Return a rule with each policy that has it; root's has no path."""
    path = {"rule": _short(rule)} if rule else {}
    found: list[object] = []
    left = _MOST_RULES
    for name in policies[:_MOST_POLICIES]:
        one = {"policy": _short(name), **path}
        left -= len(_encode(one))
        if left < 0:
            break
        found.append(one)
    more = len(policies) - len(found)
    return [*found, {"$omitted": more}] if more else found


def _path(name: str) -> str:
    """Return a path as a record has it: short, and with the digest of each credential in it (LOG-002)."""
    if "s." in name or "b." in name or "biscuit:" in name:
        name = _CREDENTIAL.sub(lambda found: _digest(found[0]), name)
    return _short(name)


def _short(name: str) -> str:
    """Return a name as a record has it: its digest and size in bytes where it is too long for one (LOG-012)."""
    if len(name) <= _LONGEST_NAME // 6:  # no character is longer, encoded
        return name
    return name if len(_encode(name)) <= _LONGEST_NAME else _digest(name)


def _digest(name: str) -> str:
    """Return what stands for a name that is not shown: its digest, and its size in bytes."""
    plain = name.encode()
    return f"$sha256:{b2a_base64(sha256(plain).digest(), newline=False).decode()}:{len(plain)}"


def _version(reply: Reply[object]) -> bytes:
    """Return the member for the version of a resource, where the answer is about one."""
    data = reply.data
    version = getattr(getattr(data, "metadata", data), "version", None)
    return b',"version":%d' % version if isinstance(version, int) else b""


def _trace(came: bytes) -> tuple[bytes, bytes]:
    """Return what a draft has of span and trace of a valid `traceparent` (W3C Trace Context, section 3.2)."""
    found = _TRACE.fullmatch(came) if len(came) <= _LONGEST_TRACE else None
    if found is None:
        return b"", NO_TRACE
    return b'"span_id":"%b",' % found[2], b'","trace_id":"%b"' % found[1]
