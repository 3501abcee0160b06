# SPDX-License-Identifier: EUPL-1.2
"""Names of entities, which no record has: they are looked up when somebody reads, if the reader may."""

from __future__ import annotations

from vaultctl.commands.audit.words import text_of
from vaultctl.errors import CommandError
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vaultctl.http.client import Client

_MADE = "entity_"
"""How a name begins that nobody has chosen."""


class EntityNames:
    """Asks the server for each name once. After a refusal it asks for none: the next would be refused, and recorded, too."""

    def __init__(self, client: Client) -> None:
        self.known: dict[str, str] = {}
        """By id the names that were found."""
        self._asked: set[str] = set()
        self._client = client
        self._refused = False

    def __call__(self, entity: str) -> str:
        """The name of an entity; the empty string where it has none, or the reader may not know it."""
        if entity not in self._asked and not self._refused:
            self._asked.add(entity)
            self._ask(entity)
        return self.known.get(entity, "")

    def _ask(self, entity: str) -> None:
        try:
            answer = self._client.send("GET", f"identity/entity/id/{entity}", accept_missing=True).json()
        except CommandError:
            self._refused = True
            return
        name = _name_in(as_map(answer.get("data")))
        if name:
            self.known[entity] = name


def _name_in(found: Mapping[str, object]) -> str:
    """What people call an entity: its name, or of one that the server has named what it logs in as, and where."""
    name = text_of(found, "name")
    if not name.startswith(_MADE):
        return name
    for alias in map(as_map, as_list(found.get("aliases"))):
        where = text_of(alias, "mount_path").removeprefix("auth/")
        return f"{text_of(alias, 'name')} at {where}"
    return name
