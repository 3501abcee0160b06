# SPDX-License-Identifier: Apache-2.0
"""Where a run writes: below a prefix that the manifest gives, or in a namespace that it makes."""

from __future__ import annotations

import time
from typing import Final

from esa_conformance.errors import ConformanceError, UnknownOutcome
from esa_conformance.run.state import State

_READY_S: Final = 30.0
_ATTEMPTS: Final = 6
_ALL: Final = ("create", "read", "update", "patch", "delete", "list")


def open_namespace(state: State) -> None:
    """Make a namespace with a mount of secrets, and let all callers be there. Raises ConformanceError where it cannot.

    Where a connection is cut another one is begun; the journal names both.
    """
    callers, nobody = dict(state.callers), state.nobody
    for _ in range(_ATTEMPTS):
        try:
            _opened(state)
        except UnknownOutcome:
            state.callers, state.nobody, state.namespace = dict(callers), nobody, ""
        else:
            return
    raise ConformanceError("the place of the run cannot be made: connections are cut")


def _opened(state: State) -> None:
    admin = state.callers["admin"]
    name, _ = state.name("namespace")
    mount = admin.where.mount
    _done(admin.send("POST", f"sys/namespaces/{name}", {}).ok, "a namespace is made")
    state.namespace = name
    admin = admin.within(name).at(mount)
    state.callers = {"admin": admin}
    state.nobody = state.nobody.within(name).at(mount)
    _done(
        admin.send("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}}).ok,
        "a mount is made",
    )
    policy, _ = state.name("policy")
    _done(admin.write_policy(policy, {f"{mount}/*": _ALL}).ok, "a policy is written")
    token, number = state.name("token")
    given = admin.create_token(policies=[policy], ttl="2h", display_name=token)
    _done(given.token != "", "a credential is made")
    state.made(number, given.accessor)
    state.callers["kv"] = admin.using(given.token)
    wait_until_ready(state)


def wait_until_ready(state: State) -> None:
    """Wait until the mount takes requests: some servers prepare one for a moment."""
    until = time.monotonic() + _READY_S
    while not state.callers["kv"].metadata(f"esa-{state.run}-0").absent:
        _done(time.monotonic() < until, "the mount becomes ready")
        time.sleep(0.05)


def _done(holds: bool, what: str) -> None:
    if not holds:
        raise ConformanceError(f"the place of the run cannot be made: {what}")
