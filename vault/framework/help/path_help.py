# SPDX-License-Identifier: EUPL-1.2
"""Help on a path, rendered from its routes: for `path-help` and `?help=1`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from vault.framework.call import BoundRoute, Call
from vault.framework.help.openapi import document
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Route


class Help(msgspec.Struct, frozen=True):
    """The answer to `?help=1`."""

    help: str
    openapi: object
    see_also: None


_ORDER: Final = (
    Operation.READ,
    Operation.LIST,
    Operation.SCAN,
    Operation.CREATE,
    Operation.UPDATE,
    Operation.PATCH,
    Operation.DELETE,
    Operation.HEADER,
)
"""Operations in the order of the help text, reads first."""
_REASON: Final = re.compile(r" \((?:SL-\d+(?:, )?)+\)")
"""Parts of docstrings that are for readers of the code, not for users."""
_PATHS: Final = (
    "## PATHS\n\nWhat this mount answers, as patterns of paths below it. Ask for help on a path that fits one to see\n"
    "its parameters. Whether you may call it is for your token's policies to say.\n\n"
)


async def show(bounds: Sequence[BoundRoute], about: str, call: Call) -> Reply[Help]:
    """Describe all operations on the path of `call`; on a mount's root, all operations of the mount.

    `about` says what the mount is for. Paths are relative to the mount, in the document and in the text.
    """
    routes = sorted((bound.route for bound in bounds), key=lambda route: _ORDER.index(route.operation))
    text = _of_path(routes, call) if call.local else f"## DESCRIPTION\n\n{about}\n\n{_PATHS}{_listed(routes)}"
    text = _REASON.sub("", text)
    described = document({call.mount.path: routes})
    below = len(call.mount.path)
    described["paths"] = {f"/{path[1 + below :]}": item for path, item in described["paths"].items()}
    return Reply(data=Help(text, described, None), plain=True)


def _listed(routes: Sequence[Route]) -> str:
    """Return the patterns in order, each with what its first operation does."""
    found: dict[str, str] = {}
    for route in routes:
        found.setdefault(_pattern(route), route.summary)
    return "\n\n".join(f"    {pattern}\n        {summary}" for pattern, summary in sorted(found.items()))


def _pattern(route: Route) -> str:
    return f"^{route.pattern}$".replace("\\-", "-")


def _of_path(routes: Sequence[Route], call: Call) -> str:
    """Return the operations on one path with their parameters."""
    parameters = _parameters(routes)
    gap = "" if parameters else "\n"
    parts = [
        f"Request:        {call.local}\nMatching Route: {_pattern(routes[0])}\n\n{routes[0].summary}{gap}",
        *parameters,
        "## DESCRIPTION\n\nWhat each operation does.",
    ]
    for route in routes:
        said = f"    {route.operation.value.upper()} {call.mount.path}{route.shown}\n        {route.summary}"
        more = route.description.splitlines()
        parts.append("\n".join([said, *(f"        {line}".rstrip() for line in more)]))
    return "\n\n".join(parts)


def _parameters(routes: Sequence[Route]) -> list[str]:
    """Return the section of the parameters, in order of their names; none where there are none."""
    known = {name: one for route in reversed(routes) for name, one in route.parameters.items()}
    if not known:
        return []
    rows = [
        f"    {known[name].name} ({known[name].kind.name})\n\n        {known[name].doc}"
        for name in sorted(known)
    ]
    return ["## PARAMETERS", *rows]
