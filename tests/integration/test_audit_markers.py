# SPDX-License-Identifier: EUPL-1.2
"""A number and a member's name that a client sends reach no audit record, wherever they were put (SL-50).

Markers are random names and numbers of 15 digits. They are planted in every field of each route, alone, in an object
and in a list, in fields that no route has, and in secrets that are written and read back. Numbers in fields that the
API declares as numbers stay readable on purpose: a version, a time to live. What refusals say is the affair of
`test_canary.py`.
"""

import json
import re

import pytest

from tests.fuzz.process import VaultProcess
from tests.routes.canary import NUMBERS, marker, new_number, numbered, without_names
from tests.routes.driver import MERGE_PATCH, TARGETS, Target

LEFT_OUT = {"seal", "revoke-self", "step-down", "monitor"}
ANSWERED = {"POST sys/capabilities", "POST sys/capabilities-self", "POST sys/capabilities-accessor"}
"""Whose answers have paths as names."""
_MARKED = re.compile(r"mark-[0-9a-f]+|[0-9]{13,}")
"""Where in a text a marker can be: among megabytes of records there are few such places."""


def test_no_number_and_no_name_of_a_client_is_in_a_record(vault: VaultProcess) -> None:
    planted: list[tuple[Target, str, list[str]]] = []
    with vault.client() as client:
        for target in TARGETS:
            if not target.bodied or target.route.template in LEFT_OUT or str(target) in ANSWERED:
                continue
            numbers = {field.name for field in target.fields if field.kind.name in NUMBERS}
            for place, markers, body in numbered(target):
                if place in numbers and isinstance(body[place], int | float):
                    continue
                client.request(target.method, target.path(), body, headers={"Content-Type": MERGE_PATCH})
                planted.append((target, place, markers))
    assert len(planted) > 1000 and vault.alive
    lines = [without_names(json.loads(line)) for line in vault.audit.read_bytes().splitlines()]
    text = json.dumps([{name: part for name, part in line.items() if name != "error"} for line in lines])
    text = " ".join(_MARKED.findall(text))
    leaks = {
        f"{target} {place}" for target, place, markers in planted if any(mark in text for mark in markers)
    }
    assert not leaks, "\n".join(sorted(leaks))


@pytest.mark.parametrize("path", ["plain/s", "cubbyhole/s", "secret/data/s", "secret/metadata/s"])
def test_a_secret_that_is_written_and_read_is_in_no_record(vault: VaultProcess, path: str) -> None:
    name, number, key = marker(), new_number(), marker()
    free = {name: number, "deep": [{key: [number, number + 0.5, True, None]}], "spelled": 1.50}
    body = {"secret/data/s": {"data": free}, "secret/metadata/s": {"custom_metadata": {name: key}}}
    with vault.client() as client:
        assert client.request("POST", f"/v1/{path}", body.get(path, free)).status in {200, 204}
        answer = client.request("GET", f"/v1/{path}")
        assert name.encode() in answer.body
        wrapped = client.request("GET", f"/v1/{path}", headers={"X-Vault-Wrap-TTL": "60"}).json()["wrap_info"]
        unwrapped = client.request("POST", "/v1/sys/wrapping/unwrap", {"token": wrapped["token"]})
        assert name.encode() in unwrapped.body
        client.request("GET", "/v1/secret/subkeys/s")
        text = vault.audit.read_text()
        hashed = client.request("POST", "/v1/sys/audit-hash/file", {"input": number}).json()["data"]["hash"]
        named = client.request("POST", "/v1/sys/audit-hash/file", {"input": name}).json()["data"]["hash"]
    assert [mark for mark in (name, key, str(number)) if mark in text] == []
    assert named in text
    assert (hashed in text) is (path != "secret/metadata/s")
