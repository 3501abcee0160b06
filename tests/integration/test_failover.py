# SPDX-License-Identifier: EUPL-1.2
"""Two servers whose PostgreSQL is replaced by a standby that is behind: they go on with what it has, and nothing else."""

import asyncio
import functools
import re
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess, wait_until
from tests.nodes import Site, ask, do
from tests.pairs import Pair, paired


@pytest.fixture
def pair() -> Generator[Pair]:
    with paired() as pair:
        pair.primary.pooler = str(pair.link)
        yield pair


@pytest.fixture
def site(pair: Pair, tmp_path: Path) -> Generator[Site]:
    """Two servers that reach their database by the name."""
    site = Site(pair.primary, tmp_path)
    try:
        site.start()
        do(site.nodes[0], "POST", "secret/data/kept", {"data": {"a": "b"}})
        yield site
    finally:
        site.stop()


@pytest.fixture
def rotated(pair: Pair, tmp_path: Path) -> Generator[VaultProcess]:
    """A server of another vault on the same PostgreSQL."""
    (tmp_path / "other").mkdir()
    node = Site(pair.primary, tmp_path / "other").nodes[0]
    try:
        node.start()
        node.initialise()
        do(node, "POST", "secret/data/kept", {"data": {"a": "b"}})
        yield node
    finally:
        node.stop()


def _leave_behind(pair: Pair) -> None:
    """Let the standby have all there is, and nothing that comes from now on."""
    pair.primary.wait_for(pair.standby)
    pair.standby.stop(signal.SIGINT)


def _replace(pair: Pair) -> None:
    pair.standby.start()
    asyncio.run(pair.replace())


def _log(node: VaultProcess) -> str:
    return node.log.read_text(encoding="utf-8")


def _reads(node: VaultProcess) -> bool:
    return ask(node, "GET", "secret/data/kept").status == 200


def _refuses(node: VaultProcess) -> bool:
    return ask(node, "GET", "secret/data/kept").status == 503


def _sealed(node: VaultProcess) -> bool:
    return bool(do(node, "GET", "sys/seal-status")["sealed"])


def _is_away(node: VaultProcess) -> None:
    """Look that a server without its database is as open as it was, and says what is wrong."""
    assert ask(node, "GET", "secret/data/kept").status == 500
    assert ask(node, "POST", "secret/data/kept", {"data": {}}).status == 500
    health = ask(node, "GET", "sys/health", token="")
    assert (health.status, health.json()["storage_unreachable"], health.json()["sealed"]) == (
        200,
        True,
        False,
    )


def test_servers_go_on_with_what_the_new_primary_has_or_are_sealed(
    pair: Pair, site: Site, rotated: VaultProcess
) -> None:
    nodes = (*site.nodes, rotated)
    tokens = [do(site.nodes[0], "POST", "auth/token/create", {"policies": ["default"]}) for _ in site.nodes]
    _leave_behind(pair)
    do(site.nodes[0], "POST", "sys/rotate")
    do(site.nodes[0], "POST", "secret/data/lost", {"data": {"a": "b"}})
    assert do(site.nodes[1], "GET", "secret/data/lost")["data"]["data"] == {"a": "b"}
    begun = do(rotated, "POST", "sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})["data"]
    do(rotated, "POST", "sys/rotate/root/update", {"key": rotated.key, "nonce": begun["nonce"]})
    pair.primary.stop()
    for node in nodes:
        assert "1 follow, none of them synchronously: a failover can lose what was acknowledged" in _log(node)
        _is_away(node)
    _replace(pair)
    _check_obeyed(site, [token["auth"]["client_token"] for token in tokens])
    _check_sealed(rotated)
    for node in nodes:
        (turn,) = re.findall(r"the database went back, .*\n", _log(node))
        assert re.search(r"its epoch was 1/\d+ and is 2/\d+", turn), turn


def _check_obeyed(site: Site, tokens: list[str]) -> None:
    """Look that what is written and revoked at the new primary holds on the other server, and what was lost nowhere."""
    for node in site.nodes:
        wait_until(functools.partial(_reads, node), functools.partial(_log, node))
        assert ask(node, "GET", "secret/data/lost").status == 404
    for revoker, asked, token in zip(site.nodes, site.nodes[::-1], tokens, strict=True):
        assert ask(asked, "GET", "auth/token/lookup-self", token=token).status == 200
        do(revoker, "POST", "auth/token/revoke", {"token": token})
        assert ask(asked, "GET", "auth/token/lookup-self", token=token).status == 403
        do(revoker, "POST", "secret/data/after", {"data": {"by": revoker.port}})
        assert do(asked, "GET", "secret/data/after")["data"]["data"] == {"by": revoker.port}
        health = ask(asked, "GET", "sys/health", token="")
        assert (health.status, "storage_unreachable" in health.json()) == (200, False)


def _check_sealed(node: VaultProcess) -> None:
    """Look that a server is sealed whose root key the new primary does not know, and that the share of before opens it."""
    wait_until(functools.partial(_refuses, node), functools.partial(_log, node))
    wait_until(functools.partial(_sealed, node), functools.partial(_log, node))
    assert "a backup was restored, and this one cannot follow: it is sealed; unseal it again" in _log(node)
    node.unseal()
    assert _reads(node)
