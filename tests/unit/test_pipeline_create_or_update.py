# SPDX-License-Identifier: EUPL-1.2
"""Create and update are different rights, also for callers that race each other."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.routes.driver import Application
from vault.barrier.view import ReadView, View
from vault.engines.kv import store
from vault.storage.memory import MemoryStorage, _Transaction
from vault.storage.protocol import Conflict, StorageFailure
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


EITHER = 'path "secret/data/*" { capabilities = ["create", "update"] }'


@pytest.fixture
def failures() -> list[StorageFailure]:
    """What each look at one path of storage fails with, if anything."""
    return []


@pytest.fixture
def application(failures: list[StorageFailure]) -> Iterator[Application]:
    def look(name: str) -> None:
        if name == "get" and failures:
            raise failures[0]

    with Application(MemoryStorage(on_statement=look)) as application:
        yield application


def _token(application: Application, policies: Mapping[str, str]) -> str:
    """Return the token of somebody with these policies who has written before, so that his ACL is known."""
    for name, text in policies.items():
        application.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": text}, token="root")
    made = application.request("POST", "/v1/auth/token/create", {"policies": [*policies]}, token="root")
    token: str = made.json()["auth"]["client_token"]
    for _ in range(2):
        assert application.request("POST", "/v1/secret/data/known", {"data": {}}, token=token).status == 200
    application.records()
    return token


def _looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return what will have, of each look whether there is something, whether it was in a transaction."""
    looked: list[bool] = []
    exists = store.exists

    async def noting(view: ReadView, path: str) -> bool:
        looked.append(isinstance(view, View))
        return await exists(view, path)

    monkeypatch.setattr(store, "exists", noting)
    return looked


def _operations(application: Application) -> list[tuple[str, str, list[str]]]:
    """Of each record: its type, the operation, and the policies that granted it."""
    return [
        (
            record["type"],
            record["request"]["operation"],
            [one["name"] for one in record["auth"]["policy_results"].get("granting_policies", ())],
        )
        for record in application.records()
        if record["request"]["path"].startswith("secret/data/")
    ]


def test_who_may_do_either_alike_is_told_which_it_was_by_the_transaction_alone(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _token(application, {"either": EITHER})
    looked = _looks(monkeypatch)
    for _ in range(2):
        assert application.request("POST", "/v1/secret/data/new", {"data": {}}, token=token).status == 200
    assert looked == [True, True]
    assert _operations(application) == [
        (kind, operation, ["either"])
        for operation in ("create", "update")
        for kind in ("request", "response")
    ]


@pytest.mark.parametrize(
    ("policies", "granting"),
    [
        ({"creates": CREATE_ONLY, "updates": UPDATE_ONLY}, ["creates", "updates"]),
        ({"either": EITHER, "updates": UPDATE_ONLY}, ["either", "either updates"]),
        (
            {"either": EITHER, "limits": EITHER.replace("] }", '] allowed_parameters = { "data" = [] } }')},
            None,
        ),
    ],
)
def test_who_may_do_either_but_not_alike_is_told_before_the_acl(
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    policies: Mapping[str, str],
    granting: list[str] | None,
) -> None:
    token = _token(application, policies)
    looked = _looks(monkeypatch)
    for _ in range(2):
        assert application.request("POST", "/v1/secret/data/new", {"data": {}}, token=token).status == 200
    assert looked == [False, True, False, True]
    found = [(operation, " ".join(names)) for _, operation, names in _operations(application)][::2]
    assert [operation for operation, _ in found] == ["create", "update"]
    assert granting is None or [names for _, names in found] == granting


@pytest.mark.parametrize("failing", [False, True])
def test_what_is_refused_before_its_transaction_is_recorded_as_what_it_would_have_been(
    application: Application, failures: list[StorageFailure], *, failing: bool
) -> None:
    token = _token(application, {"either": EITHER})
    if failing:
        failures.append(StorageFailure("storage: disk on fire"))
    answer = application.request("POST", "/v1/secret/data/new", {"options": "wrong", "data": {}}, token=token)
    failures.clear()
    assert answer.status == (500 if failing else 400)
    operation = "update" if failing else "create"
    assert [(kind, told) for kind, told, _ in _operations(application)] == [
        ("request", operation),
        ("response", operation),
    ]


def test_what_is_refused_in_its_turn_is_recorded_as_what_it_would_have_been(tmp_path: Path) -> None:
    """The first attempt fails by facts that another server changed, the second in a transaction, which then ends."""
    mine, others = (SqliteStorage.open(tmp_path / "db") for _ in range(2))
    with Application(mine) as application, Application(others, beside=application) as other:
        token = _token(application, {"either": EITHER})
        assert other.request("POST", "/v1/sys/mounts/more", {"type": "kv"}, token="root").status == 204
        answer = application.request(
            "POST", "/v1/secret/data/new", {"options": "wrong", "data": {}}, token=token
        )
        assert answer.status == 400
        assert [told for *told, _ in _operations(application)] == [
            ["request", "create"],
            ["response", "create"],
        ]


@pytest.mark.parametrize("who", ["either", "root"])
def test_who_lost_a_create_to_anothers_is_recorded_as_updating(
    application: Application, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    token = "root" if who == "root" else _token(application, {"either": EITHER})
    application.records()
    commit = _Transaction.commit

    def lose(transaction: _Transaction) -> None:
        undone.undo()
        commit(transaction)  # as if it were another's, who was faster
        raise Conflict("another transaction changed what this one had read")

    with monkeypatch.context() as undone:
        undone.setattr(_Transaction, "commit", lose)
        answer = application.request("POST", "/v1/secret/data/new", {"data": {}}, token=token)
    assert (answer.status, answer.json()["data"]["version"]) == (200, 2)
    told = [(kind, operation) for kind, operation, _ in _operations(application)]
    assert told == [("request", "create"), ("response", "create"), ("response", "update")]
