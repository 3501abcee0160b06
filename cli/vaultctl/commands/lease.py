# SPDX-License-Identifier: EUPL-1.2
"""lease lookup, renew and revoke."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation


def lookup(invocation: Invocation) -> int:
    """Show a lease."""
    lease = _lease(invocation)
    with ErrorPrefix(f"error looking up lease id {lease}"):
        response = invocation.client.send("PUT", "sys/leases/lookup", body={"lease_id": lease})
    return invocation.print_answer(response.json())


def renew(invocation: Invocation) -> int:
    """Renew a lease."""
    lease = _lease(invocation)
    increment = invocation.seconds("increment") or 0
    with ErrorPrefix(f"Error renewing {lease}"):
        response = invocation.client.send(
            "PUT", "sys/leases/renew", body={"increment": increment, "lease_id": lease}
        )
    return invocation.print_answer(response.json())


def revoke(invocation: Invocation) -> int:
    """Revoke a lease, or all leases below a prefix."""
    lease = invocation.args[0].strip()
    force = invocation.truth("force") or invocation.truth("f")
    prefix = invocation.truth("prefix")
    sync = invocation.truth("sync")
    if force and not prefix:
        raise UsageError("Specifying -force requires also specifying -prefix")
    if force:
        invocation.warn(
            "Warning! Forgetting leases by force can leave credentials alive in the systems that issued them."
        )
        with ErrorPrefix(f"Error force revoking leases with prefix {lease}"):
            invocation.client.send("PUT", f"sys/leases/revoke-force/{lease}")
        invocation.say(f"Success! Force revoked any leases with prefix: {lease}")
        return EXIT_OK
    path = "revoke-prefix" if prefix else "revoke"
    what = f"Error revoking leases with prefix {lease}" if prefix else f"Error revoking lease {lease}"
    with ErrorPrefix(what):
        invocation.client.send("PUT", f"sys/leases/{path}/{lease}", body={"sync": sync})
    if not sync:
        invocation.say("All revocation operations queued successfully!")
    elif prefix:
        invocation.say(f"Success! Revoked any leases with prefix: {lease}")
    else:
        invocation.say(f"Success! Revoked lease: {lease}")
    return EXIT_OK


def _lease(invocation: Invocation) -> str:
    if not invocation.args:
        raise UsageError("Missing ID!")
    return invocation.args[0].strip()
