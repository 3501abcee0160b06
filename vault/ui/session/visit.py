# SPDX-License-Identifier: EUPL-1.2
"""One visit to a page by a signed-in user: the fields of the request, and the client that asks `/v1/` for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.framework.fields import Json
from vault.ui.session.api_client import ApiAnswer, ApiClient
from vault.ui.session.sessions import Session
from vault.values.times import Millis

KIND = "nhi"
_FINE = frozenset({200, 204})


class ApiRefusal(Exception):
    """The server refused a request of a page."""

    def __init__(self, answer: ApiAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Visit(msgspec.Struct, frozen=True):
    """The arguments of a view. `mounts` are the engines that the token may see, `mount` the chosen one.

    `now` is in milliseconds, by the wall clock.
    """

    api: ApiClient
    session: Session
    fields: Mapping[str, str]
    mounts: Sequence[str]
    mount: str
    now: Millis

    def text(self, name: str) -> str:
        """Return a field, trimmed; empty where there is none."""
        return self.fields.get(name, "").strip()

    async def get(self, path: str, **fields: str) -> Mapping[str, Json]:
        """Read a path of the engine. Raises `ApiRefusal`."""
        given = {name: value for name, value in fields.items() if value}
        return require(await self.api.get(f"{self.mount}/{path}", given)).data

    async def names(self, path: str) -> list[str]:
        """List a path of the engine; an empty list where there is nothing. Raises `ApiRefusal`."""
        answer = await self.api.names(f"{self.mount}/{path}")
        return [] if answer.status == 404 else texts(require(answer).data, "keys")

    async def post(self, path: str, **fields: str) -> Mapping[str, Json]:
        """Write to a path of the engine. Raises `ApiRefusal`."""
        return require(await self.api.post(f"{self.mount}/{path}", fields)).data


async def engines(api: ApiClient) -> list[str]:
    """Return the mounts of engines that the token may see. Raises `ApiRefusal`."""
    found = require(await api.get("sys/internal/ui/mounts", {})).data
    mounts = found.get("secret")
    mounts = mounts if isinstance(mounts, dict) else {}
    return sorted(
        path.rstrip("/")
        for path, entry in mounts.items()
        if isinstance(entry, dict) and entry.get("type") == KIND
    )


def require(answer: ApiAnswer) -> ApiAnswer:
    """Return an answer that is no refusal. Raises `ApiRefusal`."""
    if answer.status not in _FINE:
        raise ApiRefusal(answer)
    return answer


def text(data: Mapping[str, Json], name: str) -> str:
    """Return a text or a number of an answer as text; empty where there is none."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value)


def texts(data: Mapping[str, Json], name: str) -> list[str]:
    """Return the texts of a list in an answer."""
    value = data.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def objects(data: Mapping[str, Json], name: str) -> list[Mapping[str, Json]]:
    """Return the objects of a list in an answer."""
    value = data.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
