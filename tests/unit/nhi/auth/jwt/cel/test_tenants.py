# SPDX-License-Identifier: EUPL-1.2
"""Programs of one tenant that hang, or take all memory, cost no other tenant a login."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from nhi.auth.jwt.cel import process
from nhi.auth.jwt.cel import programs as module
from nhi.auth.jwt.cel.process import Cost
from nhi.auth.jwt.cel.programs import Programs
from nhi.auth.jwt.cel.protocol import Answer, Question
from vault.framework.errors import Limited, Malformed

HANGS = Question(expression="claims.s.replace('a', claims.s)", claims={"s": "a" * 40_000})
FILLS = Question(
    expression="claims.g.map(x, claims.s.replace('a', 'aaaaaaaa')).size()",
    claims={"s": "a" * 20_000, "g": [1] * 4000},
)
COSTLY = {"hangs": HANGS, "fills the memory": FILLS}
USUAL = Question(expression="pb.Auth{policies: [claims.p]}", claims={"p": "p"})


class _Now:
    """Seconds that stand until they are moved."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> _Now:
    return _Now()


@pytest.fixture
def programs(now: _Now) -> Iterator[Programs]:
    made = Programs(quick=Cost(used=0.25, passed=600), longest=Cost(used=0.5, passed=600), now=now)
    yield made
    made.close()


def _policies(answer: Answer) -> tuple[str, ...]:
    assert answer.auth is not None
    return answer.auth.policies


@pytest.mark.parametrize("what", COSTLY)
def test_sl_95_no_program_of_one_tenant_makes_the_login_of_another_fail(
    programs: Programs, what: str
) -> None:
    async def scenario() -> None:
        before = await programs.run("b", USUAL)
        bad = [asyncio.create_task(programs.run("a", COSTLY[what])) for _ in range(module.MOST + 4)]
        good = [asyncio.create_task(programs.run("b", USUAL)) for _ in range(module.MOST)]
        refused = await asyncio.gather(*bad, return_exceptions=True)
        assert {type(one) for one in refused} == {Malformed, Limited}
        assert len([one for one in refused if type(one) is Malformed]) == 1
        for answer in (before, *await asyncio.gather(*good)):
            assert _policies(answer) == ("p",)

    asyncio.run(scenario())


@pytest.mark.parametrize("what", COSTLY)
def test_a_program_that_ended_its_process_is_left_alone_for_a_while_and_no_other_one_is(
    programs: Programs, now: _Now, what: str
) -> None:
    async def scenario() -> None:
        costly = COSTLY[what]
        with pytest.raises(Malformed, match="too long or too much memory"):
            await programs.run("a", costly)
        with pytest.raises(Limited, match="is not run again for 10 seconds"):
            await programs.run("a", costly)
        assert _policies(await programs.run("a", USUAL)) == ("p",)
        now.at += module.PARKED
        with pytest.raises(Malformed):
            await programs.run("a", costly)

    asyncio.run(scenario())


def test_a_tenant_of_which_a_program_was_not_quick_has_a_process_for_each_until_that_is_forgotten(
    programs: Programs, now: _Now
) -> None:
    async def scenario() -> None:
        await programs.run("b", USUAL)
        shared = programs.pid
        with pytest.raises(Malformed):
            await programs.run("a", HANGS)
        assert programs.pid == 0
        await programs.run("a", USUAL)
        assert programs.pid == 0  # what it runs, it runs where nobody else does
        await programs.run("b", USUAL)
        assert programs.pid not in {0, shared}
        shared = programs.pid
        with pytest.raises(Malformed):
            await programs.run("a", FILLS)
        assert programs.pid == shared
        now.at += module.APART
        await programs.run("a", USUAL)
        assert programs.pid == shared

    asyncio.run(scenario())


def test_a_process_that_ended_while_it_was_asked_is_no_ones_fault(programs: Programs) -> None:
    async def scenario() -> None:
        for _ in range(3):
            while not programs.pid:  # a busy machine may have given it up as too slow
                await programs.run("a", USUAL)
            os.kill(programs.pid, signal.SIGKILL)
            assert _policies(await programs.run("b", USUAL)) == ("p",)
        assert programs.pid

    asyncio.run(scenario())


def test_a_process_in_which_too_much_was_left_behind_makes_room_for_another_one(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from nhi.auth.jwt.cel import child; child.ENOUGH = 1; child.main()"
    monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-c", code))

    async def scenario() -> None:
        seen = set()
        for tenant in "abab":
            assert _policies(await programs.run(tenant, USUAL)) == ("p",)
            seen.add(programs.pid)
        assert len(seen) == 4

    asyncio.run(scenario())


def test_only_so_many_marks_are_kept(now: _Now) -> None:
    marks = module._Marks(10, now, most=3)
    for one in "abcd":
        marks.mark(one)
    assert [marks.has(one) for one in "abcd"] == [False, True, True, True]
    now.at += 10
    marks.mark("e")
    assert list(marks._until) == ["e"]
