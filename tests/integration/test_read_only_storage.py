# SPDX-License-Identifier: EUPL-1.2
"""Two servers on a PostgreSQL whose commits wait for a standby that is not there: reads go on, and it is said that nothing else does."""

from pathlib import Path

from tests.fuzz.process import VaultProcess, wait_until
from tests.nodes import Site, ask, do
from tests.postgres import Cluster, started

LIVES = 20
"""Tokens that end while commits wait: work in the background that would write."""


def wait_for_standby(cluster: Cluster, name: str) -> None:
    """Have commits wait for a standby of that name, or for none."""
    cluster.run("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    cluster.run("postgres", "SELECT pg_reload_conf()")


def _read_only(node: VaultProcess) -> bool:
    return "storage_read_only" in ask(node, "GET", "sys/health", token="").json()


def _writes(node: VaultProcess) -> bool:
    return ask(node, "POST", "secret/data/a", {"data": {"n": 2}}).status == 200


def _metric(node: VaultProcess) -> str:
    shown = ask(node, "GET", "sys/metrics?format=prometheus").body.decode()
    (line,) = [line for line in shown.splitlines() if line.startswith("coffre_storage_writable ")]
    return line


def test_where_commits_wait_reads_are_answered_and_operators_see_it(tmp_path: Path) -> None:
    with started() as cluster:
        site = Site(cluster, tmp_path)
        try:
            one, other = site.start()
            do(one, "POST", "secret/data/a", {"data": {"n": 1}})
            for number in range(LIVES):
                do(one, "POST", "auth/token/create", {"ttl": f"{number + 1}s"})
            wait_for_standby(cluster, "nobody")
            for node in (one, other):
                wait_until(lambda node=node: _read_only(node), node.log.read_text, 60)  # type: ignore[misc]  # mypy infers no lambda with a default
                assert do(node, "GET", "secret/data/a")["data"]["data"] == {"n": 1}
                health = ask(node, "GET", "sys/health", token="")
                assert (health.status, health.json()["standby"]) == (200, False), (
                    "with 503 reads would go too"
                )
                assert ask(node, "GET", "sys/health?readonlycode=503", token="").status == 503
                assert _metric(node) == "coffre_storage_writable 0.0"
                nodes = do(node, "GET", "sys/ha-status")["nodes"]
                assert [shown.get("storage_read_only", False) for shown in nodes].count(True) == 1
                assert "the storage answers reads and takes no writes" in node.log.read_text()
            wait_for_standby(cluster, "")
            for node in (one, other):
                wait_until(lambda node=node: not _read_only(node), node.log.read_text, 60)  # type: ignore[misc]  # as above
                wait_until(lambda node=node: _writes(node), node.log.read_text, 60)  # type: ignore[misc]  # as above
                assert _metric(node) == "coffre_storage_writable 1.0"
                assert ask(node, "GET", "sys/health?readonlycode=503", token="").status == 200
                assert "the storage takes writes again" in node.log.read_text()
        finally:
            wait_for_standby(cluster, "")
            site.stop()
