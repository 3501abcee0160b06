# SPDX-License-Identifier: EUPL-1.2
"""A resolver that hangs costs an attempt its time and no more, of whatever kind of device, and of a collector."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from vault.framework.clock import Clock
from vault.log.forward.batch import Batch, Head, Place, Record
from vault.log.forward.kinds.make import make_sender
from vault.log.forward.settings import DeviceSettings, Kind
from vault.log.forward.transport.failure import SendFailure
from vault.log.forward.transport.lookup import NameLookup
from vault.log.forward.transport.stream import Deadline, TlsFiles
from vault.server.otlp.delivery import Delivery
from vault.server.otlp.outbox import NotTaken

pytestmark = pytest.mark.loopback
_LATE = "the receiver's name is not resolved in time"
_PATIENCE = 60.0
_HEAD = Head(log="0123abcd-0-1", seq=0, prev_hash="", observed_timestamp="2026-11-27T11:00:00.000000000Z")
_BATCH = Batch(log=_HEAD.log, records=(Record(b"{}", _HEAD),), end=Place(0, 3, 1))


class Resolver:
    """It hangs until it is `over`; then it finds `found`, or nothing."""

    def __init__(self) -> None:
        self.over, self.asked = threading.Event(), 0
        self.found: list[tuple[object, ...]] = []

    def __call__(self, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked += 1
        assert self.over.wait(_PATIENCE)
        if not self.found:
            raise socket.gaierror(socket.EAI_NONAME, "")
        return self.found


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr("vault.log.forward.transport.lookup.socket.getaddrinfo", made)
    yield made
    made.over.set()


def _device(kind: Kind, address: str) -> Callable[[float], object]:
    sender = make_sender(DeviceSettings(kind=kind, name="away", address=address), "here", Clock())
    return lambda seconds: sender.send(_BATCH, Deadline(time.monotonic, seconds))


def _collector(seconds: float) -> object:
    files = TlsFiles()
    return Delivery("http://a.silent.test/", files, {}, lambda _: 0, Clock(), patience=seconds).send(b"x")


@pytest.mark.parametrize(
    ("send", "failure"),
    [
        (_device("syslog", "tcp://a.silent.test:514"), SendFailure),
        (_device("socket", "tcp://a.silent.test:9000"), SendFailure),
        (_device("http", "http://a.silent.test/"), SendFailure),
        (_device("otlp", "http://a.silent.test/"), SendFailure),
        (_collector, NotTaken),
    ],
    ids=["syslog", "socket", "http", "otlp", "the collector of traces"],
)
def test_an_attempt_ends_in_time_while_the_resolver_hangs(
    resolver: Resolver, send: Callable[[float], object], failure: type[Exception]
) -> None:
    began = time.monotonic()
    with pytest.raises(failure, match=_LATE):
        send(0.1)
    assert time.monotonic() - began < _PATIENCE / 2
    assert resolver.asked == 1


def test_there_is_one_look_up_at_a_time_and_whoever_comes_next_has_what_it_finds(resolver: Resolver) -> None:
    names = NameLookup("a.silent.test", 514)
    for _ in range(5):
        with pytest.raises(SendFailure, match=_LATE):
            names.find(0.01)
    assert resolver.asked == 1
    resolver.found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 514))]
    threading.Timer(0.2, resolver.over.set).start()
    assert names.find(_PATIENCE) == [(socket.AF_INET, ("127.0.0.1", 514))]
    assert names.find(_PATIENCE) and resolver.asked == 2  # each connection asks anew


def test_a_name_that_is_not_found_is_looked_up_again(resolver: Resolver) -> None:
    names = NameLookup("a.nobody.test", 514)
    resolver.over.set()
    for asked in (1, 2):
        with pytest.raises(SendFailure, match="cannot be resolved"):
            names.find(_PATIENCE)
        assert resolver.asked == asked


def test_whoever_waits_can_be_woken(resolver: Resolver) -> None:
    names = NameLookup("a.silent.test", 514)
    names.abort()
    threading.Timer(0.1, names.abort).start()
    began = time.monotonic()
    with pytest.raises(SendFailure, match="cannot be resolved"):
        names.find(_PATIENCE)
    assert time.monotonic() - began < _PATIENCE / 2


@pytest.mark.parametrize(
    ("host", "family", "target"),
    [("127.0.0.1", socket.AF_INET, ("127.0.0.1", 514)), ("::1", socket.AF_INET6, ("::1", 514, 0, 0))],
)
def test_an_address_is_its_own_and_takes_no_thread(
    monkeypatch: pytest.MonkeyPatch, host: str, family: socket.AddressFamily, target: object
) -> None:
    monkeypatch.setattr("vault.log.forward.transport.lookup.threading.Thread", None)
    assert NameLookup(host, 514).find(0.0) == [(family, target)]


def test_where_the_machine_has_no_more_threads_the_attempt_fails(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("vault.log.forward.transport.lookup.threading.Thread.start", none_left)
    with pytest.raises(SendFailure, match="cannot be resolved"):
        NameLookup("a.silent.test", 514).find(_PATIENCE)
    assert resolver.asked == 0
