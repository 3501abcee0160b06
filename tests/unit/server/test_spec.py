# SPDX-License-Identifier: EUPL-1.2
"""The generated files of `api-spec/`: what is in them, and that a stale one is noticed."""

import json
from pathlib import Path

import pytest

from vault.server import spec


def test_the_committed_files_are_what_the_code_says() -> None:
    assert spec.main(["--check"]) == 0, "run: python -m vault.server.spec"


def test_a_stale_file_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spec.main([], tmp_path) == 0
    assert spec.main(["--check"], tmp_path) == 0
    (tmp_path / "routes.txt").write_text("nothing\n")
    assert spec.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == "api-spec/routes.txt is out of date; run: python -m vault.server.spec\n"


def test_an_unknown_argument_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spec.main(["--write"], tmp_path) == 1
    assert capsys.readouterr().err.startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


def test_the_files_hold_every_mount_every_route_and_every_kind_of_error() -> None:
    files = spec.files()
    lines = files["routes.txt"].splitlines()
    assert "/v1/sys/health GET public when-sealed unaudited" in lines
    assert "/v1/secret/data/{path:any} PATCH" in lines
    paths = json.loads(files["openapi.json"])["paths"]
    mounts = {"auth", "cubbyhole", "identity", "kv", "nhi", "secret", "ssh", "sys", "totp", "transit"}
    assert {path.split("/")[1] for path in paths} == mounts
    events = files["log/events.txt"].splitlines()
    assert "esa.auth.login /v1/auth/approle/login POST" in events
    assert "esa.kv.read /v1/secret/data/{path:any} GET" in events
    assert "esa.sys.help /v1/sys/* HELP" in events
    clear = files["log/clear.txt"].splitlines()
    assert "/v1/sys/remount POST from to" in clear
    assert "/v1/secret/metadata/{path:any} LIST limit" in clear
    assert json.loads(files["errors.json"])["Forbidden"]["status"] == 403


def test_types_of_one_name_have_a_schema_each() -> None:
    document = json.loads(spec.files()["openapi.json"])
    schemas = document["components"]["schemas"]

    def answered(path: str) -> str:
        answer = document["paths"][path]["get"]["responses"]["200"]
        name: str = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        return name

    keys = {
        path: answered(path) for path in ("/totp/keys/{name}", "/nhi/keys/{kid}", "/identity/oidc/key/{name}")
    }
    assert len(set(keys.values())) == 3
    assert "period" in schemas[keys["/totp/keys/{name}"]]["properties"]
    assert "kid" in schemas[keys["/nhi/keys/{kid}"]]["properties"]
    references = {ref for ref in json.dumps(document).split('"') if ref.startswith("#/components/schemas/")}
    assert {ref.rpartition("/")[2] for ref in references} <= {*schemas}
