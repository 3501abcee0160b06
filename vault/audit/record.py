# SPDX-License-Identifier: EUPL-1.2
"""Audit records: OpenBao's JSON shape, with a keyed hash in place of every string from outside.

A record is joined from encoded parts: the caller's part is encoded once per credential, the request's once per call.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from vault.audit.hasher import Hasher, TooManyValues
from vault.cache.follow import BoundedCache
from vault.framework import schema
from vault.framework.call import ROOT, Call, Decision, Identity, MountFacts
from vault.framework.clock import rfc3339
from vault.framework.errors import Forbidden, Unauthenticated, VaultError
from vault.framework.fields import Json
from vault.framework.reply import Auth, Reply, WrapInfo
from vault.framework.route import Parameter
from vault.values.times import Nanos, second_of

_REPLIES: Final = 4096
"""Encoded answers in the cache, hashes only."""
_LONGEST_KEPT: Final = 4096
"""Bytes of the longest answer in the cache."""
_MOUNTS: Final = 4096
"""Mounts whose encoded part is cached."""
_ADDRESSES: Final = 1024
"""Client addresses whose encoded form is cached."""
_LARGEST: Final = 4 << 20
"""Bytes of data in one record; more is replaced by its hash and length (SL-55)."""
_VERSION: Final = b"v2.7.2+builtin.bao"
_LONGEST_PATH: Final = 512
"""Characters of the longest path whose encoded part is cached."""
_PLACE: Final = b'%b,"operation":"%b"%b%b,"namespace":%b,"path":%b'
_SHARED: Final = b'"auth":%b,"request":{"id":"%b"%b%b%b,"remote_address":%b,"remote_port":%d%b}'
_EXCHANGE: Final = (
    b'%b{"time":"%b","type":"request",%b}\n%b{"time":"%b","type":"response",%b,"response":%b%b}\n'
)
_ROOT_NAMESPACE: Final = b'{"id":"root"}'
_NO_AUTH: Final = b'{"token_type":"default"}'


class _Place(NamedTuple):
    """The encoded part that a caller's records of one path have in common, with what it is valid for."""

    mark: object
    decision: Decision | None
    mount: MountFacts
    auth: bytes
    place: bytes


class Renderer:
    """Turns calls and replies into the lines of one device."""

    def __init__(
        self,
        hasher: Hasher,
        *,
        raw: bool = False,
        prefix: bytes = b"",
        elide_lists: bool = False,
        largest: int = _LARGEST,
        most_mounts: int = _MOUNTS,
    ) -> None:
        """`raw` says that the hasher keeps values readable: then no answer is cached.

        Data of more than `largest` bytes is recorded by its digest; what is said of `most_mounts` mounts is cached.
        """
        self._largest, self._most_mounts = largest, most_mounts
        self._hasher = hasher
        self._raw = raw
        self._replies: BoundedCache[tuple[MountFacts, Hashable], bytes] = BoundedCache(_REPLIES)
        self._prefix = prefix
        self._elide_lists = elide_lists
        self._mounts: dict[MountFacts, tuple[bytes, bytes]] = {}
        """What the records of requests and of answers say of each mount, which the latter begin with."""
        self._places: BoundedCache[tuple[str, str, str], _Place] = BoundedCache(_REPLIES)
        self._addresses: BoundedCache[str, bytes] = BoundedCache(_ADDRESSES)

    def exchange(
        self,
        call: Call,
        reply: Reply[object] | None,
        times: tuple[Nanos, Nanos],
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the lines of request and response, at these two times, of a call that changed nothing."""
        shared = self._shared(call, headers)
        return _EXCHANGE % (
            self._prefix,
            rfc3339(times[0]).encode(),
            shared,
            self._prefix,
            rfc3339(times[1]).encode(),
            shared,
            self._response(call, reply, error),
            b"" if error is None else _response_error(error),
        )

    def request(self, call: Call, now: Nanos, headers: Mapping[str, bool], error: VaultError | None) -> bytes:
        """Return the line of a request, before it is acted on."""
        return b'%b{"time":"%b","type":"request",%b%b}\n' % (
            self._prefix,
            rfc3339(now).encode(),
            self._shared(call, headers),
            _error(error, listed=error is not None and error.chained),
        )

    def response(
        self,
        call: Call,
        reply: Reply[object] | None,
        now: Nanos,
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the line of a response, before it leaves."""
        return b'%b{"time":"%b","type":"response",%b,"response":%b%b}\n' % (
            self._prefix,
            rfc3339(now).encode(),
            self._shared(call, headers),
            self._response(call, reply, error),
            b"" if error is None else _response_error(error),
        )

    def _shared(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        """Return the common part of request and response; encoded once, and again once the caller is known."""
        recorded = call.record.shared
        if recorded is not None and recorded[0] is self and recorded[1] is call.decision:
            return recorded[2]
        auth, place = self._place(call)
        data = b',"data":' + self._request_data(call) if call.data else b""
        named = self._headers(call, headers) if headers else b""
        address = self._addresses.get(call.client_address)
        if address is None:
            address = schema.encode(call.client_address)
            self._addresses.put(call.client_address, address)
        wrap = b',"wrap_ttl":%d' % call.options.wrap_ttl if call.options.wrap_ttl else b""
        shared = _SHARED % (auth, call.id.encode(), place, data, named, address, call.client_port, wrap)
        call.record.shared = (self, call.decision, shared)
        return shared

    def _place(self, call: Call) -> tuple[bytes, bytes]:
        """Return caller, operation and path; cached for a caller who repeats a request."""
        identity = call.identity
        if identity is None or not identity.key:
            return self._auth(call), self._request(call)
        where = call.destination
        key = (identity.key, where.path, call.operation)
        known = self._places.get(key)
        if (
            known is None
            or known.mark is not identity.mark
            or known.decision is not call.decision
            or known.mount is not where.mount
        ):
            known = _Place(identity.mark, call.decision, where.mount, self._auth(call), self._request(call))
            if len(where.path) <= _LONGEST_PATH and where.mount.path:
                self._places.put(key, known)
        return known.auth, known.place

    def _auth(self, call: Call) -> bytes:
        identity = call.identity
        allowed = call.decision is not None and call.decision.allowed
        if identity is None:
            public = hasattr(call, "bound") and call.bound.route.access.public
            return b'{"policy_results":{"allowed":true},"token_type":"default"}' if public else _NO_AUTH
        granting = tuple(call.decision.granting) if allowed and call.decision is not None else ()
        key = (self, allowed, granting)
        known = identity.cache.get(key)
        if not isinstance(known, bytes):
            token, accessor = self._hashes(identity)
            own = schema.encode(_without_empty({"client_token": token, "accessor": accessor}))
            rest = self._shared_auth(identity, granting, allowed=allowed)
            identity.cache[key] = known = b"%b,%b" % (own[:-1], rest[1:]) if len(own) > 2 else rest
        return known

    def _shared_auth(self, identity: Identity, granting: tuple[str, ...], *, allowed: bool) -> bytes:
        """Return what a record says of a caller but for its token and accessor: encoded once for all that are alike."""
        common = {} if identity.common is None else identity.common
        known = common.get((self, "auth", allowed, granting))
        if not isinstance(known, bytes):
            known = schema.encode(self._identity(identity, granting, allowed=allowed))
            common[self, "auth", allowed, granting] = known
        return known

    def _hashes(self, identity: Identity) -> tuple[str, str]:
        """Return the hashes of a caller's token, which may be long, and of its accessor."""
        key = (self, "hashes")
        known = identity.cache.get(key)
        if not isinstance(known, tuple):
            known = self._hasher.text(identity.token.reveal()), self._hasher.accessor(identity.accessor)
            identity.cache[key] = known
        return known

    def _identity(self, identity: Identity, granting: Sequence[str], *, allowed: bool) -> object:
        namespace = identity.namespace.id
        policies = [{"name": name, "namespace_id": namespace, "type": "acl"} for name in granting]
        results: dict[str, object] = {"allowed": allowed}
        if policies:
            results["granting_policies"] = policies
        return _without_empty(
            {
                "display_name": identity.display_name,
                "policies": identity.all_policies,
                "token_policies": identity.policies,
                "identity_policies": identity.identity_policies,
                "policy_results": results,
                "metadata": identity.metadata,
                "entity_id": identity.entity_id,
                "remaining_uses": identity.uses,
                "token_type": identity.kind,
                "token_ttl": identity.ttl,
                "token_issue_time": _issue_time(identity.created),
            }
        )

    def _request(self, call: Call) -> bytes:
        encode = schema.encode
        identity = call.identity
        return _PLACE % (
            b',"client_id":' + _client_id(identity) if identity is not None else b"",
            call.operation.encode(),
            self._mount(call)[0],
            self._credential(call),
            _ROOT_NAMESPACE if call.namespace is ROOT else encode(_namespace(call)),
            encode(call.path),
        )

    def _request_data(self, call: Call) -> bytes:
        """Return the data of a request; one hash of it all where it has too many values."""
        sent = call.record.sent
        if sent is not None and sent[0] == call.data_key and self in sent[1]:
            return sent[1][self]
        parameters: Mapping[str, Parameter] = call.bound.route.parameters if hasattr(call, "bound") else {}
        try:
            return self._encode_bounded(
                self._hasher.request(call.data, call.destination.mount.clear_request_keys, parameters)
            )
        except TooManyValues:
            return schema.encode(self._many(call.data))

    def request_hasher(self, call: Call) -> Callable[[], bytes]:
        """Return the function that a thread runs to encode long data of a request."""
        twin = Renderer(self._hasher.twin(), raw=self._raw, largest=self._largest)
        return partial(twin._request_data, call)

    def _many(self, data: object) -> Mapping[str, object]:
        encoded = schema.encode(data)
        return {"hmac": self._hasher.text(encoded.decode()), "length": len(encoded)}

    def _credential(self, call: Call) -> bytes:
        identity = call.identity
        if identity is None:
            token = call.token.reveal()
            return b',"client_token":' + schema.encode(self._hasher.text(token)) if token else b""
        key = (self, "credential")
        known = identity.cache.get(key)
        if not isinstance(known, bytes):
            token, accessor = self._hashes(identity)
            known = b',"client_token":%b' % schema.encode(token)
            known += b',"client_token_accessor":%b' % schema.encode(accessor) if accessor else b""
            identity.cache[key] = known
        return known

    def _headers(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        found: dict[str, list[str]] = {}
        for raw_name, raw_value in call.head.headers:
            name = raw_name.decode("latin-1").lower()
            if name in headers:
                value = raw_value.decode("latin-1")
                found.setdefault(name, []).append(self._hasher.text(value) if headers[name] else value)
        return b',"headers":' + schema.encode(found) if found else b""

    def _response(self, call: Call, reply: Reply[object] | None, error: VaultError | None) -> bytes:
        """Return the answer's part of the record, with the external keys that were used, what was new about the
        token, and why a login failed.

        Names, no secrets.
        """
        encoded = self._answer(call, reply, error)
        record = call.record
        if not record.external_keys and not record.noted:
            return encoded
        further = {"external_keys": record.external_keys, **record.noted}
        for name, value in further.items():
            if value:
                separator = b"," if len(encoded) > 2 else b""
                encoded = b'%b%b"%b":%b}' % (encoded[:-1], separator, name.encode(), schema.encode(value))
        return encoded

    def _answer(self, call: Call, reply: Reply[object] | None, error: VaultError | None) -> bytes:
        """Return the answer's part of the record. The cache holds hashes only."""
        if error is not None and error.message and (not error.chained or isinstance(error, Forbidden)):
            return self._mounted(call, schema.encode({"data": {"error": self._hasher.text(error.message)}}))
        if reply is None:
            return self._mounted(call, b"{}")
        if reply.same is None or self._raw or reply.warnings or reply.wrap_info is not None or reply.auth:
            return self._mounted(call, self._encoded(call, reply))
        key = (call.destination.mount, reply.same)
        encoded = self._replies.get(key)
        if encoded is None:
            encoded = self._mounted(call, self._encoded(call, reply))
            if len(encoded) <= _LONGEST_KEPT:
                self._replies.put(key, encoded)
        return encoded

    def _encoded(self, call: Call, reply: Reply[object]) -> bytes:
        known = reply.recorded.get(self) if reply.recorded is not None else None
        return self._encode_bounded(self._reply(call, reply)) if known is None else known

    def reply_hasher(self, call: Call, reply: Reply[object]) -> Callable[[], bytes] | None:
        """Return the function that a thread runs to encode a long answer's part; None where that is encoded already."""
        if reply.same is not None and self._replies.get((call.mount, reply.same)) is not None:
            return None
        twin = Renderer(
            self._hasher.twin(), raw=self._raw, elide_lists=self._elide_lists, largest=self._largest
        )
        return partial(twin._encoded, call, reply)

    def _mounted(self, call: Call, encoded: bytes) -> bytes:
        """Put the mount's part before an encoded object."""
        begun = self._mount(call)[1]
        if not begun:
            return encoded
        return b"%b,%b" % (begun, encoded[1:]) if len(encoded) > 2 else begun + b"}"

    def _reply(self, call: Call, reply: Reply[object]) -> dict[str, object]:
        hasher = self._hasher
        body: dict[str, object] = {}
        if reply.auth is not None:
            body["auth"] = self._new_auth(reply.auth, reply)
        if reply.lease_id or reply.lease_duration:
            body["secret"] = {"lease_id": reply.lease_id} if reply.lease_id else {}
        if reply.raw is not None:
            body["data"] = {
                "http_content_type": hasher.text(reply.content_type),
                "http_raw_body": hasher.raw(reply.raw),
                "http_status_code": reply.status or 200,
            }
        elif reply.data is not None:
            body["data"] = self._data(call, reply, schema.to_plain(reply.data))
        if reply.warnings:
            body["warnings"] = reply.warnings
        if reply.wrap_info is not None:
            body["wrap_info"] = self._wrap_info(reply.wrap_info)
        return body

    def _data(self, call: Call, reply: Reply[object], plain: Json) -> Json:
        if self._elide_lists and call.operation in {"list", "scan"} and isinstance(plain, dict):
            plain = {
                key: len(value) if key in {"keys", "key_info"} else value for key, value in plain.items()
            }
        try:
            return self._hasher.answer(
                reply.data, plain, call.destination.mount.clear_response_keys, own=reply.own_names
            )
        except TooManyValues:
            return self._many(plain)

    def _new_auth(self, auth: Auth, reply: Reply[object]) -> object:
        hasher = self._hasher
        return _without_empty(
            {
                "client_token": hasher.text(auth.client_token),
                "accessor": hasher.accessor(auth.accessor),
                "display_name": reply.display_name,
                "policies": auth.policies,
                "token_policies": _or_default(auth.token_policies, auth.policies or ()),
                "identity_policies": _or_default(auth.identity_policies, ()),
                "metadata": auth.metadata,
                "entity_id": auth.entity_id,
                "num_uses": auth.num_uses,
                "token_type": auth.token_type,
                "token_ttl": auth.lease_duration,
                "token_issue_time": _issue_time(reply.issued) if reply.issued else "",
            }
        )

    def _wrap_info(self, info: WrapInfo) -> object:
        return {
            "ttl": info.ttl,
            "token": self._hasher.text(info.token),
            "accessor": self._hasher.accessor(info.accessor),
            "creation_time": info.creation_time,
            "creation_path": info.creation_path,
        }

    def _mount(self, call: Call) -> tuple[bytes, bytes]:
        mount = call.destination.mount
        known = self._mounts.get(mount)
        return self._learn_mount(mount) if known is None else known

    def _learn_mount(self, mount: MountFacts) -> tuple[bytes, bytes]:
        if not mount.path:
            return b"", b""
        encode = schema.encode
        known = tuple(
            b'%b"mount_point":%b,"mount_type":"%b","mount_accessor":"%b","%b":"%b","mount_class":"%b"'
            % (
                begin,
                encode(mount.path),
                mount.kind.encode(),
                mount.accessor.encode(),
                version,
                _VERSION,
                mount.category.encode(),
            )
            for begin, version in ((b",", b"mount_running_version"), (b"{", b"mount_running_plugin_version"))
        )
        if len(self._mounts) > self._most_mounts:
            self._mounts.clear()
        self._mounts[mount] = known[0], known[1]
        return self._mounts[mount]

    def _encode_bounded(self, value: object) -> bytes:
        encoded = schema.encode(value)
        if len(encoded) <= self._largest:
            return encoded
        return schema.encode({"sha256": hashlib.sha256(encoded).hexdigest(), "length": len(encoded)})


def _namespace(call: Call) -> Mapping[str, str]:
    namespace = call.namespace
    return {"id": namespace.id, "path": namespace.path} if namespace.path else {"id": namespace.id}


def _client_id(identity: Identity) -> bytes:
    """Name the caller across tokens: the entity, or a digest of the policies. So OpenBao counts clients."""
    if identity.entity_id:
        return schema.encode(identity.entity_id)
    known = identity.shared.get("client_id")
    if not isinstance(known, bytes):
        text = "\x7f".join(identity.policies) + "\0" + identity.namespace.id
        digest = hashlib.sha256(text.encode()).digest()
        known = schema.encode(base64.b64encode(digest).decode())
        identity.shared["client_id"] = known
    return known


def _or_default(names: Sequence[str] | msgspec.UnsetType, otherwise: Sequence[str]) -> Sequence[str]:
    return otherwise if isinstance(names, msgspec.UnsetType) else names


def _issue_time(created: Nanos) -> str:
    return rfc3339(second_of(created))


def _error(error: VaultError | None, *, listed: bool) -> bytes:
    """Return the record's `error`. For an empty 404 OpenBao records none."""
    if error is None or not error.message:
        return b""
    text = f"1 error occurred:\n\t* {error.message}\n\n" if listed else error.message
    return b',"error":' + schema.encode(text)


def _response_error(error: VaultError) -> bytes:
    """Return the `error` of a response's record."""
    return _error(error, listed=error.chained or isinstance(error, Unauthenticated))


def _without_empty(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "", 0, ())}


def sealed_line(call: Call, kind: str, now: Nanos, error: VaultError | None) -> bytes:
    """Return the line of a call while sealed: no token, no data, nothing that needs a hash."""
    record: dict[str, object] = {
        "time": rfc3339(now),
        "type": kind,
        "auth": {"token_type": "default"},
        "request": {
            "id": call.id,
            "operation": call.operation.value,
            "namespace": {"id": call.namespace.id},
            "path": call.path,
            "remote_address": call.client_address,
            "remote_port": call.client_port,
        },
    }
    if error is not None:
        record["error"] = type(error).__name__
    return schema.encode(record) + b"\n"


def trial_line(now: Nanos) -> bytes:
    """Return the test line that a new device must take."""
    return (
        b'{"time":"%b","type":"request","auth":{"token_type":"default"},"request":{"operation":"update",'
        b'"namespace":{"id":"root"},"path":"sys/audit/test"}}\n' % rfc3339(now).encode()
    )
