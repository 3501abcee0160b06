# SPDX-License-Identifier: EUPL-1.2
"""What is stored names its suite and its key in its first five bytes, and a retired key opens and makes nothing (ESA-CRY-002)."""

from collections.abc import Mapping

from tests.routes.driver import Application
from vault.barrier.envelope import VERSION

_BELOW = {"core/seal/slots/shamir", "core/keyring", "core/seal/config", "core/formats"}
"""What lies below the barrier: the keyring and the slots by which it opens, how to ask for shares, and the layouts of rows.
Their own tests are beside `vault/barrier` and `vault/seal`."""


def _rows(application: Application) -> Mapping[str, bytes]:
    """All that is stored behind the barrier."""
    rows = application.stored()
    assert {path for path in rows if not path.startswith("ns/")} == _BELOW
    return {path: row for path, row in rows.items() if path.startswith("ns/")}


def _other(row: bytes, place: int, value: int) -> bytes:
    """A row with another byte at a place."""
    return row[:place] + bytes([value]) + row[place + 1 :]


async def _put(application: Application, rows: Mapping[str, bytes]) -> None:
    """Put rows in the place of others, under the vault."""
    async with application.storage.write() as tx:
        for path, row in rows.items():
            await tx.put(path, row)


def _write(application: Application, name: str) -> None:
    done = application.request("POST", f"/v1/secret/data/{name}", {"data": {"a": name}}, token="root")
    assert done.status == 200


def _read(application: Application, name: str) -> object:
    return application.request("GET", f"/v1/secret/data/{name}", token="root").json()["data"]["data"]


def test_everything_names_its_suite_and_key_and_a_retired_key_makes_nothing() -> None:
    with Application() as application:
        _write(application, "old")
        before = _rows(application)
        assert len(before) > 20
        assert {(row[0], int.from_bytes(row[1:5])) for row in before.values()} == {(VERSION, 1)}

        assert application.request("POST", "/v1/sys/rotate", {}, token="root").status == 204
        for name in ("new", "old-again"):
            _write(application, name)
        new = {path: row for path, row in _rows(application).items() if before.get(path) != row}
        assert {(row[0], int.from_bytes(row[1:5])) for row in new.values()} == {(VERSION, 2)}
        assert [_read(application, name) for name in ("old", "new")] == [{"a": "old"}, {"a": "new"}]


def test_what_names_another_suite_or_key_is_not_read() -> None:
    for place, value in ((0, 2), (4, 9)):
        with Application() as application:
            _write(application, "old")
            rows = _rows(application)
            application.run(
                _put(application, {path: _other(row, place, value) for path, row in rows.items()})
            )
            answer = application.request("GET", "/v1/secret/data/old", token="root")
            assert answer.status in {403, 500}
            assert b'"a"' not in answer.body
