# SPDX-License-Identifier: EUPL-1.2
"""A vault that `vaultctl operator migrate` carried to PostgreSQL and back opens with its keys and serves what it had."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess
from tests.postgres import Cluster
from vaultctl.main import run


def _typed(*line: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    argv = ["operator", "migrate", *line]
    code = run(argv, environ=environ or {}, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    return code, stdout.getvalue(), stderr.getvalue()


def _ask(node: VaultProcess, method: str, path: str, body: object = None, token: str | None = None) -> int:
    with node.client(token) as client:
        answer = client.request(method, f"/v1/{path}", body)
    assert answer.status < 300 or method == "GET", answer.body
    return answer.status


def test_a_vault_goes_to_postgresql_and_back_and_opens_with_its_keys(
    postgres: Callable[[], Cluster], tmp_path: Path
) -> None:
    cluster = postgres()
    name = cluster.empty()
    url = f"postgresql://owner@/{name}?host={cluster.address(name).host}"
    there = f'"postgresql" {{ connection_url = "{url}" }}'
    first, last = (f'"sqlite" {{ path = "{tmp_path}/{file}.db" }}' for file in ("first", "last"))
    nodes = []
    for number, place in enumerate((first, there, last)):
        (tmp_path / str(number)).mkdir()
        nodes.append(VaultProcess(tmp_path / str(number), storage=f"storage {place}"))
    before = nodes[0]
    before.start()
    before.initialise()
    long = "x" * 400_000
    _ask(before, "POST", "secret/data/a", {"data": {"who": "world", "long": long}})
    with before.client() as client:
        made = client.request("POST", "/v1/auth/token/create", {"ttl": "1h", "policies": ["root"]})
    token = made.json()["auth"]["client_token"]
    file = tmp_path / "migrate.hcl"
    for node, source, destination in ((nodes[1], first, there), (nodes[2], there, last)):
        file.write_text(f"storage_source {source}\nstorage_destination {destination}\n")
        code, out, err = _typed(f"-config={file}")
        assert (code, out) == (2, "")
        assert "stop every server that uses it first" in err
        before.stop()
        code, out, err = _typed("-progress", environ={"BAO_MIGRATE_CONFIG_PATH": str(file)})
        assert code == 0, err
        assert out.startswith("Success! All of the keys have been migrated.\n")
        assert "comparing: 100 %" in err
        assert "Start servers on the new storage only" in err
        node.root, node.key = before.root, before.key
        node.start()
        node.unseal()
        with node.client() as client:
            data = client.request("GET", "/v1/secret/data/a").json()["data"]["data"]
        assert data == {"who": "world", "long": long}
        assert _ask(node, "GET", "auth/token/lookup-self", token=token) == 200
        _ask(node, "POST", "secret/data/b", {"data": {"a": "b"}})
        before = node
    _ask(before, "POST", "auth/token/revoke", {"token": token})
    assert _ask(before, "GET", "auth/token/lookup-self", token=token) == 403
    before.stop()
    cluster.give_back(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no storage_source; add"),
        ('storage_source "sqlite" { path = "/a" }', "no storage_destination; add"),
        ('storage_source "inmem" {}\nstorage_destination "sqlite" { path = "/a" }', "gone when its server"),
        ('storage "sqlite" { path = "/a" }', "unknown setting storage"),
        ('storage_source "raft" {}', "this storage does not exist here"),
        (
            'storage_source "sqlite" { path = "/b" }\nstorage_source "sqlite" { path = "/a" }',
            "is there twice",
        ),
        (
            'storage_source "sqlite" { path = "/a" }\nstorage_destination "sqlite" { path = "/a" }',
            "storage_source and storage_destination are the same",
        ),
    ],
)
def test_a_file_that_names_no_two_storages_is_refused_before_anything_is_opened(
    text: str, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "migrate.hcl"
    file.write_text(text)
    code, out, err = _typed(f"-config={file}")
    assert (code, out) == (1, "")
    assert err.startswith(f"Error loading configuration from {file}: ")
    assert told in err


def test_flags_are_those_of_openbao(tmp_path: Path) -> None:
    assert _typed() == (1, "", "Must specify exactly one config path using -config\n")
    assert _typed("-config=/x", "-reset") == (0, "Success! Migration lock reset (if it was set).\n", "")
    assert "a part of a vault" in _typed("-config=/x", "-start=a")[2]
    assert "-log-level is one of" in _typed("-config=/x", "-log-level=loud")[2]
    file = tmp_path / "migrate.hcl"
    file.write_text(
        f'storage_source "sqlite" {{ path = "{tmp_path}/none" }}\nstorage_destination "sqlite" {{ path = "{tmp_path}/x" }}\n'
        'cluster_addr = "https://a:8201"\n'
    )
    code, _, err = _typed(f"-config={file}", "-max-parallel=3", "-log-level=WARN")
    assert code == 2
    assert err.startswith("Error migrating: ")
    assert "there is no such database" in err
