# SPDX-License-Identifier: EUPL-1.2
"""Roles whose programs decide: where programs run, what they cost at most, and what they cannot give."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nhi.auth.jwt.cel import process
from nhi.auth.jwt.cel.process import Cost, ProgramProcess
from nhi.auth.jwt.cel.programs import MISSING
from nhi.auth.jwt.cel.protocol import Question
from tests.tokens import token
from tests.unit.nhi.auth.house import Answer, auth, play
from tests.unit.nhi.auth.jwt.house import JwtHouse, opened, patient_programs
from vault.framework.errors import Limited, Malformed

SLOW = "error executing cel program: it takes too long or too much memory"
FAILED = "error executing cel program: CEL auth program failed: failed to evaluate expression: "


async def keep(house: JwtHouse, expression: str, name: str = "r", **fields: object) -> Answer:
    body = {"cel_program": {"expression": expression}, "bound_audiences": "a", **fields}
    return await house("POST", f"auth/jwt/cel/role/{name}", body)


async def enter(house: JwtHouse, name: str = "r", **claims: Any) -> Answer:
    body = {"jwt": token(house.claims(**claims)), "role": name}
    return await house("POST", "auth/jwt/cel/login", body, token="")


async def judged(house: JwtHouse, expression: str, **claims: Any) -> Answer:
    assert (await keep(house, expression)).status == 200
    return await enter(house, **claims)


def child(house: JwtHouse) -> int:
    running = house.programs.pid
    assert running
    return running


COSTLY: dict[str, tuple[str, dict[str, Any]]] = {
    "a text that grows by itself": ("claims.s.replace('a', claims.s)", {"s": "a" * 40_000}),
    "a list of long texts": (
        "claims.g.map(x, claims.s.replace('a', 'aaaaaaaa')).size()",
        {"s": "a" * 20_000, "g": [1] * 4000},
    ),
}


@pytest.mark.parametrize("name", COSTLY)
def test_sl_95_a_program_that_claims_make_costly_is_ended_and_the_next_one_runs(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        expression, claims = COSTLY[name]
        assert (await judged(house, expression, **claims)).error == SLOW
        assert auth(await judged(house, "pb.Auth{policies: ['p']}"))["policies"] == ["default", "p"]

    play(scenario)


ROUND = {
    "every pair of a list": "claims.g.exists(a, claims.g.exists(b, a + b < 0.0))",
    "a list of lists": "claims.g.map(a, claims.g.map(b, claims.g)).size()",
}


@pytest.mark.parametrize("name", ROUND)
def test_a_program_that_goes_round_too_often_is_refused_at_once(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await judged(house, ROUND[name], g=[1] * 300)
        assert answer.error == f"{FAILED}it goes round too often"

    play(scenario)


@pytest.mark.parametrize(
    "expression",
    ["(" * 5000 + "1" + ")" * 5000, "[" * 400 + "]" * 400, "+".join(["1"] * 9000), "true?1:" * 3000 + "1"],
)
def test_a_program_without_measure_is_refused_when_it_is_written(expression: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await keep(house, expression)
        assert (answer.status, answer.error[:19]) == (400, "invalid CEL syntax ")
        large = await keep(house, "'" + "x" * 70_000 + "'")
        assert large.error == "invalid cel_program: more than 65536 characters"
        many = [{"name": f"v{number}", "expression": "1"} for number in range(65)]
        answer = await house(
            "POST", "auth/jwt/cel/role/r", {"cel_program": {"expression": "1", "variables": many}}
        )
        assert answer.error == "invalid cel_program: more than 64 variables"

    play(scenario)


def test_sl_95_the_library_is_not_in_the_servers_process_and_its_own_has_nothing_of_the_servers() -> None:
    async def scenario() -> None:
        os.environ["VAULT_TOKEN"] = "of the server"
        try:
            house = await opened()
            assert house.programs.pid == 0
            assert auth(await judged(house, "pb.Auth{}"))
        finally:
            del os.environ["VAULT_TOKEN"]
        assert not [name for name in sys.modules if name.startswith("cel_expr_python")]
        place = Path(f"/proc/{child(house)}")
        assert b"VAULT_TOKEN" not in (place / "environ").read_bytes()
        opened_files = {os.readlink(one) for one in (place / "fd").iterdir()}
        assert not [one for one in opened_files if not one.startswith(("pipe:", "/dev/null", "anon_inode"))]
        limits = (place / "limits").read_text()
        assert "Max core file size        0 " in limits
        assert "Max file size             0 " in limits

    play(scenario)


def test_a_process_that_was_ended_from_outside_is_started_again() -> None:
    async def scenario() -> None:
        house = await opened()
        assert auth(await judged(house, "pb.Auth{}"))
        first = child(house)
        os.kill(first, signal.SIGKILL)
        assert auth(await enter(house))
        assert child(house) != first

    play(scenario)


def test_logins_at_once_get_each_its_own_answer() -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await keep(house, "'it was ' + claims.sub")).status == 200
        answers = await asyncio.gather(*(enter(house, sub=f"s{number}") for number in range(20)))
        assert [answer.error.rpartition(" ")[2] for answer in answers] == [f"s{n}" for n in range(20)]

    play(scenario)


def test_a_claim_that_is_too_large_a_number_is_refused() -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await judged(house, "pb.Auth{}", n=[1 << 64])
        assert (answer.status, answer.error) == (
            400,
            "error executing cel program: a claim is a number of more than 64 bits",
        )
        assert auth(await enter(house, n=[(1 << 64) - 1, -1]))

    play(scenario)


def test_programs_wait_for_their_turn_in_no_thread_of_others_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(asyncio, "to_thread", None)
        threads: set[str] = set()
        answers = patient_programs(most=3)
        ask = ProgramProcess.ask

        def seen(self: ProgramProcess, packed: bytes, most: Cost) -> Any:
            threads.add(threading.current_thread().name)
            return ask(self, packed, most)

        monkeypatch.setattr(ProgramProcess, "ask", seen)
        question = Question(expression="true")
        asked = [asyncio.create_task(answers.check("a", question)) for _ in range(5)]
        other = asyncio.create_task(answers.check("b", question))
        results = await asyncio.gather(*asked, other, return_exceptions=True)
        assert [type(one) for one in results] == [type(None)] * 3 + [Limited] * 2 + [type(None)]
        assert len(threads) == 1
        await answers.check("a", question)
        answers.close()

    play(scenario)


def test_without_the_library_programs_are_refused_and_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-c", "import nothing_like_it"))
        house = await opened()
        assert (await keep(house, "true")).error == MISSING

    play(scenario)


def test_a_process_that_says_something_else_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "import sys; sys.stdout.buffer.write(bytes([0,0,0,5]) + b'ready' + {}); sys.stdout.flush(); sys.stdin.read()"

    async def scenario() -> None:
        for noise in ("bytes([255] * 4)", "bytes([0, 0, 0, 1, 193])"):
            monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-c", said.format(noise)))
            answers = patient_programs()
            with pytest.raises(Malformed, match="too long or too much memory"):
                await answers.check("a", Question(expression="true"))
            assert answers.pid == 0

    play(scenario)


def test_a_program_cannot_give_what_no_login_may_get() -> None:
    async def scenario() -> None:
        house = await opened()
        for made, problem in (
            ("policies: ['root']", "auth methods cannot create root tokens"),
            ("policies: [' Root']", "auth methods cannot create root tokens"),
            ("policies: ['response-wrapping']", 'cannot assign policy "response-wrapping"'),
            (
                "entity_id: 'x'",
                "error converting proto auth: an entity is entered by its alias, and not named",
            ),
            (
                "num_uses: -1",
                "error converting proto auth: a token has no uses below 0, and a batch token none and no period",
            ),
            (
                "period: 5",
                "error converting proto auth: period is less than a second: durations of programs are in nanoseconds",
            ),
        ):
            assert (await judged(house, f"pb.Auth{{{made}}}")).error == problem

    play(scenario)


def test_sl_51_no_refusal_quotes_the_program_or_the_claims() -> None:
    async def scenario() -> None:
        house = await opened()
        for wrong in (
            "s3cret +",
            "s3cret",
            "pb.Auth{s3cret: 1}",
            "'s3cret' + 1",
            "true.s3cret()",
            "pb.s3cret{}",
        ):
            answer = await keep(house, wrong)
            assert answer.status == 400
            assert "s3cret" not in answer.error
        for failing in (
            "claims.missing.s3cret",
            "int(claims.word)",
            "claims.word + 1",
            "claims[claims.word]",
        ):
            answer = await judged(house, failing, word="s3cret")
            assert answer.error.startswith(FAILED)
            assert "s3cret" not in answer.error

    play(scenario)


def test_a_login_that_its_role_or_configuration_overtook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await keep(house, "pb.Auth{}")).status == 200
        run = house.programs.run

        async def slowly(tenant: str, question: Question) -> object:
            await house("DELETE", "auth/jwt/cel/role/r")
            return await run(tenant, question)

        monkeypatch.setattr(house.programs, "run", slowly)
        answer = await enter(house)
        assert answer.error == "the role or the configuration has just changed; log in again"

    play(scenario)
