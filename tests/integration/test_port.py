# SPDX-License-Identifier: EUPL-1.2
"""OpenBao's vault moved here and back by `vaultctl port`: by archives and directly, while it is used, with deltas."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import pytest
import rfc8785

from tests.house.tree import ROOT
from tests.integration.port_estate import SECRET, build
from tests.integration.port_site import Site, equal, servers, typed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        build(found.bao, secrets=40)
        yield found


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
