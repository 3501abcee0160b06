# SPDX-License-Identifier: EUPL-1.2
"""OpenBao's vault moved here and back by `vaultctl port`: by archives and directly, while it is used, with deltas."""

import io
import itertools
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import pyrage
import pytest
import rfc8785

from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.port_estate import SECRET, Api, build
from vaultctl.main import run

_NUMBERS = itertools.count()


@dataclass
class Site:
    """Two servers of OpenBao, one of ours, and what archives are made with."""

    bao: Api
    other_bao: Api
    coffre: Api
    folder: Path

    @property
    def sealing(self) -> list[str]:
        """What an export is encrypted to and signed by."""
        return [f"-recipients-file={self.folder / 'recipients'}", f"-sign-key={self.folder / 'key'}"]

    @property
    def opening(self) -> list[str]:
        """What opens it."""
        return [f"-identity={self.folder / 'identity'}", f"-signers={self.folder / 'signers'}"]


@dataclass
class Said:
    """What a command said, with the report where it printed one."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    identity = pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(f"{identity}\n")
    (folder / "recipients").write_text(f"{identity.to_public()}\n")
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    (folder / "signers").write_text(f"operators {(folder / 'key.pub').read_text()}")
    with (
        dev_server("openbao", tmp_path_factory.mktemp("bao")) as bao,
        dev_server("openbao", tmp_path_factory.mktemp("other")) as other,
        dev_server("coffre", tmp_path_factory.mktemp("coffre")) as coffre,
    ):
        first, second, third = (Api(one.address, one.token) for one in (bao, other, coffre))
        build(first, secrets=40)
        yield Site(first, second, third, folder)


def typed(*line: object, to: Api, source: Api | None = None, form: str = "json") -> Said:
    """Run `vaultctl port …` with a destination, and a source where there is one."""
    environ = {"BAO_ADDR": to.address, "BAO_TOKEN": to.token, "BAO_NAMESPACE": to.namespace}
    argv = ["port", *map(str, line), f"-format={form}"]
    if source is not None:
        environ["BAO_FROM_TOKEN"] = source.token
        argv += [f"-from={source.address}", f"-from-namespace={source.namespace}"]
    stdout, stderr = io.StringIO(), io.StringIO()
    code = run(argv, environ=environ, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    said = Said(code, stdout.getvalue(), stderr.getvalue())
    assert SECRET not in said.out + said.err
    return said


def equal(source: Api, destination: Api, *more: str) -> None:
    """Assert that all of two servers is equal."""
    said = typed("verify", *more, to=destination, source=source)
    assert said.err == ""
    assert said.report["differences"] == []
    assert said.code == 0


def two_namespaces(site: Site) -> tuple[Api, Api]:
    """A new namespace of OpenBao, and one of ours."""
    name = f"n{next(_NUMBERS)}"
    return site.bao.within(name), site.coffre.within(name)


def small(api: Api) -> None:
    """A few secrets in a namespace."""
    api("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    api("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    for number in range(12):
        api("POST", f"kv/data/app/s{number}", {"data": {"v": f"{SECRET}{number}"}})
        api("POST", f"old/s{number}", {"v": f"{SECRET}{number}"})


def test_all_of_openbao_moves_here_by_an_archive_and_back_directly(site: Site, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    exported = typed("export", *site.sealing, archive, to=site.bao)
    assert (exported.code, exported.err) == (0, "")
    for file in archive.iterdir():
        content = file.read_bytes()
        assert SECRET.encode() not in content
        assert b"app0" not in content
        assert file.stat().st_mode & 0o077 == 0
    imported = typed("import", *site.opening, archive, to=site.coffre)
    assert imported.report["not_moved"] == []
    assert imported.code == 0
    assert {row["path"] for row in imported.report["not_kept"]} >= {
        "auth/approle/role/ci", "auth/userpass/users/ann", "secret/deleted", "auth/token",
    }  # fmt: skip
    equal(site.bao, site.coffre, "-decisions=1000")
    assert typed("verify", *site.opening, archive, to=site.coffre).report["differences"] == []
    again = typed("import", *site.opening, archive, to=site.coffre).report["entries"]
    assert all(set(words) == {"unchanged"} for words in again.values())
    back = typed("move", f"-journal={tmp_path / 'journal'}", to=site.other_bao, source=site.coffre)
    assert back.code == 0, back.out
    equal(site.bao, site.other_bao, "-decisions=1000")
    assert b"app0" not in (tmp_path / "journal").read_bytes()


def test_an_archive_is_what_its_schemas_say(site: Site, tmp_path: Path) -> None:
    for more in ([], ["-plain"], ["-unsigned"]):
        refused = typed("export", *more, tmp_path / "none", to=site.bao)
        assert refused.code == 1
        assert not (tmp_path / "none").exists()
    assert typed("export", "-plain", "-unsigned", tmp_path / "a", to=site.bao).code == 0
    folder = ROOT / "api-spec" / "port"
    manifest, entry = (
        jsonschema_rs.validator_for(json.loads((folder / f"{name}.schema.json").read_text()))
        for name in ("manifest", "entry")
    )
    said = json.loads((tmp_path / "a" / "manifest.json").read_bytes())
    manifest.validate(said)
    lines = b"".join((tmp_path / "a" / part["file"]).read_bytes() for part in said["parts"]).splitlines()
    assert len(lines) == sum(said["counts"].values())
    kinds = set()
    for line in lines:
        assert rfc8785.dumps(json.loads(line)) == line
        entry.validate(json.loads(line))
        kinds.add(json.loads(line)["kind"])
    known = set(re.findall(r"`([\w-]+)`", (folder / "archive.md").read_text()))
    assert kinds >= {"kv1", "kv2", "kv-names", "policy", "entity", "group", "mount", "namespace", "report"}
    assert {kind for kind in kinds if kind.startswith(("kv", "mount", "entity", "group"))} - {
        "kv-config"
    } <= known


def test_a_delta_brings_what_changed_and_removes_what_is_gone(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    typed("export", *site.sealing, tmp_path / "a", to=source)
    journal = f"-journal={tmp_path / 'journal'}"
    assert typed("import", *site.opening, journal, tmp_path / "a", to=destination).code == 0
    equal(source, destination)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}new"}})
    source("DELETE", "kv/metadata/app/s2")
    source("DELETE", "kv/data/app/s3")
    source("PUT", "kv/destroy/app/s4", {"versions": [1]})
    source("DELETE", "kv/metadata/app/s5")  # and another of that name
    source("POST", "kv/data/app/s5", {"data": {"v": f"{SECRET}other"}})
    source("POST", "kv/metadata/app/s6", {"max_versions": 3})
    source("POST", "kv/data/app/s12", {"data": {"v": f"{SECRET}12"}})
    source("DELETE", "old/s1")
    source("POST", "old/s2", {"v": f"{SECRET}new"})
    source("POST", "sys/policies/acl/late", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    typed("export", *site.sealing, f"-since={tmp_path / 'a'}", tmp_path / "b", to=source)
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_bytes())
    assert manifest["counts"]["kv2"] == 6
    assert typed("import", *site.opening, journal, tmp_path / "b", to=destination).code == 0
    equal(source, destination)
    source("POST", "kv/undelete/app/s3", {"versions": [1]})  # of which an empty version went over
    typed("export", *site.sealing, f"-since={tmp_path / 'b'}", tmp_path / "c", to=source)
    assert typed("import", *site.opening, journal, tmp_path / "c", to=destination).code == 0
    equal(source, destination)


def test_what_is_written_during_a_move_moves_too_and_nobody_writes_after_it(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    acknowledged: dict[str, int] = {}
    ended = threading.Event()

    def write() -> None:
        for number in itertools.count():
            key = f"app/w{number % 9}"
            try:
                answer = source("POST", f"kv/data/{key}", {"data": {"n": number}})
            except AssertionError:
                ended.set()
                return
            acknowledged[key] = answer["data"]["version"]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        journal = f"-journal={tmp_path / 'journal'}"
        moved = typed("move", journal, "-switch", to=destination, source=source)
    finally:
        assert ended.wait(60)
        writer.join()
    assert moved.code == 0, moved.out
    assert acknowledged
    assert moved.report["switch-over"]["seconds"] > 0
    for key, version in acknowledged.items():
        assert destination("GET", f"kv/metadata/{key}")["data"]["current_version"] == version
    with pytest.raises(AssertionError, match="404"):
        source("POST", "kv/data/app/w0", {"data": {}})
    assert typed("back", journal, to=destination, source=source).code == 0
    equal(source, destination)


def test_what_others_have_at_the_destination_stays_unless_it_is_to_be_replaced(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "sys/policies/acl/theirs", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    destination("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    destination("POST", "kv/data/app/s1", {"data": {"v": "theirs"}})
    destination("POST", "kv/data/app/alone", {"data": {"v": "theirs"}})
    destination("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    destination("POST", "old/s1", {"v": "theirs"})
    destination("POST", "sys/policies/acl/theirs", {"policy": 'path "kv/*" { capabilities = ["deny"] }'})
    moved = typed("move", f"-journal={tmp_path / 'one'}", to=destination, source=source)
    assert moved.code == 1
    left = {row["path"] for row in moved.report["not_moved"]}
    assert left == {"kv/app/s1", "old/s1", "sys/policies/acl/theirs"}
    assert destination("GET", "kv/data/app/s1")["data"]["data"] == {"v": "theirs"}
    assert destination("GET", "old/s1")["data"] == {"v": "theirs"}
    found = typed("verify", to=destination, source=source)
    assert (found.code, len(found.report["differences"])) == (1, 4)
    moved = typed("move", "-replace", f"-journal={tmp_path / 'one'}", to=destination, source=source)
    assert moved.code == 0
    destination("DELETE", "kv/metadata/app/alone")
    equal(source, destination)


def test_deleted_versions_move_with_their_values_where_that_is_wanted(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    source("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}second"}})
    source("POST", "kv/delete/app/s1", {"versions": [1, 2]})
    moved = typed("move", "-undelete", f"-journal={tmp_path / 'journal'}", to=destination, source=source)
    assert moved.code == 0
    equal(source, destination)
    for api in (source, destination):
        states = api("GET", "kv/metadata/app/s1")["data"]["versions"].values()
        assert all(version["deletion_time"] for version in states)
        api("POST", "kv/undelete/app/s1", {"versions": [1, 2]})
    assert destination("GET", "kv/data/app/s1?version=1")["data"]["data"] == {"v": f"{SECRET}1"}
    equal(source, destination)
