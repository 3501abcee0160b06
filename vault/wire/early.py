# SPDX-License-Identifier: EUPL-1.2
"""Requests that are refused before the pipeline has them: why, and what they asked for as far as that can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from vault.framework.call import Call, Destination
from vault.framework.errors import Busy, Malformed, TooLarge, VaultError
from vault.framework.path import NotATarget, Unprintable, canonical
from vault.framework.request.operation import Operation
from vault.framework.telemetry.refusals import Reason
from vault.wire.bodies import CUT
from vault.wire.options import within

TurnAway = Callable[[Mapping[str, Any], VaultError], None]
"""Records a request that is refused before it comes to the API."""
METHODS: Final = {
    "GET": Operation.READ,
    "POST": Operation.UPDATE,
    "PUT": Operation.UPDATE,
    "DELETE": Operation.DELETE,
    "LIST": Operation.LIST,
    "SCAN": Operation.SCAN,
    "PATCH": Operation.PATCH,
    "HEAD": Operation.HEADER,
}
"""What each verb asks for."""
_API: Final = b"/v1/"


def reason_of(error: VaultError) -> Reason:
    """Name the reason of a refusal, as it is counted."""
    if isinstance(error, NotATarget | Unprintable):
        return "path"
    if isinstance(error, TooLarge | Busy):
        return "size"
    return "body" if error.message == CUT else "head"


def recorded(error: VaultError) -> VaultError:
    """Return a refusal as the log names it: how a path is malformed is no kind of its own."""
    return Malformed() if isinstance(error, NotATarget | Unprintable) else error


def complete(call: Call, scope: Mapping[str, Any]) -> None:
    """Fill in what a call asks for, where it was refused before that was read: a path without a canonical form as it came.

    Nothing of its query or body is kept.
    """
    if not hasattr(call, "operation"):
        call.operation = METHODS.get(call.head.method, Operation.READ)
    if call.destination.path:
        return
    raw: bytes = scope["raw_path"]
    if raw.startswith(_API):
        raw = raw[len(_API) :]
        call.within = call.within or within(call.head.echo)
    try:
        path = canonical(raw)
    except VaultError:
        path = raw.decode("latin-1")
    call.destination = Destination(path=call.within + path)
