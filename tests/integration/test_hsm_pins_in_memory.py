# SPDX-License-Identifier: EUPL-1.2
"""A PIN is in the memory of the agent that logged in with it, and of no other process: not of the server either."""

from pathlib import Path

import pytest

from tests.hsm.tokens import PIN
from tests.integration.processes import Running
from tests.integration.two_makers import Makers, agents

_LARGEST = 64 << 20
"""Bytes that are read at once."""


def _times(pid: int, secret: bytes) -> int:
    """How often a text is in the writable memory of a process."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            where, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in where.split("-"))
            if not rights.startswith("rw") or end - begin > _LARGEST:
                continue
            try:
                memory.seek(begin)
                found += memory.read(end - begin).count(secret)
            except OSError:
                continue
    return found


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


def test_a_pin_is_in_its_agent_s_memory_alone(makers: Makers) -> None:
    pins = [PIN.encode(), makers.second.pin.encode()]

    def known(server: Running) -> list[list[bool]]:
        """Which PINs each agent knows, once the server is seen to know none."""
        assert [_times(server.process.pid, pin) for pin in pins] == [0, 0]
        return sorted([_times(pid, pin) > 0 for pin in pins] for pid in agents(server))

    with makers.serving() as server:
        makers.initialise()
        assert known(server) == [[False, True], [True, False]]  # or it would not look where they are
        for name in makers.names:
            makers.unplug(name, server)
        for name in makers.names:
            makers.wait_for(name, up=False)
        for name in makers.names:
            makers.plug(name)
            makers.wait_for(name, up=True)
        assert known(server) == [[False, True], [True, False]]
        makers.ask("PUT", "sys/seal", {})
        assert known(server) == [[False, True], [True, False]]


def test_a_pin_that_was_refused_is_not_kept_and_another_one_is_told_from_it(makers: Makers) -> None:
    wrong, right = b"wrong-pin-0815", makers.second.pin
    with makers.serving():
        makers.initialise()
    makers.pin_file("nss").chmod(0o600)
    makers.pin_file("nss").write_bytes(wrong)
    with makers.serving() as server:
        server.wait_for("a key slot does not work: slot=nss")
        assert _times(server.process.pid, wrong) == 0
        makers.pin_file("nss").write_text(right)
        makers.wait_for("nss", up=True)
        assert [_times(server.process.pid, pin) for pin in (wrong, right.encode())] == [0, 0]
