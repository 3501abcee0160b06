# SPDX-License-Identifier: EUPL-1.2
"""A schedule of two nodes on one PostgreSQL, one of them of two workers: each backup is made once, whoever makes it."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.fuzz.process import PATIENCE, wait_until
from tests.nodes import Site, do
from tests.postgres import Cluster
from vault.server.snapshots.names import begun_at, mark_in

_MADE = re.compile(r"a backup was made: schedule=n backup=(\S+)")
_SECONDS = 3
_WANTED = 4


def test_of_two_nodes_and_two_workers_one_makes_each_backup(
    postgres: Callable[[], Cluster], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    site = Site(postgres(), tmp_path)
    stanza = f'snapshot "directory" "n" {{\n path = "{folder}"\n interval = "{_SECONDS}s"\n}}\n'
    for node, more in zip(site.nodes, (f"workers = 2\n{stanza}", stanza), strict=True):
        with node.config.open("a", encoding="utf-8") as config:
            config.write(more)

    def made() -> list[str]:
        return [name for node in site.nodes for name in _MADE.findall(node.log.read_text(encoding="utf-8"))]

    try:
        site.start()
        wait_until(lambda: len(made()) >= _WANTED, lambda: str(made()), 3 * PATIENCE)
        cluster = do(site.nodes[0], "GET", "sys/health")["cluster_id"]
    finally:
        site.stop()
    names = sorted(made())
    assert len(set(names)) == len(names), "nobody made one that another made"
    assert {file.name for file in folder.iterdir()} >= set(names)
    begun = [found for name in names if (found := begun_at("n", name))]
    assert len(begun) == len(names)
    gaps = [(later - one).total_seconds() for one, later in pairwise(begun)]
    assert min(gaps) >= _SECONDS, "one for each time that it is due"
    assert {mark_in("n", name) for name in names} == {cluster[:8]}
