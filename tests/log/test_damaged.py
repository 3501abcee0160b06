# SPDX-License-Identifier: EUPL-1.2
"""A log with a record that was edited, under a real server: whoever asks is told that it is not all, and from where on."""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import PATIENCE, Client, initialised
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vaultctl.main import run

pytestmark = pytest.mark.loopback
_READER = 'path "sys/log/*" { capabilities = ["read", "update", "list"] }'
_TIME = "from=2026-11-01T00:00:00Z"


def _read(client: Client, path: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = client.request("GET", f"/v1/sys/log/{path}").json()["data"]
    return found


def test_search_counts_and_export_tell_of_damage(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault, vault.client() as root:
        root.request("PUT", "/v1/sys/policies/acl/reader", {"policy": _READER})
        made = root.request("POST", "/v1/auth/token/create", {"policies": ["reader"]})
        token = made.json()["auth"]["client_token"]
        with vault.client(token) as reader:
            before = _read(reader, f"records?{_TIME}")
            assert (before["complete"], before["damaged"]) == (True, None)
            log = WrittenLog(tmp_path / "log")
            log.write(*[record()] * 20)
            log.append(log.line(record()).replace(b"10.2.0.9", b"10.2.0.8") + b"\n")
            log.write(*[record()] * 20)
            until = time.monotonic() + PATIENCE
            while LOG not in (_read(reader, f"records?{_TIME}")["damaged"] or {}):
                assert time.monotonic() < until
                time.sleep(0.05)
            page = _read(reader, f"records?{_TIME}&event=esa.kv.read&limit=1000")
            assert (page["complete"], page["damaged"]) == (False, {LOG: 21})
            counts = _read(reader, f"counts?{_TIME}")
            assert (counts["complete"], counts["damaged"]) == (False, {LOG: 21})
        environ = {
            "HOME": str(tmp_path),
            "VAULT_ADDR": f"http://127.0.0.1:{vault.port}",
            "VAULT_TOKEN": token,
        }
        for records in (21, 0):
            out, err = io.StringIO(), io.StringIO()
            words = ["audit", "export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
            code = run(words, environ=environ, stdin=io.StringIO(), stdout=out, stderr=err)
            assert (code, len(out.getvalue().splitlines())) == (2, records)
            assert f"WARNING! {LOG}: nothing is read from record 21 on" in err.getvalue()
