# SPDX-License-Identifier: EUPL-1.2
"""Create and update are different rights, also for callers that race each other."""

import asyncio
from pathlib import Path

from tests.routes.driver import Application
from vault.storage.sqlite.storage import SqliteStorage

CREATE_ONLY = 'path "secret/data/*" { capabilities = ["create"] }'
UPDATE_ONLY = 'path "secret/data/*" { capabilities = ["update"] }'


def test_of_many_creates_at_once_only_the_first_is_a_create(tmp_path: Path) -> None:
    with Application(SqliteStorage.open(tmp_path / "db")) as application:
        token = application.token(CREATE_ONLY)

        async def race() -> list[int]:
            calls = [
                application.ask("POST", "/v1/secret/data/raced", {"data": {"n": n}}, token=token)
                for n in range(8)
            ]
            return sorted(answer.status for answer in await asyncio.gather(*calls))

        assert application.run(race()) == [200] + [403] * 7


def test_an_update_does_not_create_what_was_removed_meanwhile(tmp_path: Path) -> None:
    with Application(SqliteStorage.open(tmp_path / "db")) as application:
        token = application.token(UPDATE_ONLY)
        application.run(application.ask("POST", "/v1/secret/data/gone", {"data": {}}, token="root"))

        async def race() -> tuple[int, int]:
            removal = application.ask("DELETE", "/v1/secret/metadata/gone", None, token="root")
            update = application.ask("POST", "/v1/secret/data/gone", {"data": {"n": 1}}, token=token)
            removed, updated = await asyncio.gather(removal, update)
            return removed.status, updated.status

        assert application.run(race()) == (204, 403)
