# SPDX-License-Identifier: EUPL-1.2
"""Response wrapping: every refusal is OpenBao's as measured, and a wrapping token works exactly once."""

import json
from typing import Any

import msgspec
import pytest

from tests.unit.engines.system.house import CORE, Answer, House, play
from vault.engines.system.clients.wrapping import WrappingEngine
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.reply import Auth, Reply
from vault.framework.route import read
from vault.framework.secret import Secret
from vault.values.ids import ROOT_ID, TokenAccessor
from vault.values.times import Seconds
from vault.wire.v1 import escape_html
from vault.wrap.guard import waiting

WRAP = "sys/wrapping/wrap"
UNWRAP = "sys/wrapping/unwrap"
REWRAP = "sys/wrapping/rewrap"
LOOKUP = "sys/wrapping/lookup"
INVALID = "wrapping token is not valid or does not exist"
DENIED = "1 error occurred:\n\t* permission denied\n\n"


class Samples(Engine):
    """Answers of every shape."""

    @read("samples/data")
    async def data(self, call: Call) -> Reply[dict[str, int]]:
        """Data that is repeated on the top level."""
        return Reply({"n": 1}, embed=True, lease_duration=Seconds(9))

    @read("samples/auth")
    async def auth(self, call: Call) -> Reply[None]:
        """A token, with a warning."""
        auth = Auth(
            client_token="s.inner", accessor=TokenAccessor("acc"), policies=["a"], token_policies=["a"]
        )
        return Reply(auth=auth, warnings=["mind this"])

    @read("samples/raw")
    async def raw(self, call: Call) -> Reply[None]:
        """Bytes of their own kind."""
        return Reply(raw=b"\x30\x00", content_type="application/pkix-cert")

    @read("samples/markup")
    async def markup(self, call: Call) -> Reply[None]:
        """Bytes that look like an answer of ours."""
        return Reply(raw=b'{"request_id":"<&>"}')

    @read("samples/nothing")
    async def nothing(self, call: Call) -> None:
        """Nothing at all."""

    @read("samples/plain")
    async def plain(self, call: Call) -> Reply[dict[str, int]]:
        """Data without an envelope."""
        return Reply({"n": 1}, plain=True)

    @read("samples/open", public=True)
    async def open(self, call: Call) -> dict[str, bool]:
        """What anybody may read."""
        return {"known": call.identity is not None}


async def _house() -> House:
    house = House()
    return await house.open(WrappingEngine(house.wrapper, house.barrier), Samples())


async def _wrapped(house: House, body: Any = None, **options: Any) -> str:
    answer = await house("POST", WRAP, {"a": "b"} if body is None else body, wrap=Seconds(60), **options)
    return str(answer.body["wrap_info"]["token"])


async def _unwrap(house: House, wrapping: str, **options: Any) -> Answer:
    return await house("POST", UNWRAP, {"token": wrapping}, **options)


def test_what_was_wrapped_comes_back_once() -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("POST", WRAP, {"a": "b", "token": "x", "n": [1, None]}, wrap=Seconds(60))
        assert answer.body["request_id"] == ""
        assert answer.data is None
        assert answer.body["warnings"] is None
        info = answer.body["wrap_info"]
        assert (info["ttl"], info["creation_path"]) == (60, WRAP)
        first = await _unwrap(house, info["token"])
        assert first.data == {"a": "b", "token": "x", "n": [1, None]}
        assert len(first.body["request_id"]) == 36
        assert not first.text.endswith(b"\n")
        second = await _unwrap(house, info["token"])
        assert (second.status, second.error) == (400, INVALID)

    play(scenario)


@pytest.mark.parametrize("body", [None, {}, b""])
def test_a_wrapping_token_unwraps_itself_without_any_other(body: object) -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        assert (await house("POST", UNWRAP, body, token=token)).data == {"a": "b"}
        assert (await house("POST", UNWRAP, body, token=token)).error == INVALID
        assert (await house("POST", LOOKUP, {"token": token})).error == INVALID

    play(scenario)


def test_the_request_id_is_the_one_of_the_request_that_unwraps() -> None:
    async def scenario() -> None:
        house = await _house()
        token = (await house("GET", "sys/samples/data", wrap=Seconds(60))).body["wrap_info"]["token"]
        first = await _unwrap(house, token, wrap=60)
        again = await _unwrap(house, first.body["wrap_info"]["token"])
        assert again.data == {"n": 1}
        assert "n" not in again.body
        assert again.body["lease_duration"] == 9
        token = await _wrapped(house)
        core = house.barrier.reader(ROOT_ID, CORE)
        key = await house.wrapper.find(core, token)
        assert key is not None
        body = await house.wrapper.fetch(Call(), core, key, lambda wrapped: wrapped.body)
        assert body is not None
        waiting_id = json.loads(body)["request_id"]
        assert len(waiting_id) == 36
        assert (await _unwrap(house, token)).body["request_id"] not in {waiting_id, ""}

    play(scenario)


def test_a_response_is_escaped_once_whether_it_was_kept_so_or_not() -> None:
    """As those were that wait since a release that escaped what it kept."""

    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house, {"a": "<&>", "b": "\\u003c"})
        core = house.barrier.reader(ROOT_ID, CORE)
        key = await house.wrapper.find(core, token)
        assert key is not None
        kept = await house.wrapper.fetch(Call(), core, key, lambda wrapped: wrapped)
        assert kept is not None and b"<&>" in kept.body
        earlier = msgspec.structs.replace(kept, body=escape_html(kept.body))
        async with house.barrier.write(ROOT_ID, CORE) as view:
            await view.put(f"wrap/{key}", house.wrapper.renewed(earlier).stored)
        moved = await house("POST", REWRAP, {"token": token})
        first = await _unwrap(house, moved.body["wrap_info"]["token"])
        second = await _unwrap(house, await _wrapped(house, {"a": "<&>", "b": "\\u003c"}))
        assert first.text[51:] == second.text[51:]
        assert first.data == {"a": "<&>", "b": "\\u003c"}
        assert b"\\u003c\\u0026\\u003e" in first.text

    play(scenario)


def test_a_wrapped_login_names_its_accessor_and_keeps_its_warning() -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("GET", "sys/samples/auth", wrap=Seconds(60), query={"bogus": "1"})
        assert answer.body["wrap_info"]["wrapped_accessor"] == "acc"
        assert answer.body["warnings"] is None
        inner = await _unwrap(house, answer.body["wrap_info"]["token"])
        assert inner.body["auth"]["client_token"] == "s.inner"
        assert inner.body["warnings"] == [
            "mind this",
            "Endpoint ignored these unrecognized parameters: [bogus]",
        ]

    play(scenario)


def test_raw_answers_come_back_byte_for_byte_and_others_are_not_wrapped() -> None:
    async def scenario() -> None:
        house = await _house()
        token = (await house("GET", "sys/samples/raw", wrap=Seconds(60))).body["wrap_info"]["token"]
        assert (await _unwrap(house, token)).text == b"\x30\x00"
        token = (await house("GET", "sys/samples/markup", wrap=Seconds(60))).body["wrap_info"]["token"]
        assert (await _unwrap(house, token)).text == b'{"request_id":"<&>"}'
        assert (await house("GET", "sys/samples/nothing", wrap=Seconds(60))).status == 204
        assert (await house("GET", "sys/samples/plain", wrap=Seconds(60))).body == {"n": 1}

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status", "error"),
    [
        ("POST", WRAP, {"a": 1}, None, 400, "endpoint requires response wrapping to be used"),
        ("POST", WRAP, {"a": 1}, "", 403, "permission denied"),
        ("POST", UNWRAP, {}, None, 400, INVALID),
        ("POST", UNWRAP, {}, "", 403, "error validating wrapping token: token is empty"),
        ("POST", UNWRAP, {"token": ""}, "", 403, "error validating wrapping token: empty token in request body"),
        ("POST", UNWRAP, {"token": 5}, None, 403, "error validating wrapping token: could not decode token in request body"),
        ("POST", UNWRAP, {"token": "bad"}, "", 400, INVALID),
        ("POST", UNWRAP, {"token": "bad"}, None, 400, INVALID),
        ("POST", REWRAP, {"token": "bad"}, "", 400, INVALID),
        ("POST", REWRAP, {}, None, 400, INVALID),
        ("POST", LOOKUP, {}, None, 400, INVALID),
        ("POST", LOOKUP, {}, "", 403, "error validating wrapping token: token is empty"),
        ("POST", LOOKUP, {"token": ["x"]}, "", 403, "error validating wrapping token: could not decode token in request body"),
        ("GET", LOOKUP, None, "bad", 400, INVALID),
        ("GET", UNWRAP, None, None, 400, INVALID),
        ("GET", UNWRAP, None, "", 403, "error validating wrapping token: token is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_token_is_said_before_who_asks(
    method: str, path: str, body: object, token: str | None, status: int, error: str
) -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house(method, path, body, token=token)
        assert (answer.status, answer.error) == (status, error)

    play(scenario)


def test_a_good_wrapping_token_in_the_body_needs_a_caller_who_may_unwrap() -> None:
    async def scenario() -> None:
        house = await _house()
        await house.policy("weak", 'path "x" { capabilities = ["read"] }')
        token = await _wrapped(house)
        for caller, error in (
            ("", "permission denied"),
            ("bad", "permission denied"),
            (await house.token("weak"), DENIED),
        ):
            for path in (UNWRAP, REWRAP):
                answer = await house("POST", path, {"token": token}, token=caller)
                assert (answer.status, answer.error) == (403, error)
        assert (await _unwrap(house, token)).data == {"a": "b"}

    play(scenario)


def test_looking_at_a_wrapping_token_does_not_use_it_up() -> None:
    async def scenario() -> None:
        house = await _house()
        answer = await house("POST", WRAP, {}, wrap=Seconds(60))
        info = answer.body["wrap_info"]
        expected = {"creation_path": WRAP, "creation_time": info["creation_time"], "creation_ttl": 60}
        for method, body, caller in (
            ("POST", {"token": info["token"]}, ""),
            ("POST", {"token": info["token"]}, None),
            ("POST", {}, info["token"]),
            ("GET", None, info["token"]),
            ("GET", None, info["token"]),
        ):
            assert (await house(method, LOOKUP, body, token=caller)).data == expected
        assert (await house("GET", "sys/samples/open", token=info["token"])).data == {"known": True}
        assert (await _unwrap(house, info["token"])).data == {}

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "cubbyhole/other"),
        ("GET", "nope/x"),
        ("LIST", "cubbyhole/"),
        ("GET", UNWRAP),
        ("POST", REWRAP),
    ],
)
def test_any_other_use_burns_a_wrapping_token(method: str, path: str) -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        answer = await house(method, path, token=token)
        assert (answer.status, answer.error) == (403, DENIED)
        assert (await _unwrap(house, token)).error == INVALID

    play(scenario)


def test_a_wrapping_token_given_twice_in_one_request_is_burnt() -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        answer = await _unwrap(house, token, token=token)
        assert answer.status == 400
        assert "error decrementing wrapping token's use-count" in answer.error
        assert (await _unwrap(house, token)).error == INVALID

    play(scenario)


def test_a_burnt_token_in_the_body_stays_burnt_for_a_use_limited_caller() -> None:
    async def scenario() -> None:
        house = await _house()
        await house.policy("unwrap", f'path "{UNWRAP}" {{ capabilities = ["update"] }}')
        token = await _wrapped(house)
        await house("GET", "cubbyhole/other", token=token)
        answer = await _unwrap(house, token, token=await house.token("unwrap", uses=1))
        assert (answer.status, answer.error) == (400, INVALID)

    play(scenario)


def test_a_use_spent_on_another_token_does_not_revive_a_burnt_one() -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        await house("GET", "cubbyhole/other", token=token)
        call = Call()
        call.token, call.spent = Secret(await house.token("root", uses=1)), True
        core = house.barrier.reader(ROOT_ID, CORE)
        with pytest.raises(Malformed, match=INVALID):
            await waiting(house.wrapper, core, call, {"token": token})
        call.token = Secret(token)
        assert await waiting(house.wrapper, core, call, {})

    play(scenario)


def test_a_response_is_gone_when_its_time_is_over() -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        house.clock.sleep(61)
        for path in (UNWRAP, LOOKUP, REWRAP):
            assert (await house("POST", path, {"token": token})).error == INVALID
        assert (await house("POST", UNWRAP, {}, token=token)).error == INVALID

    play(scenario)


def test_rewrapping_moves_the_response_and_keeps_time_and_origin() -> None:
    async def scenario() -> None:
        house = await _house()
        old = await _wrapped(house)
        house.clock.sleep(50)
        answer = await house("POST", REWRAP, {"token": old, "y": 1})
        info = answer.body["wrap_info"]
        assert (info["ttl"], info["creation_path"], answer.body["warnings"]) == (60, WRAP, None)
        assert (await house("POST", LOOKUP, {"token": old})).error == INVALID
        house.clock.sleep(50)
        assert (await house("POST", UNWRAP, {}, token=info["token"])).data == {"a": "b"}

    play(scenario)


def test_nothing_is_left_behind_once_a_response_is_fetched() -> None:
    async def scenario() -> None:
        house = await _house()
        before = await house.storage.reader().scan(CORE)
        await _unwrap(house, await _wrapped(house))
        assert await house.storage.reader().scan(CORE) == before

    play(scenario)


def test_cubbyhole_response_hands_out_the_envelope_as_text_once() -> None:
    async def scenario() -> None:
        house = await _house()
        for form in ("", "jwt"):
            token = await _wrapped(house, form=form)
            answer = await house("GET", "cubbyhole/response", token=token)
            assert json.loads(answer.data["response"])["data"] == {"a": "b"}
            assert "deprecated" in answer.body["warnings"][0]
            answer = await house("GET", "cubbyhole/response", token=token)
            assert (answer.status, answer.error) == (403, "permission denied")
            assert (await _unwrap(house, token)).error == INVALID
        assert (await house("GET", "cubbyhole/response")).status == 404
        assert (await house("POST", "cubbyhole/response", {"my": "own"})).status == 204
        assert (await house("GET", "cubbyhole/response")).data == {"my": "own"}

    play(scenario)


@pytest.mark.parametrize(("path", "own"), [(UNWRAP, True), (UNWRAP, False), (REWRAP, False)])
def test_an_answer_that_is_fetched_leaves_nothing_and_makes_nobody_forget_anything(
    path: str, own: bool
) -> None:
    async def scenario() -> None:
        house = await _house()
        reader = house.storage.reader()
        before = {name: await reader.get(name) for name in await reader.scan("")}
        epoch, era, due = reader.epoch, house.follower.state, await house.storage.next_due()
        token = await _wrapped(house)
        answer = await house("POST", path, {} if own else {"token": token}, token=token if own else None)
        assert answer.status == 200
        if path == REWRAP:
            assert (await _unwrap(house, answer.body["wrap_info"]["token"])).data == {"a": "b"}
        assert {name: await reader.get(name) for name in await reader.scan("")} == before
        assert (reader.epoch, house.follower.state, await house.storage.next_due()) == (epoch, era, due)
        assert (await _unwrap(house, token)).error == INVALID

    play(scenario)
