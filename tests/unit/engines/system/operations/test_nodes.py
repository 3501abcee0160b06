# SPDX-License-Identifier: EUPL-1.2
"""The servers of a cluster, as OpenBao's clients ask for them."""

from typing import Any

import pytest

from tests.unit.engines.system import estate as estates
from tests.unit.engines.system.estate import OWN, estate
from tests.unit.engines.system.house import play
from vault.background.nodes import Nodes
from vault.storage.protocol import Node

OTHER = {
    "hostname": "two",
    "api_addr": "https://two:8200",
    "cluster_addr": "https://two:8201",
    "version": "0.2",
    "api": "2.8.0",
    "serves": True,
    "seen": 1_700_000_000_500,
}


class _Shared(Nodes):
    """A server that shares its storage with another one."""

    def __init__(self, *parts: Any, **_: Any) -> None:
        super().__init__(*parts, shared=True, defect=list[Exception]().append)
        self.opened()

    async def _meet(self, own: Node) -> list[Node]:
        self._aside_until = self._clock.monotonic() + own.aside
        self._known = [own, Node(**OTHER)]  # type: ignore[arg-type]  # as it is written above
        return self._known


def test_a_server_that_has_its_storage_alone_is_the_only_one_and_does_not_step_down() -> None:
    async def scenario() -> None:
        house = await estate()
        (node,) = (await house("GET", "sys/ha-status")).body["nodes"]
        assert node == {
            "hostname": OWN.hostname,
            "api_address": OWN.api_addr,
            "cluster_address": "",
            "active_node": False,
            "last_echo": None,
            "version": "2.7.2",
            "coffre_version": "0.1",
        }
        assert (await house("GET", "sys/leader")).body == {"ha_enabled": False}
        assert (await house("PUT", "sys/step-down")).status == 204

    play(scenario)


def test_each_of_several_is_a_leader_and_one_that_stepped_down_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estates, "Nodes", _Shared)

    async def scenario() -> None:
        house = await estate()
        own, other = (await house("GET", "sys/ha-status")).body["nodes"]
        assert (own["active_node"], own["last_echo"]) == (True, None)
        assert other == {
            "hostname": "two",
            "api_address": "https://two:8200",
            "cluster_address": "https://two:8201",
            "active_node": True,
            "last_echo": "2023-11-14T22:13:20.5Z",
            "version": "2.8.0",
            "coffre_version": "0.2",
        }
        leader = (await house("GET", "sys/leader")).body
        since = leader.pop("active_time")
        assert since.startswith("2023-11-14T")
        assert leader == {"ha_enabled": True, "is_self": True, "leader_address": OWN.api_addr}
        assert (await house("PUT", "sys/step-down")).status == 204
        assert (await house("GET", "sys/leader")).body == {
            "ha_enabled": True,
            "is_self": False,
            "leader_address": "https://two:8200",
            "leader_cluster_address": "https://two:8201",
        }

    play(scenario)
