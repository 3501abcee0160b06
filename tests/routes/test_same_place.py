# SPDX-License-Identifier: EUPL-1.2
"""Several clients write to one place at once, on a disk that takes its time: each is done, one after the other."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.routes.driver import Application
from vault.storage.sqlite.storage import SqliteStorage

SLOW = 0.01
"""Seconds that a COMMIT takes."""


def _slowly(statement: str) -> None:
    if statement == "commit":
        time.sleep(SLOW)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    """Return an application on a slow disk."""
    storage = SqliteStorage.open(tmp_path / "s.db", on_statement=_slowly)
    app = Application(storage)
    yield app
    app.close()
    asyncio.run(storage.close())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("secret/data/one", {"data": {"a": "b"}}),
        ("plain/one", {"a": "b"}),
        ("cubbyhole/one", {"a": "b"}),
        ("auth/approle/role/one", {"token_policies": "default"}),
        ("auth/userpass/users/one", {"password": "long enough for anybody"}),
        ("sys/policies/acl/one", {"policy": 'path "a" { capabilities = ["read"] }'}),
    ],
)
def test_several_clients_create_the_same_and_each_is_answered(
    app: Application, path: str, body: dict[str, object]
) -> None:
    async def several() -> list[int]:
        asked = (app.ask("POST", f"/v1/{path}", body, token="root") for _ in range(4))
        return [answer.status for answer in await asyncio.gather(*asked)]

    assert set(app.run(several())) <= {200, 204}


def test_one_deletes_what_others_write(app: Application) -> None:
    async def several() -> list[int]:
        asked = [
            app.ask(method, f"/v1/secret/{kind}/one", body, token="root")
            for _ in range(3)
            for method, kind, body in (("POST", "data", {"data": {"a": "b"}}), ("DELETE", "metadata", None))
        ]
        return [answer.status for answer in await asyncio.gather(*asked)]

    assert set(app.run(several())) <= {200, 204}
