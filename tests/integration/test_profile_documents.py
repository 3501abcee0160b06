# SPDX-License-Identifier: EUPL-1.2
"""OpenAPI of each profile: valid for tools that are not ours, true of a real server, and enough to make a client of."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.core.result import Ok

from tests.fuzz.process import VaultProcess
from tests.house.tree import ROOT

FOLDER = ROOT / "api-spec" / "openapi"
DOCUMENTS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
_CLIENT = """
import sys
from made import AuthenticatedClient
from made.api.default import secret_list_metadata, secret_read_secret, secret_write_secret
from made.models import SecretWriteSecretBody

client = AuthenticatedClient(
    base_url=sys.argv[1] + "/v1", token=sys.stdin.read(), prefix="", auth_header_name="X-Vault-Token"
)
body = SecretWriteSecretBody.from_dict({"data": {"user": "app", "number": 7}})
written = secret_write_secret.sync("made", client=client, body=body)
print(written.data.version)
found = secret_read_secret.sync("made", client=client)
print(found.data.data["user"], found.data.metadata.version, bool(found.request_id))
print(secret_read_secret.sync("none", client=client).to_dict())
"""


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    folder = tmp_path_factory.mktemp("vault")
    log = f'log {{\n path = "{folder}/log"\n root_reads = true\n}}\n'
    vault = VaultProcess(folder, more=log)
    try:
        vault.start()
        vault.initialise()
        yield vault
    finally:
        vault.stop()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_two_tools_take_it(name: str) -> None:
    OpenAPIV31SpecValidator(DOCUMENTS[name]).validate()
    schema = schemathesis.openapi.from_dict(DOCUMENTS[name])
    results = list(schema.get_all_operations())
    count = sum(len(item) for item in DOCUMENTS[name]["paths"].values())
    assert len(results) == count
    assert all(isinstance(result, Ok) for result in results)


def _reads(document: Any) -> Iterator[tuple[str, Any]]:
    """The operations that read something without a name or a parameter, and what they answer."""
    for path, item in document["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if "{" not in path and "application/json" in answer:
            yield path, answer["application/json"]["schema"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_server_answers_fits(name: str, vault: VaultProcess) -> None:
    document, seen, faults = DOCUMENTS[name], 0, list[str]()
    with vault.client() as client:
        for path, schema in _reads(document):
            answer = client.request("GET", f"/v1{path}")
            if answer.status == 200 and answer.headers.get("content-type") == "application/json":
                whole = {**schema, "components": document["components"]}
                found = jsonschema_rs.validator_for(whole).iter_errors(answer.json())
                faults += [f"{path}: {error.message}" for error in found]
                seen += 1
    assert not faults
    assert seen >= 2


def test_a_client_that_a_generator_makes_reads_and_writes_a_secret(
    vault: VaultProcess, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"package_name_override": "made", "post_hooks": []}))
    generator = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    done = subprocess.run(
        [*generator, "--path", FOLDER / "kv-consume.json", "--config", settings, "--output-path", tmp_path / "made"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower()
    with vault.client() as client:
        client.request("POST", "/v1/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    ran = subprocess.run(
        [sys.executable, "-c", _CLIENT, f"http://127.0.0.1:{vault.port}"],
        input=vault.root, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["1", "app 1 True", "{'errors': []}"]
