# SPDX-License-Identifier: EUPL-1.2
"""What the log calls a request, and what the request is about. Pure: by route, kind of mount, operation and path."""

from __future__ import annotations

import functools
import re
from typing import Final

from vault.framework.call import Call
from vault.framework.request.operation import Operation
from vault.framework.route import Route

NOTICES: Final = frozenset(
    {
        "esa.config.reload",
        "esa.log.device.failed",
        "esa.log.device.recovered",
        "esa.log.purge",
        "esa.log.retention",
        "esa.seal.closed",
        "esa.seal.opened",
        "esa.server.start",
        "esa.server.stop",
        "esa.snapshot.create",
        "esa.snapshot.failed",
        "esa.snapshot.remove",
    }
)
"""What the log says of the server's own life, unasked."""
_AREAS: Final = {"system": "sys", "": "request"}
"""Areas that are not called like the kind of the mount; a request that no mount answers has one of its own."""
_VERBS: Final = {Operation.CREATE: "write", Operation.UPDATE: "write"}
_OTHERS: Final = re.compile(r"[^a-z0-9_]")


def event_name(route: Route | None, kind: str, operation: Operation) -> str:
    """Return the name of the event that a request is: `esa.auth.login`, `esa.kv.read`.

    `kind` is that of the mount. It is what the route declares, else the kind and the operation. Create and update are
    one event, as only some routes tell them apart; help is always that of the kind. `route` is None where none was found.
    """
    return _name("" if route is None else route.access.event, kind, operation)


@functools.lru_cache(maxsize=4096)
def _name(declared: str, kind: str, operation: Operation) -> str:
    if declared and operation is not Operation.HELP:
        return f"esa.{declared}"
    return f"esa.{_area(kind)}.{_VERBS.get(operation, operation)}"


@functools.lru_cache(maxsize=256)
def _area(kind: str) -> str:
    """Return the first word of the events of a kind of mount. Kinds that others bring may have any name."""
    return _AREAS.get(kind) or _OTHERS.sub("_", kind.lower())


def resource(call: Call) -> tuple[str, str]:
    """Return the type and the id of what a request is about.

    A secret has one id whichever of its routes is called: the path of its mount, from the root namespace, and its own
    below that. Everything else is called by its canonical path from the root namespace, and its type is the event's area.
    """
    where = call.destination
    bound = getattr(call, "bound", None)
    if bound is None:
        return _area(where.mount.kind), where.full
    access = bound.route.access
    if access.resource:
        own = "/".join(where.captures.values())
        return access.resource, f"{where.namespace.path}{where.mount.path}{own}"
    return access.event.partition(".")[0] or _area(where.mount.kind), where.full
