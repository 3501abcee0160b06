# SPDX-License-Identifier: EUPL-1.2
"""Listening sockets: who may use the file of one, and what is said about an address that cannot be had."""

import asyncio
import os
import socket
import stat
import threading
from pathlib import Path
from typing import cast

import pytest
import uvloop
from pytest_socket import enable_socket

from tests.unit.server.http.test_protocol import echo
from vault.server.application import Application
from vault.server.config.settings import Listener
from vault.server.failure import StartFailure
from vault.server.http.listeners import Listeners
from vault.server.http.sockets import bind, forget

pytestmark = pytest.mark.loopback


@pytest.fixture(autouse=True)
def _sockets() -> None:
    enable_socket()


def _unix(path: Path, **settings: str | int) -> Listener:
    return Listener(kind="unix", address=str(path), **settings)  # type: ignore[arg-type]  # names are checked by the struct


def test_a_socket_file_has_the_mode_and_owner_that_were_asked_for(tmp_path: Path) -> None:
    user, group = (1, 1) if os.getuid() == 0 else (os.getuid(), os.getgroups()[-1])
    listener = _unix(tmp_path / "s", socket_mode=0o660, socket_user=str(user), socket_group=str(group))
    with bind(listener) as bound:
        found = (tmp_path / "s").stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert (found.st_uid, found.st_gid) == (user, group)
        forget(listener, bound)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("setting", ["socket_user", "socket_group"])
def test_an_owner_that_is_unknown_is_refused_and_the_next_start_is_not_hindered(
    setting: str, tmp_path: Path
) -> None:
    with pytest.raises(StartFailure, match=r"socket_user or socket_group of listener .*/s: unknown"):
        bind(_unix(tmp_path / "s", **{setting: "nobody-of-that-name"}))
    bind(_unix(tmp_path / "s")).close()


def test_a_socket_that_still_answers_and_a_file_that_is_none_are_left_alone(tmp_path: Path) -> None:
    listener = _unix(tmp_path / "s")
    with bind(listener) as first:
        first.listen()
        with pytest.raises(StartFailure, match="another process listens there"):
            bind(listener)
    bind(listener).close()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(StartFailure, match="is a file, not a socket"):
        bind(_unix(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "precious"


def test_a_socket_in_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match="cannot listen: No such file or directory"):
        bind(_unix(tmp_path / "none" / "s"))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("no-such-host.invalid:0", "the host name is unknown; use an IP address"),
        ("192.0.2.1:0", "this machine does not have the address; choose one of its own"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_with_the_fix(address: str, told: str) -> None:
    with pytest.raises(StartFailure) as caught:
        bind(Listener(kind="tcp", address=address))
    assert str(caught.value) == f"listener address {address}: {told}"


def test_an_ipv6_address_is_bound_alone_and_no_address_means_both() -> None:
    with (
        bind(Listener(kind="tcp", address="[::1]:0")) as one,
        bind(Listener(kind="tcp", address=":0")) as all_,
    ):
        assert one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert all_.family is socket.AF_INET6
        assert all_.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0


class _Echoing:
    """An application that nobody reaches."""

    def at(self, listener: Listener) -> object:
        return echo


def test_an_address_on_which_another_began_to_listen_since_it_was_bound_is_refused() -> None:
    """The server's event loop itself says nothing, and hears nobody."""
    with bind(Listener(kind="tcp", address="127.0.0.1:0")) as first:
        listener = Listener(kind="tcp", address=f"127.0.0.1:{first.getsockname()[1]}")
        with bind(listener) as second:
            first.listen()
            _listens_elsewhere(listener, second)


def test_a_socket_file_that_another_took_before_this_one_listened_is_refused_and_stays(
    tmp_path: Path,
) -> None:
    """Neither listens yet, so the other takes the file for one that a killed process left."""
    listener = _unix(tmp_path / "s")
    with bind(listener) as first, bind(listener) as second:
        second.listen()
        _listens_elsewhere(listener, first)
        forget(listener, first)
        assert (tmp_path / "s").exists()
        forget(listener, second)
        assert not (tmp_path / "s").exists()
        _listens_elsewhere(listener, second)


def _listens_elsewhere(listener: Listener, bound: socket.socket) -> None:
    async def scenario() -> None:
        listening = Listeners(cast("Application", _Echoing()), list[Exception]().append)
        try:
            with pytest.raises(StartFailure, match="another process listens there"):
                await listening.start([(listener, bound, None)])
        finally:
            await listening.stop(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_an_address_that_somebody_has_for_a_moment_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = Listener(kind="tcp", address=f"127.0.0.1:{other.getsockname()[1]}")
        leaves = threading.Timer(0.2, other.close)
        leaves.start()
        with bind(listener) as bound:
            bound.listen()
        leaves.join()


def test_an_address_that_somebody_keeps_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = Listener(kind="tcp", address=f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(StartFailure, match="another process listens there"):
            bind(listener)
