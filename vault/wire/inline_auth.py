# SPDX-License-Identifier: EUPL-1.2
"""Inline authentication: `X-Vault-Inline-Auth-*` headers name a login for this one request, and no token is stored.

The login is a call of its own through the whole pipeline: it is limited, recorded, counted against lockouts and
refused like any other. Its identity serves as the token of this request, and of no other.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Collection, Sequence
from typing import Final

from vault.framework import schema
from vault.framework.call import Call, Destination, Login
from vault.framework.errors import Malformed, Unauthenticated, UnsupportedOperation, VaultError
from vault.framework.fields import Json
from vault.framework.path import NotATarget, Redirect, Unprintable, canonical
from vault.framework.request.head import Head, Proofs
from vault.framework.request.operation import Operation
from vault.wire.options import within

PREFIX: Final = b"x-vault-inline-auth-"
"""Prefix of these headers."""
FAILED: Final = (b"x-vault-inline-auth-failed", b"true")
"""The header of an answer that is the login's refusal, not the request's."""
_PATH: Final = PREFIX + b"path"
_OPERATION: Final = PREFIX + b"operation"
_NAMESPACE: Final = PREFIX + b"namespace"
_PARAMETER: Final = PREFIX + b"parameter-"
_OPERATIONS: Final = {"create": Operation.UPDATE, "update": Operation.UPDATE, "read": Operation.READ}
_PROBLEM: Final = "failed to perform inline authentication: "
_MOST: Final = 100
"""Parameters of one login."""


def in_use(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether the headers name a login; parameters alone mean nothing."""
    return any(name == _PATH for name, _ in headers)


def login_of(call: Call, request_id: str, fixed: Collection[str]) -> Call:
    """Return the login that the headers of `call` name, as a call of its own.

    `fixed` are the paths that the listener serves itself, which are no logins. Raises `Malformed` for headers that
    cannot be read, `Unauthenticated` for a path without a login.
    """
    if call.token:
        raise Malformed(f"{_PROBLEM}cannot layer inline authentication with token authentication")
    headers = dict(reversed(call.head.headers))
    login = Call()
    login.id, login.now = request_id, call.now
    login.client_address, login.client_port = call.client_address, call.client_port
    login.token, login.proofs = call.token, Proofs(factors=call.proofs.factors)
    operation = _OPERATIONS.get(headers.get(_OPERATION, b"update").decode("latin-1"))
    if operation is None:
        raise Malformed(f"{_PROBLEM}expected a valid login operation in X-Vault-Inline-Auth-Operation")
    login.operation = operation
    login.head = Head(
        method="GET" if operation is Operation.READ else "POST",
        headers=[(name, value) for name, value in call.head.headers if not name.startswith(PREFIX)],
        content_type=b"application/json",
        trace=call.head.trace,
        limits=call.head.limits,
    )
    login.within = within(headers[_NAMESPACE]) if _NAMESPACE in headers else call.within
    try:
        path = canonical(headers[_PATH])
    except (NotATarget, Redirect, Unprintable, VaultError):
        raise Unauthenticated from None
    if path in fixed:
        raise UnsupportedOperation(f"{_PROBLEM}unsupported operation", chained=False)
    if operation is Operation.UPDATE and path.endswith("/"):
        raise Malformed("cannot write to a path ending in '/'")
    login.destination = Destination(path=login.within + path)
    login.data = _parameters(call)
    login.body = schema.encode(login.data)
    login.login = Login()
    return login


def refusal(error: VaultError) -> VaultError:
    """Return the refusal of the login as the refusal of the request."""
    if isinstance(error, UnsupportedOperation):
        return UnsupportedOperation(f"{_PROBLEM}unsupported operation", chained=False)
    return error


def is_login_refusal(error: VaultError) -> bool:
    """Whether the answer marks the refusal as that of the login."""
    return not error.message.startswith(_PROBLEM)


def _parameters(call: Call) -> dict[str, Json]:
    """Return the parameters of the login: each header holds one key and value. Raises `Malformed`, quoting neither."""
    found: dict[str, Json] = {}
    for name, value in call.head.headers:
        if not name.startswith(_PARAMETER):
            continue
        key, given = _parameter(call, value)
        if key in found:
            raise Malformed(f"{_PROBLEM}a parameter is given twice")
        found[key] = given
        if len(found) > _MOST:
            raise Malformed(f"{_PROBLEM}there are more than {_MOST} parameters")
    return found


def _parameter(call: Call, value: bytes) -> tuple[str, Json]:
    if b"=" in value or b"+" in value or b"/" in value:
        raise Malformed(f"{_PROBLEM}failed raw url-safe base64 decoding header value")
    try:
        decoded = urlsafe_b64decode(value + b"=" * (-len(value) % 4))
    except ValueError:
        raise Malformed(f"{_PROBLEM}failed raw url-safe base64 decoding header value") from None
    try:
        pair = schema.decode_object(decoded, limits=call.head.limits)
    except VaultError:
        raise Malformed(f"{_PROBLEM}failed json decoding header value") from None
    for field in ("key", "value"):
        if field not in pair:
            raise Malformed(f"{_PROBLEM}decoded header lacked `{field}` field")
    if len(pair) > len(("key", "value")):
        raise Malformed(f"{_PROBLEM}unexpected field in decoded request parameter")
    key = pair["key"]
    if not isinstance(key, str):
        raise Malformed(f"{_PROBLEM}`key` field must be a string")
    return key, pair["value"]
