# SPDX-License-Identifier: EUPL-1.2
"""identity explain: where each policy of an entity comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9A-Za-z]{6})?")


def explain(invocation: Invocation) -> int:
    """Show an entity's policies, and for each whether the entity itself or a group gives it."""
    from vaultctl.text.output import columns

    name = invocation.args[0].strip()
    entity = _entity(invocation, name)
    groups = {one: _group(invocation, one) for one in map(str, as_list(entity.get("group_ids")))}
    direct = set(map(str, as_list(entity.get("direct_group_ids"))))
    sources: list[tuple[str, str]] = [(str(one), "the entity") for one in as_list(entity.get("policies"))]
    for group_id, group in groups.items():
        via = "" if group_id in direct else f", through {_inner(group_id, groups)}"
        sources += [(str(one), f"group {group.get('name')}{via}") for one in as_list(group.get("policies"))]
    sources.sort()
    if not invocation.tabular:
        return invocation.print_value(
            {
                "disabled": bool(entity.get("disabled")),
                "entity_id": entity.get("id"),
                "name": entity.get("name"),
                "policies": [{"policy": policy, "source": source} for policy, source in sources],
            }
        )
    if entity.get("disabled"):
        invocation.say("The entity is disabled: its tokens are refused.")
    if not sources:
        invocation.say("Neither the entity nor a group gives it a policy.")
        return EXIT_OK
    invocation.say(columns([("Policy", "From"), *sources]))
    return EXIT_OK


def _entity(invocation: Invocation, name: str) -> Mapping[str, object]:
    """Return an entity by its id or its name. Raises `CommandError` where there is none."""
    place = "id" if _ID.fullmatch(name) else "name"
    with ErrorPrefix(f"Error reading entity {name}"):
        response = invocation.client.send(
            "GET", f"identity/entity/{place}/{quote(name, safe='/')}", accept_missing=True
        )
    if response.status == 404:
        raise CommandError(f"No entity: {name}", EXIT_REMOTE)
    return as_map(response.json().get("data"))


def _group(invocation: Invocation, group_id: str) -> Mapping[str, object]:
    with ErrorPrefix(f"Error reading group {group_id}"):
        answer = invocation.client.send("GET", f"identity/group/id/{group_id}").json()
    return as_map(answer.get("data"))


def _inner(group_id: str, groups: Mapping[str, Mapping[str, object]]) -> str:
    """Return the names of the groups of the entity that are in a group, which are why it counts."""
    inside = [
        str(group.get("name"))
        for group in groups.values()
        if group_id in as_list(group.get("parent_group_ids"))
    ]
    return ", ".join(sorted(inside))
