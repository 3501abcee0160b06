# SPDX-License-Identifier: EUPL-1.2
"""What a Biscuit rests on ends while one is being looked at, at each statement in turn: the next request obeys it."""

import asyncio
from collections.abc import Callable

import pytest

from tests.lagging import LaggingStorage
from tests.routes.driver import Answer, Application
from tests.routes.issuer import DB, READS, Issuer

TURNS = 24
Ending = tuple[str, object]
"""A path that root writes to, and what."""


def _revoke_workload(issuer: Issuer, token: str) -> Ending:
    return "nhi/workloads/w1/revoke", None


def _revoke_token(issuer: Issuer, token: str) -> Ending:
    return "nhi/revoke", {"token": token, "block": 0}


def _revoke_last_block(issuer: Issuer, token: str) -> Ending:
    return "nhi/revoke", {"token": token}


def _destroy_key(issuer: Issuer, token: str) -> Ending:
    kid = issuer.root("nhi/introspect", {"token": token})["data"]["kid"]
    issuer.root("nhi/keys", {"algorithm": "ed25519"})
    issuer.root(f"nhi/keys/{kid}", {"state": "retired"})
    return f"nhi/keys/{kid}", {"state": "destroyed"}


@pytest.mark.parametrize("end", [_revoke_workload, _revoke_token, _revoke_last_block, _destroy_key])
@pytest.mark.parametrize("sibling", [False, True], ids=["the first of its token", "one of several"])
def test_what_ends_while_a_biscuit_is_looked_at_is_obeyed_by_the_next_request(
    end: Callable[[Issuer, str], Ending], sibling: bool
) -> None:
    with Application(LaggingStorage()) as application:
        issuer = Issuer(application)
        issuer.root(DB, {"data": {}})

        async def look(token: str) -> Answer:
            return await application.ask("GET", f"/v1/{DB}", token=token)

        async def meet(token: str, ending: Ending, turns: int) -> tuple[int, int]:
            """Return how one request is answered that comes so many turns after what ends it, and then the next one."""
            path, body = ending
            ends = asyncio.create_task(application.ask("POST", f"/v1/{path}", body, token="root"))
            for _ in range(turns):
                await asyncio.sleep(0)
            looked = await look(token)
            ended = await ends
            assert ended.status < 300, ended.body
            after = await look(token)
            return looked.status, after.status

        met = set()
        for turns in range(TURNS):
            whole = issuer.issue()
            if sibling:
                assert issuer.status(issuer.narrow(whole, READS), DB) == 200
            token = issuer.narrow(whole, READS)
            during, after = application.run(meet(token, end(issuer, token), turns))
            assert (turns, after) == (turns, 403)
            met.add(during)
            if end is _revoke_workload:
                issuer.root(
                    "nhi/workloads/w1", {"owner": "team-a", "ttl": "30d"}
                )  # as it was, for the next one
        assert 403 in met
