# SPDX-License-Identifier: EUPL-1.2
"""nhi approve: a third party's block, from request to token, in files that holder and approver exchange.

The approver's key is in a file of its own, or it is the server's, which asks policies who may use it.
"""

from __future__ import annotations

import time

from vaultctl.body import read_file
from vaultctl.commands.nhi.tokens import OfflineErrors, mount, text_of, the_token
from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_FRESH = 300


def approve(invocation: Invocation) -> int:
    """Print a request, an approval of one, or the token with an approval."""
    asks, request, block = (
        invocation.truth("ask"),
        invocation.text("request"),
        invocation.text("block"),
    )
    if sum(map(bool, (asks, request, block))) != 1:
        raise UsageError("Name one of -ask, -request and -block")
    if request and invocation.text("approver"):
        return _ask_server(invocation, text_of(invocation, request))
    with OfflineErrors(invocation):
        from nhi.holder.approvals import approved, asked, given

        if asks:
            invocation.say(asked(the_token(invocation)))
        elif block:
            invocation.say(approved(the_token(invocation), text_of(invocation, block)))
        else:
            checks = [read_file(one[1:]) if one.startswith("@") else one for one in invocation.texts("check")]
            until = int(time.time()) + _seconds(invocation)
            key = _key(invocation)
            invocation.say(
                given(text_of(invocation, request), _change(invocation), until=until, checks=checks, key=key)
            )
    return EXIT_OK


def _ask_server(invocation: Invocation, request: str) -> int:
    """Print the approval of an approver whose key the server has."""
    if invocation.text("key-file") or invocation.texts("check"):
        raise UsageError("-approver goes with neither -key-file nor -check")
    path = f"{mount(invocation)}/approve/{invocation.text('approver').strip('/')}"
    body = {"request": request, "change": _change(invocation), "ttl": _seconds(invocation)}
    with ErrorPrefix(f"Error writing {path}"):
        answer = invocation.client.send("PUT", path, body=body).json()
    invocation.say(str(as_map(answer.get("data")).get("block") or ""))
    return EXIT_OK


def _change(invocation: Invocation) -> str:
    change = invocation.text("change")
    if not change:
        raise UsageError("-change: name what is approved")
    return change


def _seconds(invocation: Invocation) -> int:
    """For how long an approval is fresh."""
    ttl = invocation.seconds("ttl")
    seconds = _FRESH if ttl is None else ttl
    if seconds < 1:
        raise UsageError("-ttl: must be a second or more")
    return seconds


def _key(invocation: Invocation) -> str:
    file = invocation.text("key-file")
    if not file:
        raise UsageError(
            "Name the approver: -key-file with its private key, or -approver that the server knows"
        )
    return read_file(file)
