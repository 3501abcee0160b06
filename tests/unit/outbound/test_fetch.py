# SPDX-License-Identifier: EUPL-1.2
"""What the server asks others: bounded, pinned, verified, and nothing of its own sent along."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.outbound.authority import Authority
from tests.unit.outbound.service import Service, service
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Answer, Fetcher, OutboundRequest
from vault.outbound.names import Lookup
from vault.outbound.places import Places

pytestmark = pytest.mark.loopback
HERE = Places(["127.0.0.0/8"])
PATIENCE = 60.0
"""Seconds that an answer may take on a busy machine, where a test is about something else."""


def to(*addresses: str) -> Lookup:
    def lookup(host: str) -> Sequence[str]:
        return addresses

    return lookup


def asked(
    setting: Callable[[Service], None] = lambda _: None, **options: object
) -> tuple[Answer | str, Service]:
    """Ask a service, and return its answer or why there is none."""

    async def scenario() -> tuple[Answer | str, Service]:
        async with service() as one:
            setting(one)
            try:
                fetcher = Fetcher(HERE, to("127.0.0.1"))
                return await fetcher.send(OutboundRequest(one.url, **{"seconds": PATIENCE, **options})), one  # type: ignore[arg-type]  # as the test says
            except Unreachable as failure:
                return str(failure), one

    return asyncio.run(scenario())


def test_an_answer_comes_whole_and_the_request_holds_what_was_given_and_no_more() -> None:
    def setting(one: Service) -> None:
        one.body, one.status = b'{"keys":[]}', "404 Not Found"

    answer, one = asked(setting, method="POST", headers={"Authorization": "Bearer x"}, body=b"a=b")
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (404, b'{"keys":[]}')
    head, _, body = one.seen[0].partition(b"\r\n\r\n")
    names = sorted(line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:])
    assert names == [b"accept", b"authorization", b"connection", b"content-length", b"host", b"user-agent"]
    assert body == b"a=b"
    assert f"host: service.test:{one.port}".encode() in head.lower()


def test_a_request_can_be_made_where_there_is_no_task_as_calls_are_begun() -> None:
    async def scenario() -> None:
        async with service() as one:
            coroutine = Fetcher(HERE, to("127.0.0.1")).send(OutboundRequest(one.url, seconds=PATIENCE))
            loop, begun = asyncio.get_running_loop(), asyncio.Event()
            waited: list[object] = []

            def begin() -> None:
                assert asyncio.current_task() is None
                waited.append(coroutine.send(None))
                begun.set()

            loop.call_soon(begin)
            await begun.wait()
            (future,) = waited
            assert isinstance(future, asyncio.Future)
            future._asyncio_future_blocking = False
            assert (await future).status == 200
            with pytest.raises(StopIteration):
                coroutine.send(None)

    asyncio.run(scenario())


@pytest.mark.parametrize("value", ["Bearer x\r\nX-Injected: 1", "Bearer x\n", "Bearer \u00fc", "\x00"])
def test_what_may_not_stand_in_a_header_is_not_sent(value: str) -> None:
    answer, one = asked(headers={"Authorization": value})
    assert answer == "a header of the request cannot be sent"
    assert one.seen == []


def test_sl_77_a_redirect_is_not_followed() -> None:
    def setting(one: Service) -> None:
        one.status, one.head = "302 Found", f"Location: http://127.0.0.1:{one.port}/elsewhere\r\n"

    answer, one = asked(setting)
    assert answer == "it redirects elsewhere, which is not followed"
    assert one.connections == 1


def test_an_answer_is_bounded_in_size_however_it_is_framed() -> None:
    def setting(one: Service) -> None:
        one.body = b"x" * 5000

    assert asked(setting, largest=4999)[0] == "the answer is larger than 4999 bytes"

    async def endless(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    def chunked(one: Service) -> None:
        one.behave = endless

    assert asked(chunked, largest=10_000)[0] == "the answer is larger than 10000 bytes"


def test_an_answer_is_bounded_in_time_also_when_it_trickles() -> None:
    async def trickle(writer: asyncio.StreamWriter, head: bytes) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    def setting(one: Service) -> None:
        one.behave = trickle

    assert asked(setting, seconds=0.2)[0] == "no answer within 0.2 s"


def test_an_answer_comes_in_so_many_pieces_and_no_more_whatever_they_are() -> None:
    def served(begin: bytes, piece: bytes, count: int, end: bytes) -> Callable[[Service], None]:
        async def serve(writer: asyncio.StreamWriter, head: bytes) -> None:
            writer.write(begin + piece * count + end)
            await writer.drain()

        def setting(one: Service) -> None:
            one.behave = serve

        return setting

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    last = b"0\r\n\r\n"
    many = "the answer comes in too many pieces"
    assert asked(served(chunked, b"1\r\nx\r\n", 100_000, last))[0] == many
    assert asked(served(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 100_000, chunked + last))[0] == many
    for piece, count in ((b"1\r\nx\r\n", 500), (b"200\r\n" + b"x" * 512 + b"\r\n", 1000)):
        answer, _ = asked(served(chunked, piece, count, last))
        assert isinstance(answer, Answer)
        assert len(answer.body) == count * piece.count(b"x")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "the connection was closed before the answer was whole"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "the answer is no HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "the answer is no HTTP"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(sent: bytes, reason: str) -> None:
    async def send(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(sent)

    def setting(one: Service) -> None:
        one.behave = send

    assert asked(setting)[0] in {reason, "the answer is no HTTP"}


def test_sl_77_the_name_is_resolved_once_and_the_judged_address_is_connected_to() -> None:
    async def scenario() -> None:
        asked_for: list[str] = []

        def rebinding(host: str) -> Sequence[str]:
            asked_for.append(host)
            return ["127.0.0.1"] if len(asked_for) == 1 else ["169.254.169.254"]

        async with service() as one:
            await Fetcher(HERE, rebinding).send(OutboundRequest(one.url))
            assert asked_for == ["service.test"]

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fe80::1"])
def test_sl_77_nothing_is_sent_to_an_address_that_is_not_allowed(address: str) -> None:
    async def scenario() -> None:
        async with service() as one:
            fetcher = Fetcher(Places(), to(address))
            with pytest.raises(Unreachable, match="`outbound_allow` does not name"):
                await fetcher.send(OutboundRequest(one.url))
            with pytest.raises(Unreachable, match="`outbound_allow` does not name"):
                await Fetcher(Places()).send(OutboundRequest(f"http://127.0.0.1:{one.port}/"))
            assert one.connections == 0

    asyncio.run(scenario())


def test_of_several_addresses_one_that_may_be_asked_is_taken() -> None:
    async def scenario() -> None:
        async with service() as one:
            fetcher = Fetcher(HERE, to("10.0.0.1", "127.0.0.1"))
            assert (await fetcher.send(OutboundRequest(one.url))).status == 200

    asyncio.run(scenario())


def test_a_dead_host_and_a_name_that_nobody_has_are_told_apart() -> None:
    async def scenario() -> None:
        def nobody(host: str) -> Sequence[str]:
            raise OSError

        with socket.socket() as taken, pytest.raises(Unreachable, match="connection refused"):
            taken.bind(("127.0.0.1", 0))  # so that nobody else listens there
            port = taken.getsockname()[1]
            await Fetcher(HERE, to("127.0.0.1")).send(OutboundRequest(f"http://x.test:{port}/"))
        with pytest.raises(Unreachable, match="its name cannot be resolved"):
            await Fetcher(HERE, nobody).send(OutboundRequest("http://x.test/"))
        with pytest.raises(Unreachable, match="its name has no address"):
            await Fetcher(HERE, to()).send(OutboundRequest("http://x.test/"))

    asyncio.run(scenario())


def test_a_host_that_does_not_answer_leaves_turns_for_others() -> None:
    async def scenario() -> None:
        asked_for = asyncio.Event()

        async def silent(writer: asyncio.StreamWriter, head: bytes) -> None:
            asked_for.set()
            await asyncio.Event().wait()

        async with service() as dead, service() as good:
            dead.behave = silent
            fetcher = Fetcher(HERE, to("127.0.0.1"))
            never = OutboundRequest(dead.url, seconds=3600)
            waiting = [asyncio.create_task(fetcher.send(never)) for _ in range(500)]
            await asked_for.wait()
            assert (await fetcher.send(OutboundRequest(good.url, seconds=PATIENCE))).status == 200
            assert not any(one.done() for one in waiting)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


def test_the_servers_certificate_is_verified_by_authority_name_and_time(tmp_path: Path) -> None:
    authority, other = Authority(), Authority()

    async def reason(context: ssl.SSLContext, **options: object) -> str:
        async with service(context) as one:
            url = f"https://service.test:{one.port}/"
            try:
                await Fetcher(HERE, to("127.0.0.1")).send(OutboundRequest(url, **options))  # type: ignore[arg-type]  # as the test says
            except Unreachable as failure:
                return str(failure)
            return ""

    async def scenario() -> None:
        good = authority.context(tmp_path, "service.test")
        assert await reason(good, authorities=authority.pem) == ""
        assert "is not accepted" in await reason(good, authorities=other.pem)
        assert "is not accepted" in await reason(good)
        named = authority.context(tmp_path, "elsewhere.test", "*.wild.test")
        assert "is not accepted" in await reason(named, authorities=authority.pem)
        assert await reason(named, authorities=authority.pem, names=("elsewhere.test",)) == ""
        assert await reason(named, authorities=authority.pem, names=("x", "a.wild.test")) == ""
        assert "for none of the names" in await reason(named, authorities=authority.pem, names=("wild.test",))
        assert "is not accepted" in await reason(named, authorities=other.pem, names=("elsewhere.test",))
        past = datetime.now(UTC) - timedelta(days=1)
        old = authority.context(tmp_path, "service.test", until=past)
        assert "is not accepted" in await reason(old, authorities=authority.pem)
        assert await reason(good, authorities="zz") == "the CA certificates cannot be read"
        many = authority.pem + "\n" * (1 << 18)
        assert await reason(good, authorities=many) == "the CA certificates are longer than 262144 characters"

    asyncio.run(scenario())
