# SPDX-License-Identifier: EUPL-1.2
"""A vault with thousands of leases and tokens, in small: `make bench-leases` takes a million of them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.perf.lease_report import Figures, table, verdicts
from tests.perf.lease_seed import GOING, LEASES, STAYING, TOKENS, Amount, fill
from tests.perf.lease_server import KIND, Accounts
from tests.perf.load import Round
from tests.routes.driver import Application

AMOUNT = Amount(leases=1500, tokens=1200, going=600)
CORE = "ns/root/"


@pytest.fixture(scope="module")
def filled() -> Iterator[Application]:
    with Application() as application:
        application.request("PUT", "/v1/sys/seal", token="root")
        application.run(fill(application.storage, application.key, AMOUNT))
        application.vault.leases.endings.serve(KIND, Accounts())
        application.reopen()
        yield application


@contextmanager
def statements(application: Application, heard: Callable[[str], None]) -> Iterator[None]:
    """Tell of each statement by its name."""
    application.storage._on_statement = heard  # type: ignore[attr-defined]  # the memory storage's own hook
    try:
        yield
    finally:
        application.storage._on_statement = None  # type: ignore[attr-defined]  # as above


def held(application: Application, prefix: str) -> list[str]:
    answer = application.request("LIST", f"/v1/sys/leases/lookup/{prefix}/", token="root")
    names: list[str] = answer.json()["data"]["keys"] if answer.status == 200 else []
    return names


@pytest.mark.parametrize(
    ("kind", "staying"),
    [(LEASES, AMOUNT.leases - AMOUNT.going), (TOKENS, AMOUNT.tokens - AMOUNT.going)],
)
def test_a_prefix_is_revoked_whole_and_alone_while_others_read_on(
    filled: Application, kind: str, staying: int
) -> None:
    assert len(held(filled, f"{kind}/{STAYING}")) == staying
    assert len(held(filled, f"{kind}/{GOING}")) == AMOUNT.going

    seen: list[str] = []

    async def both() -> None:
        path = f"/v1/sys/leases/revoke-prefix/{kind}/{GOING}"
        revoking = asyncio.ensure_future(filled.ask("PUT", path, {"sync": True}, token="root"))
        while not revoking.done():
            assert (await filled.ask("GET", "/v1/secret/data/x", token="root")).status == 200
            await asyncio.sleep(0)
        assert (await revoking).status == 204

    with statements(filled, seen.append):
        filled.run(both())
    assert seen.count("commit") >= AMOUNT.going // 64, "others wait while too much is revoked at once"
    assert held(filled, f"{kind}/{GOING}") == []
    assert len(held(filled, f"{kind}/{STAYING}")) == staying


def test_opening_reads_no_lease_and_no_token(filled: Application) -> None:
    seen: list[str] = []
    with statements(filled, seen.append):
        filled.request("PUT", "/v1/sys/seal", token="root")
        filled.reopen()
    assert 0 < len(seen) < 500


def _figures(server: str, *, serving: float = 1.0, resident: float = 60.0, during: float = 9000) -> Figures:
    rounds = [Round(5000, 1000, during)]
    idle = [Round(6000, 1000, 5000)]
    return Figures(server, "things", serving, resident, resident, idle, {"a/b": (3.0, rounds)})


GOOD: dict[str, Any] = {"serving": 1.0, "resident": 60.0, "during": 9000}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"serving": 5.0}, "serving after 5.00 s"),
        ({"resident": 110.5}, "50.5 MiB over an empty server"),
        ({"during": 15000}, "p99 is 3.00 x idle while a/b goes"),
    ],
)
def test_a_promise_that_was_missed_is_said(change: dict[str, Any], said: str) -> None:
    empty, theirs = _figures("coffre"), _figures("openbao", serving=60, resident=900, during=90000)
    assert verdicts([empty, _figures("coffre", **GOOD), theirs]) == []
    (line,) = verdicts([empty, _figures("coffre", **{**GOOD, **change}), theirs])
    assert said in line


def test_the_table_names_every_figure() -> None:
    text = table([_figures("coffre"), _figures("openbao", during=20000)])
    assert "coffre with things" in text and "openbao with things" in text
    assert "4.00 x idle" in text and "serving 1.00 s" in text and "resident 60.0 MiB" in text
