# SPDX-License-Identifier: EUPL-1.2
"""What the transport sends, how often, and what it must never send."""

import time
from collections.abc import Callable

import pytest

from esa_conformance.errors import (
    ConformanceError,
    NoAnswer,
    SafetyStop,
    TimedOut,
    UnknownOutcome,
    UsageError,
)
from esa_conformance.wire.transport import Request, Transport
from tests.conformance_suite.stub import Said, Sent, serving
from tests.ports import free_port


def _transport(port: int, *, read_only: bool = False, request_s: float = 5.0) -> Transport:
    return Transport(f"http://127.0.0.1:{port}", request_s=request_s, rps=1000, read_only=read_only)


@pytest.mark.parametrize(
    "request_",
    [Request("POST", "/x"), Request("PATCH", "/x"), Request("BREW", "/x"), Request("GET", "/x", {}, b"")],
)
def test_read_only_mode_sends_no_other_verb_and_no_body(request_: Request) -> None:
    with serving(lambda _: Said()) as (port, seen):
        with pytest.raises(SafetyStop):
            _transport(port, read_only=True).send(request_)
        assert _transport(port, read_only=True).send(Request("LIST", "/x")).ok
    assert [one.method for one in seen] == ["LIST"]


def test_a_redirect_to_another_host_stops_the_run_and_one_to_this_does_not() -> None:
    to: dict[str, str] = {}
    with serving(lambda _: Said(307, headers=to)) as (port, seen):
        transport = _transport(port)
        to["Location"] = f"http://127.0.0.1:{port}/y"
        assert transport.send(Request("GET", "/x")).status == 307
        to["Location"] = "/y"
        assert transport.send(Request("GET", "/x")).status == 307
        for other in ("https://other.example/y", f"http://127.0.0.1:{port + 1}/y", "//other.example/y"):
            to["Location"] = other
            with pytest.raises(SafetyStop):
                transport.send(Request("GET", "/x"))
    assert {one.target for one in seen} == {"/x"}


def _cut_until(number: int) -> Callable[[Sent], Said]:
    """Cut the first `number` connections after the request came."""
    left = [number]

    def behave(_: Sent) -> Said:
        left[0] -= 1
        return Said(cut=left[0] >= 0)

    return behave


def test_a_lost_answer_is_asked_for_again_where_that_changes_nothing() -> None:
    with serving(_cut_until(2)) as (port, seen):
        assert _transport(port).send(Request("GET", "/x")).ok
        assert len(seen) == 3


def test_a_lost_answer_of_a_write_is_not_known() -> None:
    with serving(_cut_until(1)) as (port, seen):
        with pytest.raises(UnknownOutcome):
            _transport(port).send(Request("POST", "/x", {}, b"{}"))
        assert len(seen) == 1


def test_a_server_that_is_not_there_is_tried_three_times() -> None:
    transport = _transport(free_port())
    with pytest.raises(NoAnswer, match="cannot be reached"):
        transport.send(Request("POST", "/x", {}, b"{}"))
    assert transport.count == 3


def test_an_answer_that_comes_too_late_is_not_waited_for() -> None:
    def behave(_: Sent) -> Said:
        time.sleep(2)
        return Said()

    with serving(behave) as (port, _):
        begun = time.monotonic()
        with pytest.raises(TimedOut):
            _transport(port, request_s=0.2).send(Request("GET", "/x"))
        assert time.monotonic() - begun < 1.8


def test_an_answer_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esa_conformance.wire.transport.MOST_BYTES", 100)
    with serving(lambda _: Said(body=b"x" * 101)) as (port, _):
        with pytest.raises(NoAnswer, match="more than 100 bytes"):
            _transport(port).send(Request("GET", "/x"))


def test_requests_keep_the_pace() -> None:
    with serving(lambda _: Said()) as (port, _):
        transport = Transport(f"http://127.0.0.1:{port}", rps=50)
        begun = time.monotonic()
        for _n in range(6):
            transport.send(Request("GET", "/x"))
        assert time.monotonic() - begun >= 0.1


def test_every_exchange_is_told() -> None:
    told = []
    with serving(lambda _: Said(404, b"none")) as (port, _):
        transport = _transport(port)
        transport.observer = lambda request, answer, seconds: told.append(
            (request.target, answer.body, seconds > 0)
        )
        transport.send(Request("GET", "/x"))
    assert told == [("/x", b"none", True)]


@pytest.mark.parametrize(
    "address", ["vault.example", "ftp://vault.example", "https://", "https://vault.example/v1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"target\.address"):
        Transport(address)


def test_a_request_and_an_answer_show_no_secret() -> None:
    request = Request("GET", "/x", {"X-Vault-Token": "s.secret"}, b"secret")
    assert "secret" not in repr(request)


def test_a_certificate_authority_that_is_not_there_is_a_fault_of_the_manifest() -> None:
    with pytest.raises(ConformanceError, match=r"target\.ca_file"):
        Transport("https://127.0.0.1:1", ca_file="/none/ca.pem")
