# SPDX-License-Identifier: EUPL-1.2
"""Help on a path, rendered from its routes: for `path-help` and `?help=1`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.framework.call import Call, Reply
from vault.framework.openapi import document
from vault.framework.route import Bound, Route


class Help(msgspec.Struct, frozen=True):
    """The answer to `?help=1`."""

    help: str
    see_also: None
    openapi: object


async def show(bounds: Sequence[Bound], call: Call) -> Reply[Help]:
    """Describe everything that can be done at the path of `call`; on a mount's root, everything that it can do."""
    routes = [bound.route for bound in bounds]
    head = f"Request:        {call.local}\nMatching Route: {routes[0].shown}\n\n" if call.local else ""
    text = head + "\n\n".join(_describe(route, call.mount.path) for route in routes)
    return Reply(data=Help(text, None, document({call.mount.path: routes})), plain=True)


def _describe(route: Route, mount: str) -> str:
    lines = [f"## {route.operation.value.upper()} {mount}{route.shown}", "", route.summary]
    if route.description:
        lines += ["", route.description]
    if route.parameters:
        lines += ["", "### PARAMETERS", ""]
        for parameter in route.parameters.values():
            lines += [f"    {parameter.name} ({parameter.kind.name})", "", f"        {parameter.doc}", ""]
    return "\n".join(lines).rstrip()
