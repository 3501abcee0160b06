# SPDX-License-Identifier: EUPL-1.2
"""A newer release that is started beside a running server, on the same storage: the older one is sealed, and says so once."""

from collections.abc import Generator
from unittest import mock

import pytest

from tests.routes.driver import Application
from tests.shared import Shared
from vault.barrier import formats
from vault.barrier.stored import KINDS, RecordKind

Both = tuple[Application, Application]
_SEALED = (503, ["Vault is sealed"])


@pytest.fixture
def both(shared: Shared) -> Generator[Both]:
    """The one that a newer release writes through, and an older one."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


def _newer(application: Application) -> None:
    """Say in the database what a release with one more kind of record says when it is unsealed."""
    with mock.patch.dict(KINDS):
        RecordKind("of later", dict[str, str])
        application.run(formats.note(application.storage))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "secret/data/x"),
        ("POST", "secret/data/x"),
        ("POST", "auth/token/create"),
        ("POST", "sys/rotate"),
    ],
)
def test_whoever_runs_an_older_release_is_sealed_by_the_next_request_and_stays_so(
    both: Both, method: str, path: str
) -> None:
    one, other = both
    body = {"data": {"a": 3}} if path.startswith("secret") else {}
    assert other.request(method, f"/v1/{path}", body if method == "POST" else None, token="root").status < 300
    _newer(one)
    for _ in range(2):
        answer = other.request(method, f"/v1/{path}", body if method == "POST" else None, token="root")
        assert (answer.status, answer.json()["errors"]) == _SEALED
    assert other.request("GET", "/v1/sys/health").status == 503
    answer = other.request("PUT", "/v1/sys/unseal", {"key": one.key})
    assert answer.status == 500, answer.body
    assert other.request("GET", "/v1/sys/seal-status").json()["sealed"]
    log = other.log.getvalue()
    assert log.count("a newer release was started on this database") == 1
    assert "'of later' version 1 (known: none)" in log


def test_who_says_nothing_new_seals_nobody(both: Both) -> None:
    one, other = both
    one.run(formats.note(one.storage))
    assert one.request("PUT", "/v1/sys/seal", {}, token="root").status == 204
    assert not one.request("PUT", "/v1/sys/unseal", {"key": one.key}).json()["sealed"]
    assert other.request("GET", "/v1/secret/data/x", token="root").status == 200
