# SPDX-License-Identifier: EUPL-1.2
"""The PKCS#11 binding is optional, and never part of the server's process: a module's crash ends an agent alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.integration.processes import VAULT, running
from tests.ports import free_port

_REFUSED = 'raise ImportError("there is no PKCS#11 binding here")\n'
_ALL = """
import importlib, pkgutil, sys
import nhi, vault
for package in (vault, nhi):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("vault.server.compose.app" in sys.modules, "hsm.client.pkcs11_slot" in sys.modules)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A module path on which `import pkcs11` fails as if nobody had installed it."""
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / "pkcs11.py").write_text(_REFUSED, encoding="utf-8")
    return f"{tmp_path / 'refused'}:{ROOT}"


def test_every_module_of_the_server_loads_without_the_binding(path: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _ALL],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("True True\n", "")


@pytest.mark.loopback
def test_a_server_sealed_by_shares_starts_without_the_binding(path: str, tmp_path: Path) -> None:
    (tmp_path / "server.hcl").write_text(
        f'storage "sqlite" {{ path = "{tmp_path}/vault.db" }}\n'
        f'listener "tcp" {{\n address = "127.0.0.1:{free_port()}"\n tls_disable = true\n}}\n',
        encoding="utf-8",
    )
    arguments = (f"-config={tmp_path}/server.hcl",)
    with running(*arguments, home=tmp_path, environment={"PYTHONPATH": path}, module=VAULT):
        pass
