# SPDX-License-Identifier: EUPL-1.2
"""nhi attenuate, seal and inspect: what a holder does without the server."""

from __future__ import annotations

import hashlib
import time

from vaultctl.body import read_file
from vaultctl.commands.nhi.tokens import OfflineErrors, issuer_key, the_token
from vaultctl.errors import EXIT_OK, CommandError, UsageError
from vaultctl.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nhi.holder.limits import HolderLimits
    from nhi.holder.tokens import Look


def attenuate(invocation: Invocation) -> int:
    """Print a token that can do less."""
    with OfflineErrors(invocation):
        from nhi.holder.limits import datalog
        from nhi.holder.tokens import attenuated, ends_at, problem, sealed

        token = the_token(invocation)
        source, terms = datalog(_limits(invocation, ends_at(token)))
        root = issuer_key(invocation, token)
        made = attenuated(token, root, source, terms)
        wrong = problem(made, root)
        if wrong:
            invocation.warn(f"WARNING! The server refuses this token: {wrong}.")
        invocation.say(sealed(made) if invocation.truth("seal") else made)
    return EXIT_OK


def seal(invocation: Invocation) -> int:
    """Print a token that nobody can add to."""
    with OfflineErrors(invocation):
        from nhi.holder.tokens import sealed

        invocation.say(sealed(the_token(invocation)))
    return EXIT_OK


def inspect(invocation: Invocation) -> int:
    """Show what a token says, block by block."""
    with OfflineErrors(invocation):
        from nhi.holder.tokens import look

        token = the_token(invocation)
        found = look(token, None if invocation.truth("unverified") else issuer_key(invocation, token))
    if invocation.tabular:
        invocation.say(_told(found))
        return EXIT_OK
    blocks = [
        {"id": part.id, "datalog": part.datalog, "external_key": part.external_key or None}
        for part in found.blocks
    ]
    return invocation.print_value(
        {
            "verified": found.verified,
            "root_key_id": found.root_key_id,
            "token_id": found.token_id,
            "workload": found.workload,
            "namespace": found.namespace,
            "policies": list(found.policies),
            "expire_time": _time(found.until),
            "sealed": found.sealed,
            "size": found.size,
            "cost": found.cost,
            "blocks": blocks,
        }
    )


def _limits(invocation: Invocation, end: int) -> HolderLimits:
    """What the flags demand; a time that is no earlier than the token's own `end` (seconds, 0 for none) demands nothing."""
    from nhi.holder.limits import HolderLimits

    ttl = invocation.seconds("ttl")
    if ttl is not None and ttl < 1:
        raise UsageError("-ttl: must be a second or more")
    until = int(time.time()) + ttl if ttl is not None else 0
    body = invocation.text("body-file")
    return HolderLimits(
        operations=invocation.texts("op"),
        paths=[path.lstrip("/") for path in invocation.texts("path")],
        until=0 if 0 < end <= until else until,
        networks=invocation.texts("cidr"),
        body_sha256=_digest(body) if body else "",
        checks=[read_file(one[1:]) if one.startswith("@") else one for one in invocation.texts("check")],
    )


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise CommandError(f"cannot read the file {path}: {err.strerror}") from None


def _told(found: Look) -> str:
    from vaultctl.text.output import key_values

    rows = [
        ("verified", "true" if found.verified else "false: anybody could have written this"),
        ("root_key_id", str(found.root_key_id)),
        ("token_id", found.token_id),
        ("workload", _line(found.workload)),
        ("namespace", _line(found.namespace)),
        ("policies", _line(", ".join(found.policies))),
        ("expire_time", _time(found.until)),
        ("sealed", "true" if found.sealed else "false"),
        ("size", f"{found.size} bytes"),
    ]
    parts = [key_values(rows)]
    for place, part in enumerate(found.blocks):
        head = f"Block {place}" + (f"  {part.id}" if part.id else "")
        by = f"  signed by {part.external_key}" if part.external_key else ""
        parts.append(f"{head}{by}\n{part.datalog.rstrip() or '(nothing)'}")
    return "\n\n".join(parts)


def _line(text: str) -> str:
    """A text of the token's on one line, without what a terminal would act upon."""
    from nhi.picture.node import shown

    return shown(text)


def _time(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
