# SPDX-License-Identifier: EUPL-1.2
"""What is written down of tokens' use: those never presented, when the others came last, to the hour; and nothing in a turn."""

import asyncio
from typing import Any

import pytest

from nhi.biscuit.credential.first_seen import Presentation, Presentations
from nhi.biscuit.records import lineage, store, uses
from nhi.biscuit.records.model import IssuedToken
from nhi.biscuit.records.uses import COARSE, LAST, UNSEEN, USES
from tests.routes.driver import Application
from tests.routes.issuer import DB, LOOK, OTHER, READS, Issuer
from vault.barrier.view import ReadView, View
from vault.framework.call import ROOT, Call
from vault.framework.clock import rfc3339
from vault.framework.errors import FactsChanged
from vault.framework.reply import Reply
from vault.pipeline import Pipeline
from vault.server.compose.groups.capacities import Capacities
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure
from vault.values.ids import ROOT_ID, TokenId
from vault.values.times import Nanos

HOUR = COARSE // 1000


def _found(issuer: Issuer, query: str = "") -> list[dict[str, Any]]:
    asked = query if "presented=" in query else f"presented=any&{query}"
    found: list[dict[str, Any]] = issuer.root(f"nhi/credentials?{asked}", method="GET")["data"]["credentials"]
    return found


def _ids(issuer: Issuer, query: str = "") -> list[str]:
    return [one["token_id"] for one in _found(issuer, query)]


def _now(issuer: Issuer) -> str:
    return rfc3339(Nanos(issuer.application.clock.millis() * 1_000_000))


def _kept(issuer: Issuer, folder: str) -> list[str]:
    vault = issuer.application.vault
    mount = vault.mounts.router.of(ROOT).get("nhi/")
    assert mount is not None
    view = vault.ground.barrier.reader(ROOT_ID, mount.prefix)
    return list(issuer.application.run(view.list(folder)))


def test_what_was_issued_and_never_presented_is_listed_until_it_is_or_ends(issuer: Issuer) -> None:
    clock = issuer.application.clock
    old = issuer.issue(ttl="2h")
    clock.sleep(60)
    used = issuer.issue()
    assert issuer.status(used, DB) == 200
    clock.sleep(60)
    young = issuer.issue()
    old_id, used_id, young_id = (issuer.token_id(one) for one in (old, used, young))
    assert _ids(issuer) == [young_id, used_id, old_id]
    assert _ids(issuer, "presented=no") == [young_id, old_id]
    assert (_ids(issuer, "presented=yes"), issuer.root("nhi/credentials", method="GET")["data"]["next"]) == (
        [used_id],
        "",
    )
    assert issuer.application.request("GET", "/v1/nhi/credentials?presented=x", token="root").status == 400
    assert [_ids(issuer, query) for query in ("source=127.0.0.1", "anomaly=any")] == [[used_id], []]
    shown = {one["token_id"]: one for one in _found(issuer)}
    assert [shown[one]["presented"] for one in (young_id, used_id, old_id)] == [False, True, False]
    assert [shown[old_id][name] for name in ("first_seen", "last_seen", "sources", "state")] == [
        "",
        "",
        [],
        "active",
    ]
    page = issuer.root("nhi/credentials?presented=any&limit=1", method="GET")["data"]
    assert _ids(issuer, f"after={page['next']}") == [used_id, old_id]
    assert _ids(issuer, f"since={shown[used_id]['issue_time']}") == [young_id, used_id]
    assert _ids(issuer, f"until={shown[used_id]['issue_time']}") == [old_id]
    issuer.root("nhi/workloads/w2", {"owner": "b", "ttl": "1d"})
    issuer.root("nhi/registrations/r2", {"workload": "w2", "policies": "app"})
    issuer.root("nhi/issue/r2")
    assert [_ids(issuer, f"workload={one}") for one in ("w1", "w3")] == [[young_id, used_id, old_id], []]
    assert len(_ids(issuer, "workload=w2&presented=no")) == 1
    assert issuer.status(old, DB) == 200
    assert _ids(issuer, "presented=no&workload=w1") == [young_id]
    assert [one for one in _kept(issuer, UNSEEN) if one.endswith(old_id)] == []
    clock.sleep(3 * HOUR)
    issuer.application.settle()
    assert (_ids(issuer, "presented=no"), _kept(issuer, UNSEEN)) == ([], [])


def test_one_that_was_revoked_before_anybody_used_it_is_listed_as_that(issuer: Issuer) -> None:
    token = issuer.issue()
    issuer.root("nhi/revoke", {"token": token, "block": 0})
    assert [(one["state"], one["presented"]) for one in _found(issuer)] == [("revoked", False)]


@pytest.mark.parametrize("capacities", [Capacities(names=2)], ids=["two names"])
def test_many_that_were_never_presented_come_by_pages_in_order(issuer: Issuer) -> None:
    tokens = []
    for place in range(9):
        issuer.application.clock.sleep(1)
        tokens.append(issuer.issue())
        if place % 3 == 0:
            assert issuer.status(tokens[-1], DB) == 200
    ids = [issuer.token_id(one) for one in reversed(tokens)]
    assert _ids(issuer) == ids
    looked, after = [], ""
    with Application(like=issuer.application, capacities=Capacities(names=2, blocks=1)) as slower:
        while True:
            path = f"/v1/nhi/credentials?presented=any&workload=w1&after={after}"
            page = slower.request("GET", path, token="root").json()["data"]
            looked += [one["token_id"] for one in page["credentials"]]
            after = page["next"]
            if not after:
                break
    assert looked == ids


@pytest.mark.in_memory("counts what the memory is written")
def test_the_last_use_is_kept_to_the_hour_and_a_request_in_between_writes_nothing(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[object] = []
    begin = MemoryStorage.write

    def counted(self: MemoryStorage, *, optimistic: bool = False) -> object:
        commits.append(self)
        return begin(self, optimistic=optimistic)

    clock = issuer.application.clock
    token = issuer.issue(ttl="24h")
    first = _now(issuer)
    assert issuer.status(token, DB) == 200
    looks: list[object] = []
    note = Presentations.note

    async def looked(self: Presentations, *given: Any) -> Presentation:
        looks.append(self)
        return await note(self, *given)

    monkeypatch.setattr(MemoryStorage, "write", counted)
    monkeypatch.setattr(Presentations, "note", looked)
    for _ in range(50):
        clock.sleep(60)
        assert [issuer.status(token, one) for one in (DB, OTHER)] == [200, 200]
    assert (commits, looks) == ([], [])
    issuer.application.vault.credentials.biscuits._cache.drop(None)
    assert issuer.status(token, LOOK) == 200
    assert (commits, len(looks)) == ([], 1)
    assert (
        first
        <= _found(issuer)[0]["last_seen"]
        < rfc3339(Nanos(issuer.application.clock.nanos() - 2_900 * 10**9))
    )
    clock.sleep(HOUR)
    before = _now(issuer)
    for _ in range(20):
        assert issuer.status(token, DB) == 200
    assert len(commits) == 1
    assert _found(issuer)[0]["last_seen"] >= before > _found(issuer)[0]["first_seen"]
    clock.sleep(HOUR + 60)
    assert [issuer.status(token, DB) for _ in range(5)] == [200] * 5
    assert len(commits) == 2
    issuer.root("nhi/revoke", {"token": token})
    commits.clear()
    clock.sleep(2 * HOUR)
    last = _found(issuer)[0]["last_seen"]
    assert [issuer.status(token, DB) for _ in range(3)] == [403] * 3
    assert _found(issuer)[0]["last_seen"] == last


def test_a_storage_that_takes_nothing_does_not_refuse_a_token_for_its_last_use(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.issue(ttl="24h")
    assert issuer.status(token, DB) == 200
    issuer.application.clock.sleep(HOUR + 1)

    async def full(*_: object) -> None:
        raise StorageFailure("the disk is full")

    monkeypatch.setattr(uses, "again", full)
    assert issuer.status(token, DB) == 200


def test_a_report_says_how_many_were_issued_and_presented_and_when_the_last_came(issuer: Issuer) -> None:
    def report() -> tuple[int, int, str]:
        (one,) = issuer.root("nhi/report", method="GET")["data"]["registrations"]
        return one["issued"], one["presented"], one["last_used"]

    assert report() == (0, 0, "")
    one, _ = issuer.issue(ttl="24h"), issuer.issue()
    assert report() == (2, 0, "")
    before = _now(issuer)
    for token in (one, issuer.narrow(one, READS), one):
        assert issuer.status(token, DB) == 200
    issued, presented, last = report()
    assert (issued, presented, last >= before) == (2, 1, True)
    issuer.application.clock.sleep(HOUR + 1)
    assert issuer.status(one, DB) == 200
    assert report()[:2] == (2, 1) and report()[2] > last
    issuer.root("nhi/registrations/r1", method="DELETE")
    assert _kept(issuer, USES) == []


def test_when_a_token_was_last_used_is_forgotten_with_its_tree(issuer: Issuer) -> None:
    token = issuer.issue(ttl="24h")
    clock = issuer.application.clock
    assert issuer.status(token, DB) == 200
    clock.sleep(HOUR + 1)
    assert issuer.status(token, DB) == 200
    assert len(_kept(issuer, LAST)) == 1
    clock.sleep(40 * 86_400)
    issuer.application.settle()
    assert (_kept(issuer, LAST), _ids(issuer)) == ([], [])


def test_a_write_whose_token_is_revoked_while_it_waits_for_its_turn_is_refused_as_any_other(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.issue()
    assert issuer.status(token, DB, "POST", {"data": {"a": "2"}}) == 200
    attempt, parse = Pipeline.attempt, Pipeline.parse
    parsed: list[str] = []

    async def moved(self: Pipeline, call: Call, core: View | None = None) -> Reply[object] | None:
        if not parsed and core is None:
            await self.check_in(call, core)
            raise FactsChanged
        return await attempt(self, call, core)

    async def waits(self: Pipeline, call: Call) -> None:
        await parse(self, call)
        parsed.append(call.path)
        if parsed == [DB, DB]:
            revoked = await issuer.application.ask("POST", "/v1/nhi/revoke", {"token": token}, token="root")
            assert revoked.status == 200

    monkeypatch.setattr(Pipeline, "attempt", moved)
    monkeypatch.setattr(Pipeline, "parse", waits)
    assert issuer.status(token, DB, "POST", {"data": {"a": "3"}}) == 403
    assert "nhi/revoke" in parsed


@pytest.mark.in_memory("counts what the memory is written")
def test_chains_that_come_at_once_are_written_down_together(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, second = issuer.issue(), issuer.issue()
    chains = [issuer.narrow(whole, f'check if resource("{DB}"); n({n});') for n in range(12)]
    chains += [issuer.narrow(second, READS), second]
    commits: list[object] = []
    begin = MemoryStorage.write

    def counted(self: MemoryStorage, *, optimistic: bool = False) -> object:
        commits.append(self)
        return begin(self, optimistic=optimistic)

    async def ask(token: str) -> int:
        return (await issuer.application.ask("GET", f"/v1/{DB}", token=token)).status

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*map(ask, chains))

    monkeypatch.setattr(MemoryStorage, "write", counted)
    assert issuer.application.run(all_at_once()) == [200] * 14
    assert len(commits) <= 3
    assert [len(issuer.tree(one)["nodes"]) for one in (whole, second)] == [13, 2]
    told = [
        one["response"]["sighting"]
        for one in issuer.application.records()
        if "sighting" in one.get("response", {})
    ]
    assert sum(len(one["first_seen"]) for one in told) == 15
    assert _found(issuer)[0]["presented"] is True


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_what_is_stored_of_a_token_is_known_while_its_first_chain_is_written_down(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = issuer.issue()
    first, second = issuer.narrow(whole, READS), issuer.narrow(whole, f"n(1); {READS}")
    token_id = issuer.token_id(whole)
    looked_up: list[TokenId] = []
    find_issued, note = store.issued, Presentations.note
    writing, written = asyncio.Event(), asyncio.Event()

    async def counted(view: ReadView, token_id: TokenId) -> IssuedToken | None:
        looked_up.append(token_id)
        return await find_issued(view, token_id)

    async def held(self: Presentations, *given: Any) -> Presentation:
        if not writing.is_set():
            writing.set()
            await written.wait()
        return await note(self, *given)

    async def one_after_the_other() -> list[int]:
        asked = asyncio.create_task(issuer.application.ask("GET", f"/v1/{DB}", token=first))
        await writing.wait()
        later = await issuer.application.ask("GET", f"/v1/{DB}", token=second)
        written.set()
        return [later.status, (await asked).status]

    monkeypatch.setattr(store, "issued", counted)
    monkeypatch.setattr(Presentations, "note", held)
    assert issuer.application.run(one_after_the_other()) == [200, 200]
    assert looked_up == [token_id]
    assert len(issuer.tree(whole)["nodes"]) == 3


def test_of_chains_that_come_at_once_a_tree_takes_as_many_as_one_after_the_other(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MOST_NODES", 5)
    whole = issuer.issue()
    chains = [issuer.narrow(whole, f"n({n}); {READS}") for n in range(9)]

    async def all_at_once() -> list[Any]:
        asked = (issuer.application.ask("GET", f"/v1/{DB}", token=one) for one in chains)
        return await asyncio.gather(*asked)

    assert [answer.status for answer in issuer.application.run(all_at_once())] == [200] * 9
    shown = issuer.tree(whole)
    assert (len(shown["nodes"]), shown["credential"]["anomalies"]) == (5, ["more-than-recorded"])
