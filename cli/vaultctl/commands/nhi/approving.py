# SPDX-License-Identifier: EUPL-1.2
"""nhi approve: a third party's block, from request to token, in files that holder and approver exchange."""

from __future__ import annotations

import time

from vaultctl.body import read_file
from vaultctl.commands.nhi.tokens import Offline, text_of, the_token
from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import Invocation

_SECOND = 10**9
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
    with Offline():
        from nhi.holder.approvals import approved, asked, given

        if asks:
            invocation.say(asked(the_token(invocation)))
        elif block:
            invocation.say(approved(the_token(invocation), text_of(invocation, block)))
        else:
            invocation.say(given(text_of(invocation, request), *_terms(invocation), _key(invocation)))
    return EXIT_OK


def _terms(invocation: Invocation) -> tuple[str, int, list[str]]:
    """What is approved, until when, and the approver's own checks."""
    change = invocation.text("change")
    if not change:
        raise UsageError("-change: name what is approved")
    ttl = invocation.number("ttl")
    seconds = _FRESH if ttl is None else ttl // _SECOND
    if seconds < 1:
        raise UsageError("-ttl: must be a second or more")
    checks = [read_file(one[1:]) if one.startswith("@") else one for one in invocation.texts("check")]
    return change, int(time.time()) + seconds, checks


def _key(invocation: Invocation) -> str:
    file = invocation.text("key-file")
    if not file:
        raise UsageError("-key-file: name the file with the approver's private key")
    return read_file(file)
