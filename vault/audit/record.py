# SPDX-License-Identifier: EUPL-1.2
"""Audit records: OpenBao's JSON shape, with a keyed hash in place of every string that came from outside.

Built from bytes that are encoded once: the caller's part once per credential, the request's once per call.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from vault.cache.follow import Bounded
from vault.framework import schema
from vault.framework.call import ROOT, Auth, Call, Identity, Mounted, Reply, WrapInfo
from vault.framework.clock import rfc3339
from vault.framework.errors import Forbidden, Unauthenticated, VaultError
from vault.framework.fields import Json

_MARK: Final = "hmac-sha256:"
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z")
_TIMES: Final = 1024
_REPLIES: Final = 4096
"""Encoded answers that are kept, hashes only."""
_LONGEST_KEPT: Final = 4096
"""Bytes of the longest of them."""
_MOUNTS: Final = 4096
"""Mounts whose encoded part is kept."""
_LARGEST: Final = 4 << 20
"""Bytes of data in one record; more is replaced by its hash and length (SL-55)."""
_VERSION: Final = b"v2.7.2+builtin.bao"
_REQUEST: Final = (
    b'{"id":"%b"%b,"operation":"%b"%b%b,"namespace":%b,"path":%b%b%b,"remote_address":%b,"remote_port":%d%b}'
)
_ROOT_NAMESPACE: Final = b'{"id":"root"}'
_NO_AUTH: Final = b'{"token_type":"default"}'


class Hasher:
    """The keyed hash of one device. `raw` keeps values as they are, for the operator who asked for it."""

    def __init__(self, key: bytes, *, raw: bool, hash_accessor: bool) -> None:
        self._keyed = HMAC(key, SHA256())
        self._raw = raw
        self._hash_accessor = hash_accessor
        self._times: dict[str, str] = {}
        """Hashes of what is no secret and comes again and again: the empty string, and times."""
        if not raw:
            self._times[""] = _MARK + hmac.digest(key, b"", "sha256").hex()

    def text(self, value: str) -> str:
        """Return the hash of a string."""
        if self._raw:
            return value
        known = self._times.get(value)
        if known is not None:
            return known
        keyed = self._keyed.copy()
        keyed.update(value.encode("utf-8", "surrogatepass"))
        hashed = _MARK + keyed.finalize().hex()
        if value[-1:] == "Z" and _TIME.fullmatch(value):
            if len(self._times) >= _TIMES:
                self._times = {"": self._times[""]}
            self._times[value] = hashed
        return hashed

    def accessor(self, value: str) -> str:
        """Return the hash of an accessor, unless there is none or the device keeps accessors readable."""
        return self.text(value) if self._hash_accessor and value else value

    def tree(self, value: Json) -> Json:
        """Return a copy in which every string leaf is hashed; keys, numbers and booleans stay."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            text, tree = self.text, self.tree
            return {key: text(item) if type(item) is str else tree(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self.tree(item) for item in value]
        return value

    def members(self, data: Mapping[str, Json], clear: frozenset[str]) -> Mapping[str, Json]:
        """Hash an object's values, but for the top-level keys that the mount declared clear."""
        if not clear:
            hashed: Mapping[str, Json] = self.tree(data)
            return hashed
        return {key: item if key in clear else self.tree(item) for key, item in data.items()}


class Renderer:
    """Turns calls and replies into the lines of one device."""

    def __init__(
        self, hasher: Hasher, *, raw: bool = False, prefix: bytes = b"", elide_lists: bool = False
    ) -> None:
        """`raw` says that the hasher keeps values readable: then nothing of an answer is kept in memory."""
        self._hasher = hasher
        self._raw = raw
        self._replies: Bounded[tuple[Mounted, Hashable], bytes] = Bounded(_REPLIES)
        self._prefix = prefix
        self._elide_lists = elide_lists
        self._mounts: dict[Mounted, tuple[bytes, bytes]] = {}

    def request(self, call: Call, now: int, headers: Mapping[str, bool], error: VaultError | None) -> bytes:
        """Return the line of a request, before anything was done."""
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
        now: int,
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the line of a response, before anybody sees it."""
        return b'%b{"time":"%b","type":"response",%b,"response":%b%b}\n' % (
            self._prefix,
            rfc3339(now).encode(),
            self._shared(call, headers),
            self._response(call, reply, error),
            _error(error, listed=isinstance(error, Unauthenticated) or (error is not None and error.chained)),
        )

    def _shared(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        """Return what request and response have in common; encoded once, unless the caller became known since."""
        recorded = call.recorded
        known = recorded.get(self)
        if known is None or known[0] is not call.decision:
            known = (
                call.decision,
                b'"auth":%b,"request":%b' % (self._auth(call), self._request(call, headers)),
            )
            recorded[self] = known
        return known[1]

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
            known = schema.encode(self._identity(identity, call, granting, allowed=allowed))
            identity.cache[key] = known
        return known

    def _identity(self, identity: Identity, call: Call, granting: Sequence[str], *, allowed: bool) -> object:
        hasher = self._hasher
        namespace = call.namespace.id
        policies = [{"name": name, "namespace_id": namespace, "type": "acl"} for name in granting]
        results: dict[str, object] = {"allowed": allowed}
        if policies:
            results["granting_policies"] = policies
        return _without_empty(
            {
                "client_token": hasher.text(identity.token.reveal()),
                "accessor": hasher.accessor(identity.accessor),
                "display_name": identity.display_name,
                "policies": identity.policies,
                "token_policies": identity.policies,
                "policy_results": results,
                "metadata": identity.metadata,
                "entity_id": identity.entity_id,
                "remaining_uses": identity.uses,
                "token_type": identity.kind,
                "token_ttl": identity.ttl,
                "token_issue_time": _issue_time(identity.created),
            }
        )

    def _request(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        encode = schema.encode
        identity = call.identity
        data = b""
        if call.data:
            data = b',"data":' + _bounded(self._hasher.members(call.data, call.mount.clear_request_keys))
        return _REQUEST % (
            call.id.encode(),
            b',"client_id":' + _client_id(identity, call.namespace.id) if identity is not None else b"",
            call.operation.encode(),
            self._mount(call, b"mount_running_version") if call.mount.path else b"",
            self._credential(call),
            _ROOT_NAMESPACE if call.namespace is ROOT else encode(_namespace(call)),
            encode(call.path),
            data,
            self._headers(call, headers) if headers else b"",
            encode(call.client_address),
            call.client_port,
            b',"wrap_ttl":%d' % call.wrap_ttl if call.wrap_ttl else b"",
        )

    def _credential(self, call: Call) -> bytes:
        identity = call.identity
        if identity is None:
            token = call.token.reveal()
            return b',"client_token":' + schema.encode(self._hasher.text(token)) if token else b""
        key = (self, "credential")
        known = identity.cache.get(key)
        if not isinstance(known, bytes):
            hashed = schema.encode(self._hasher.text(identity.token.reveal()))
            known = b',"client_token":%b' % hashed
            if identity.accessor:
                accessor = schema.encode(self._hasher.accessor(identity.accessor))
                known += b',"client_token_accessor":%b' % accessor
            identity.cache[key] = known
        return known

    def _headers(self, call: Call, headers: Mapping[str, bool]) -> bytes:
        found: dict[str, list[str]] = {}
        for raw_name, raw_value in call.headers:
            name = raw_name.decode("latin-1").lower()
            if name in headers:
                value = raw_value.decode("latin-1")
                found.setdefault(name, []).append(self._hasher.text(value) if headers[name] else value)
        return b',"headers":' + schema.encode(found) if found else b""

    def _response(self, call: Call, reply: Reply[object] | None, error: VaultError | None) -> bytes:
        mount = self._mount(call, b"mount_running_plugin_version") if call.mount.path else b""
        if error is not None and error.message and (not error.chained or isinstance(error, Forbidden)):
            encoded = schema.encode({"data": {"error": self._hasher.text(error.message)}})
        elif reply is None:
            encoded = b"{}"
        elif reply.same is not None and not self._raw:
            encoded = self._remembered(call, reply)
        else:
            encoded = _bounded(self._reply(call, reply))
        separator = b"," if mount and len(encoded) > 2 else b""
        return b"{%b%b%b" % (mount[1:], separator, encoded[1:])

    def _remembered(self, call: Call, reply: Reply[object]) -> bytes:
        """Encode a reply whose data was recorded before, as often-read secrets are: only hashes are kept."""
        if reply.warnings or reply.wrap_info is not None or reply.auth is not None:
            return _bounded(self._reply(call, reply))
        key = (call.mount, reply.same)
        encoded = self._replies.get(key)
        if encoded is None:
            encoded = _bounded(self._reply(call, reply))
            if len(encoded) <= _LONGEST_KEPT:
                self._replies.put(key, encoded)
        return encoded

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
                "http_raw_body": hasher.text(reply.raw.decode("latin-1")),
                "http_status_code": reply.status or 200,
            }
        elif reply.data is not None:
            body["data"] = self._data(call, schema.to_plain(reply.data))
        if reply.warnings:
            body["warnings"] = reply.warnings
        if reply.wrap_info is not None:
            body["wrap_info"] = self._wrap_info(reply.wrap_info)
        return body

    def _data(self, call: Call, data: Json) -> Json:
        if not isinstance(data, dict):
            return self._hasher.tree(data)
        if self._elide_lists and call.operation in {"list", "scan"}:
            data = {key: len(value) if key in {"keys", "key_info"} else value for key, value in data.items()}
        return self._hasher.members(data, call.mount.clear_response_keys)

    def _new_auth(self, auth: Auth, reply: Reply[object]) -> object:
        hasher = self._hasher
        return _without_empty(
            {
                "client_token": hasher.text(auth.client_token),
                "accessor": hasher.accessor(auth.accessor),
                "display_name": reply.display_name,
                "policies": auth.policies,
                "token_policies": auth.policies,
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

    def _mount(self, call: Call, version: bytes) -> bytes:
        mount = call.mount
        known = self._mounts.get(mount)
        if known is None:
            encode = schema.encode
            place = b',"mount_point":%b,"mount_type":"%b","mount_accessor":"%b",' % (
                encode(mount.path),
                mount.kind.encode(),
                mount.accessor.encode(),
            )
            known = (place, b':"%b","mount_class":"%b"' % (_VERSION, mount.category.encode()))
            if len(self._mounts) > _MOUNTS:
                self._mounts.clear()
            self._mounts[mount] = known
        return b'%b"%b"%b' % (known[0], version, known[1])


def _namespace(call: Call) -> Mapping[str, str]:
    namespace = call.namespace
    return {"id": namespace.id, "path": namespace.path} if namespace.path else {"id": namespace.id}


def _client_id(identity: Identity, namespace: str) -> bytes:
    """Name the caller across tokens: the entity, or a digest of the policies, as the field counts clients."""
    if identity.entity_id:
        return schema.encode(identity.entity_id)
    known = identity.cache.get("client_id")
    if not isinstance(known, bytes):
        text = "\x7f".join(identity.policies) + "\0" + namespace
        digest = hashlib.sha256(text.encode()).digest()
        known = schema.encode(base64.b64encode(digest).decode())
        identity.cache["client_id"] = known
    return known


def _issue_time(created: int) -> str:
    return rfc3339(created - created % 1_000_000_000)


def _bounded(value: object) -> bytes:
    encoded = schema.encode(value)
    if len(encoded) <= _LARGEST:
        return encoded
    return schema.encode({"sha256": hashlib.sha256(encoded).hexdigest(), "length": len(encoded)})


def _error(error: VaultError | None, *, listed: bool) -> bytes:
    """Return the record's `error`; where there was nothing to find, the field has none."""
    if error is None or not error.message:
        return b""
    text = f"1 error occurred:\n\t* {error.message}\n\n" if listed else error.message
    return b',"error":' + schema.encode(text)


def _without_empty(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "", 0, ())}
