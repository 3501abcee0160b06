# SPDX-License-Identifier: EUPL-1.2
"""What the front reads in the head of a request. No later stage changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from vault.framework.limits import USUAL_LIMITS, JsonLimits
from vault.framework.request.conditions import Conditions
from vault.framework.secret import Secret
from vault.values.times import Seconds


class Head(msgspec.Struct, frozen=True, eq=False):
    """The head as it came. Requests of the same bytes share one, so nothing in it is of a connection or of one request."""

    method: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    accept: bytes = b""
    content_type: bytes = b""
    echo: bytes = b""
    """The namespace header as it came, which answers repeat."""
    trace: bytes = b""
    """The `traceparent` as it came: which trace of the caller's the request belongs to."""
    limits: JsonLimits = USUAL_LIMITS
    """The listener's limits on a body."""
    conditions: Conditions | None = None
    """On what state of the target it is to be carried out; None for any."""
    idempotency_key: bytes = b""
    """By which the client knows the request when it sends it again, as it came; empty for none."""

    def __repr__(self) -> str:
        """Show nothing of the headers: credentials are among them."""
        return f"<Head {self.method}>"


class Options(msgspec.Struct, frozen=True, eq=False):
    """What query and headers ask for, beside path and verb; most requests have none."""

    wrap_ttl: Seconds = Seconds(0)
    """Seconds for which the caller wants the answer wrapped; 0 for not at all."""
    wrap_asked: bool = False
    """Whether the caller asked for wrapping, 0 seconds included: the ACL treats 0 and no header differently."""
    wrap_format: str = ""
    readable: bool = False
    """Whether a listing is to show only what the caller may read."""
    offered: bool = False
    """Whether the listener serves this path itself: it answers in every state, or was configured to be offered."""


class Proofs(msgspec.Struct, frozen=True, eq=False):
    """What head and connection bring beside the token to prove who calls. Empty for planned reads, which need none."""

    basic: Secret = Secret("")
    """The credentials of an `Authorization: Basic` header, in base64; empty without one."""
    bearer: bool = False
    """Whether the token came as OAuth sends it, in an `Authorization: Bearer` header."""
    factors: Sequence[str] = ()
    """The second factors that came in the head, each `method:code`."""
    certificate: bytes = b""
    """The certificate (DER) that the client has shown in the handshake."""
    intermediates: Sequence[bytes] = ()
    """Unverified certificates that came with it."""
    dpop: bytes = b""
    """A DPoP proof (RFC 9449)."""
    target: str = ""
    """The path as it came, which such a proof names."""

    def __repr__(self) -> str:
        """Show nothing that proves anything."""
        return "<Proofs>"


NO_HEAD: Final = Head()
NO_OPTIONS: Final = Options()
NO_PROOFS: Final = Proofs()
