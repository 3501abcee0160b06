# SPDX-License-Identifier: EUPL-1.2
"""A PIN is in the memory of the agent that logged in with it, and of no other process: not of the server either."""

from pathlib import Path

import pytest

from tests.hsm.tokens import PIN
from tests.integration.memory import in_memory
from tests.integration.processes import Running
from tests.integration.two_makers import Makers, agents

pytestmark = pytest.mark.executed


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


def test_a_pin_is_in_its_agent_s_memory_alone(makers: Makers) -> None:
    pins = [PIN.encode(), makers.second.pin.encode()]

    def known(server: Running) -> list[list[bool]]:
        """Which PINs each agent knows, once the server is seen to know none."""
        assert in_memory(server.process.pid, pins) == {}
        return sorted([pin in in_memory(pid, pins) for pin in pins] for pid in agents(server))

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
        assert in_memory(server.process.pid, [wrong]) == {}
        makers.pin_file("nss").write_text(right)
        makers.wait_for("nss", up=True)
        assert in_memory(server.process.pid, [wrong, right.encode()]) == {}
