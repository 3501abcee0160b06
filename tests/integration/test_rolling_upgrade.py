# SPDX-License-Identifier: EUPL-1.2
"""Servers of two releases on one database: replaced one by one, forth and back, and what is told before and meanwhile."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuzz.process import REPOSITORY, VaultProcess, wait_until
from tests.later_release import KIND, VERSION
from tests.nodes import Site, ask, do
from tests.postgres import Cluster
from tests.release_before import VERSION as BEFORE
from tests.release_before import extract
from vault import __version__
from vault.barrier.formats import FORMATS_PATH
from vault.storage.postgres.administration import installed


@pytest.fixture
def site(postgres: Callable[[], Cluster], tmp_path: Path) -> Iterator[Site]:
    site = Site(postgres(), tmp_path)
    site.start()
    yield site
    site.stop()


def replace(node: VaultProcess, program: str) -> None:
    """Stop a server, and start another release in its place."""
    node.stop()
    node.program = program
    node.start()


def check(site: Site, node: VaultProcess, *, later: bool = True) -> tuple[int, str]:
    """Ask a release what it would change; return the exit code and what it says."""
    program = ["tests.later_release", "vaultctl"] if later else ["vaultctl"]
    done = subprocess.run(
        [sys.executable, "-m", *program, "operator", "upgrade-check", "-config", node.config],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def formats(site: Site) -> str:
    """Return what the database says of its records."""
    found = asyncio.run(installed(site.address, FORMATS_PATH)).formats
    assert found is not None
    return found.decode()


def releases(node: VaultProcess) -> list[str]:
    return sorted(each["coffre_version"] for each in do(node, "GET", "sys/ha-status")["data"]["nodes"])


def test_servers_are_replaced_one_by_one_and_both_releases_serve_meanwhile(site: Site) -> None:
    one, two = site.nodes
    code, said = check(site, one, later=False)
    assert (code, said.count("success")) == (0, 4), said
    assert "this release writes none that the database does not know" in said
    code, said = check(site, one)
    assert code == 2
    assert f"({__version__}+" in said
    assert f"not written before every server has this release: '{KIND}' (none now)" in said
    assert "[ warning ] Way back: until every server has this release, by starting the older one" in said

    replace(two, "tests.later_release")
    two.unseal()
    assert releases(two) == sorted([VERSION, __version__])
    for writer, reader in ((one, two), (two, one)):
        do(writer, "POST", "secret/data/both", {"data": {"by": writer.folder.name}})
        assert do(reader, "GET", "secret/data/both")["data"]["data"] == {"by": writer.folder.name}
    token = do(two, "POST", "auth/token/create", {})["auth"]["client_token"]
    assert ask(one, "GET", "auth/token/lookup-self", token=token).status == 200
    do(one, "POST", "auth/token/revoke", {"token": token})
    assert ask(two, "GET", "auth/token/lookup-self", token=token).status == 403
    assert KIND not in formats(site)
    assert "a server of another release lives on this database" in two.log.read_text()

    replace(two, "vault.server")  # and back, as if it were no good
    two.unseal()
    assert do(two, "GET", "secret/data/both")["data"]["data"] == {"by": "two"}

    for node in (two, one):
        assert KIND not in formats(site)
        replace(node, "tests.later_release")
        node.unseal()
    wait_until(lambda: KIND in formats(site), lambda: "it is not said what the release writes")
    assert do(one, "GET", "secret/data/both")["data"]["data"] == {"by": "two"}
    code, said = check(site, one)
    assert (code, said.count("success")) == (0, 4), said

    code, said = check(site, one, later=False)
    assert code == 1
    assert f"'{KIND}' version 1 (known: none)" in said
    two.stop()
    two.program = "vault.server"
    with pytest.raises(AssertionError, match="a newer release wrote this database"):
        two.start()


_MANIFEST = """
spec = "1.0"
claim = ["kv-consume", "kv-manage", "identity", "X-wrap", "X-ns", "X-transit"]
allow = ["read-only", "mutating"]

[implementation]
organization = "Example"
project = "coffre"
url = "https://example.org"
version = "1"

[target]
address = "http://127.0.0.1:{port}"
expect = {{ cluster_id = "{cluster}" }}

[bindings.compat]
prefix = "team-a"

[credentials]
kv = "env:ESA_TOKEN"
admin = "env:ESA_TOKEN"

[hooks]
openssl = "openssl"

[isolation]
mode = "prefix"

[limits]
rps = 5000
request_s = 60
"""
_DISCOVERY = """
discovery {
  environment      = "test"
  security_contact = "mailto:security@example.org"
  security_expires = "2099-01-01"
}
"""


def judged(suite: Path, node: VaultProcess, folder: Path) -> dict[str, str]:
    """Have a release's conformance suite judge a server; return what came of each test that did not pass."""
    folder.mkdir()
    cluster = ask(node, "GET", "sys/health").json()["cluster_id"]
    (folder / "manifest.toml").write_text(_MANIFEST.format(port=node.port, cluster=cluster))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "esa_conformance",
            "run",
            "--manifest",
            "manifest.toml",
            "--report",
            "report.json",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(suite / "api-spec" / "conformance"), "ESA_TOKEN": node.root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "report.json").is_file(), done.stderr
    report = json.loads((folder / "report.json").read_text())
    assert len(report["tests"]) > 50
    return {
        one["id"]: one["outcome"] for one in report["tests"] if one["outcome"] in {"fail", "error", "flaky"}
    }


@pytest.mark.soak
def test_old_and_new_serve_side_by_side_and_the_suite_of_each_judges_both(
    postgres: Callable[[], Cluster], tmp_path: Path
) -> None:
    old = extract(tmp_path / "old")
    site = Site(postgres(), tmp_path, more=_DISCOVERY)
    one, two = site.nodes
    one.directory = old
    try:
        site.start()
        assert releases(two) == sorted([BEFORE, __version__])
        for suite in (old, REPOSITORY):
            for node in (one, two):
                assert judged(suite, node, tmp_path / f"{suite.name}-{node.folder.name}") == {}
    finally:
        site.stop()
