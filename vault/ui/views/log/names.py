# SPDX-License-Identifier: EUPL-1.2
"""Names of entities and workloads, which no record has: they are asked for when somebody reads, with the reader's own token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from vault.framework.fields import Json
from vault.ui.session.api_client import segment
from vault.ui.session.visit import Visit, objects, text
from vault.ui.views.log.words import Record, blocks_of, entity_of, within

MOST: Final = 20
"""Names that one page asks for; each is a request, with a record of its own."""
_MADE: Final = "entity_"
"""How a name begins that nobody has chosen."""


async def names_of(
    visit: Visit, records: Iterable[Record], workloads: Mapping[str, str]
) -> Mapping[str, str]:
    """Return by id the names of those who acted. After a refusal no further one is asked for: it would be refused too."""
    found = {actor: f"the workload {workload}" for actor, workload in workloads.items()}
    entities = dict.fromkeys(
        entity for record in records if (entity := entity_of(record)) and "/" not in entity
    )
    for entity in list(entities)[:MOST]:
        answer = await visit.api.get(f"identity/entity/id/{entity}", {})
        if answer.status in {401, 403}:
            break
        name = _name(answer.data)
        if name:
            found[entity] = name
    return found


async def workloads_of(visit: Visit, records: Iterable[Record]) -> Mapping[str, str]:
    """Return the workloads of those who acted with a Biscuit, by the id of the actor; none where the token may not know them.

    Biscuits that were narrowed from one are of its workload, so that is asked for once.
    """
    actors: dict[str, set[str]] = {}
    for record in records:
        if visit.mount and (blocks := blocks_of(record)):
            actors.setdefault(blocks[0], set()).add(text(within(record, "actor"), "id"))
    found: dict[str, str] = {}
    for block in list(actors)[:MOST]:
        answer = await visit.api.get(f"{visit.mount}/credentials/{segment(block)}", {})
        if answer.status in {401, 403}:
            break
        workload = text(within(answer.data, "credential"), "workload") if answer.status == 200 else ""
        if workload:
            found.update(dict.fromkeys(actors[block], workload))
    return found


def _name(entity: Mapping[str, Json]) -> str:
    """Return what people call an entity: its name, or where nobody chose one what it logs in as, and where."""
    name = text(entity, "name")
    aliases = objects(entity, "aliases") if name.startswith(_MADE) else []
    if not aliases:
        return name
    where = text(aliases[0], "mount_path").removeprefix("auth/").rstrip("/")
    return f"{text(aliases[0], 'name')} at {where}"
